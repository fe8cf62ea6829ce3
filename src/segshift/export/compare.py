"""Whether an exported file says what the network says: on real images, in the file's own runtime."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from segshift.errors import InputError
from segshift.export.programs import NotCarriedError
from segshift.models.inference import finite_logits
from segshift.models.pixels import network_input
from segshift.models.program import Precision
from segshift.models.resize import resize_images, upsample
from segshift.models.segmenter import Segmenter
from segshift.sizes import HeightWidth, WidthHeight, height_width, of_tensors

_TIMED = 3
# The first image is seen at these shares of its height and width, too: sizes that no exporter saw.
_SHARES = ((1.0, 0.61), (0.53, 1.0), (0.37, 0.29))

LEAST_AGREEMENT: dict[Precision, float] = {"fp32": 0.999, "fp16": 0.99, "int8": 0.9}
"""The share of pixels whose class must be the network's; in full precision, of those that it decides.

A program resizes images with real numbers and PyTorch with whole ones, so that some pixels are one step of
255 apart. Where two classes are as good as equal, as in a barely trained network, that turns them.
"""
MOST_DIFFERENCE: dict[Precision, float] = {"fp32": 0.02, "fp16": 0.05, "int8": float("inf")}
"""The largest difference between logits, as a share of the largest logit."""


@dataclass(frozen=True)
class Agreement:
    """How an exported file compares with its network.

    Attributes:
        images: how many were compared, at how many different `sizes`.
        pixels: with the same class, in [0, 1].
        decided: with the same class, of those where logits that differ as they do cannot turn the class.
        difference: largest between two logits.
        largest: the network's largest logit without its sign.
        milliseconds: the file's median for the first image.
        network_milliseconds: the network's own in PyTorch, up-sampling and arg max included.
    """

    images: int
    sizes: int
    pixels: float
    decided: float
    difference: float
    largest: float
    milliseconds: float
    network_milliseconds: float

    def check(self, name: str, precision: Precision, least: float | None) -> None:
        """Refuse a file that is too far from its network.

        Args:
            name: of the file.
            precision: decides the tolerances.
            least: share of equal pixels, instead of `LEAST_AGREEMENT`.

        Raises:
            NotCarriedError: it is, in full precision: the format is to blame.
            InputError: it is, in another precision.
        """
        least = LEAST_AGREEMENT[precision] if least is None else least
        most = MOST_DIFFERENCE[precision] * self.largest
        share = self.decided if precision == "fp32" else self.pixels
        if share >= least and self.difference <= most:
            return
        bound = "" if most == float("inf") else f" and at most {most:.3g}"
        fault = (
            f"{name}: is not the network: {100 * share:.3f} % of the pixels get its class, logits "
            f"differ by up to {self.difference:.3g} (wanted: {100 * least:g} %{bound}), so it is not kept"
        )
        if precision == "fp32":
            raise NotCarriedError(fault)
        if precision == "int8":
            remedy = "calibrate on more --images, accept less with --least-agreement, or export in fp16"
        else:
            remedy = "export in fp32"
        raise InputError(f"{fault}; {remedy}")


Answer = Callable[[Tensor], tuple[Tensor, Tensor]]
"""(1, 3, H, W) uint8 to labels (1, H, W) and logits."""


def network_answer(network: Segmenter, size: WidthHeight | None) -> Answer:
    """What a network says in PyTorch, as `Inference` has it see whole images at `size`."""

    def answer(image: Tensor) -> tuple[Tensor, Tensor]:
        seen = image if size is None else resize_images(image, of_tensors(size))
        logits = finite_logits(network, network_input(seen))
        return upsample(logits, height_width(image)).argmax(dim=1).byte(), logits

    return answer


def compare(of_file: Answer, of_network: Answer, images: Sequence[Tensor]) -> Agreement:
    """Ask both about the same images.

    Args:
        of_file: the file's program.
        of_network: the network.
        images: (3, H, W) uint8, one or more.

    Raises:
        InputError: scores that are not finite.
    """
    first = images[0]
    scaled = [
        resize_images(
            first, HeightWidth((max(32, int(y * first.shape[1])), max(32, int(x * first.shape[2]))))
        )
        for y, x in _SHARES
    ]
    seen = [*images, *scaled]
    equal = pixels = sure = sure_equal = 0
    difference = largest = 0.0
    with torch.inference_mode():
        for image in seen:
            labels, logits = of_file(image[None])
            expected, truth = of_network(image[None])
            same = labels.cpu() == expected
            equal += int(same.sum())
            pixels += expected.numel()
            apart = float((logits.float().cpu() - truth).abs().max())
            certain = _margin(truth, height_width(image)) > 2 * apart
            sure += int(certain.sum())
            sure_equal += int((same & certain).sum())
            # NaN compares false with everything, and shall not pass for no difference.
            difference = max(difference, apart) if apart == apart else float("inf")
            largest = max(largest, float(truth.abs().max()))
        took = [_milliseconds(answer, first[None]) for answer in (of_file, of_network)]
    shapes = {image.shape for image in seen}
    decided = sure_equal / sure if sure else 1.0
    return Agreement(len(seen), len(shapes), equal / pixels, decided, difference, largest, *took)


def _margin(logits: Tensor, size: HeightWidth) -> Tensor:
    """(N, H, W), by how much the best class is ahead of the second; infinite where there is one class."""
    scores = upsample(logits, size)
    if scores.shape[1] == 1:
        return torch.full_like(scores[:, 0], float("inf"))
    best = scores.topk(2, dim=1).values
    return best[:, 0] - best[:, 1]


def _milliseconds(answer: Callable[[Tensor], Any], image: Tensor) -> float:
    """The median of some calls."""
    spans = []
    for _ in range(_TIMED):
        started = time.perf_counter()
        answer(image)
        spans.append(time.perf_counter() - started)
    return 1000 * statistics.median(spans)
