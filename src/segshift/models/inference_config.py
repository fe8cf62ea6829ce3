"""How networks see images: settings that a recipe is checked against without PyTorch."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationInfo, field_validator

from segshift.config import Strict
from segshift.ranges import Scales
from segshift.sizes import Fit, HeightWidth, WidthHeight

if TYPE_CHECKING:
    from torch import Tensor

    from segshift.models.inference import Band
    from segshift.models.segmenter import Segmenter

InputSize = WidthHeight | Literal["native"] | None


class Inference(Strict):
    """How a network sees images, in evaluation, prediction, pseudo labels, selection and YAML.

    Class scores are up-sampled to the wanted size (bilinear, align_corners=True); where several views of an
    image are asked for, their probabilities are averaged.

    Attributes:
        input_size: (width, height) in px to which images are resized; `native` keeps their own size; null
            takes the network's `config.input_size`, whose null is the images' own size.
        fit: what becomes of images with other proportions: `stretch` changes them, `cover` scales until both
            sides are at least the input size's, `pad` until both fit into it. null takes the network's
            `config.input_fit`.
        window: (width, height) in px of a sliding window over the resized images; null sees them whole, up to
            `WHOLE_PIXELS`: larger ones are seen in square windows that `automatic_window` chooses.
        stride: (x, y) in px from window to window, at most the window; null is two thirds of it.
        scales: factors of the size at which the network sees an image (multi-scale test).
        flip: see every scale mirrored, too.

    Source: FADA's multi-scale test (scales 0.7, 1.0, 1.3 with flips) and DeepLab-v2's.
    """

    input_size: InputSize = None
    fit: Fit | None = None
    window: WidthHeight | None = None
    stride: WidthHeight | None = None
    scales: Scales = (1.0,)
    flip: bool = False

    @field_validator("stride")
    @classmethod
    def _within_window(cls, stride: WidthHeight | None, info: ValidationInfo) -> WidthHeight | None:
        window = info.data.get("window")
        if stride is None:
            return None
        if window is None:
            raise ValueError("is the step of a sliding window; give `window` as well")
        if stride[0] > window[0] or stride[1] > window[1]:
            raise ValueError(f"must be at most the window, {window[0]}x{window[1]}, or pixels are missed")
        return stride

    def size_for(self, segmenter: "Segmenter") -> WidthHeight | None:
        """(width, height) at which a network sees images at scale 1; None is their own size."""
        size = self.input_size or segmenter.config.input_size
        return None if size == "native" else size

    def fit_for(self, segmenter: "Segmenter") -> Fit:
        """What becomes of images whose proportions are not the size's."""
        return self.fit or segmenter.config.input_fit

    def seen(self, segmenter: "Segmenter", images: "Tensor") -> "Tensor":
        """Images as a network takes them: whole, unmirrored, at scale 1.

        Args:
            segmenter: on the device where it shall run.
            images: (N, 3, H, W) RGB, uint8 or in [0, 1].

        Returns:
            (N, 3, height, width) on the segmenter's device, normalized.
        """
        # Loads PyTorch, which reading a recipe does without.
        from segshift.models.inference import seen_by

        return seen_by(self, segmenter, images)

    def bands(self, networks: Sequence["Segmenter"], images: "Tensor", size: HeightWidth) -> Iterator["Band"]:
        """The class scores of images from top to bottom; one band, unless they would take more than a GiB.

        Bands differ from the whole by rounding alone (1e-6 of a probability), and for a given image, network
        and settings the windows are always the same.

        Args:
            networks: for the same classes, on one device, in the mode they are in. The scores of several
                (an ensemble) are the sum of their probabilities; each sees images at its own size.
            images: (N, 3, H, W) RGB, uint8 or in [0, 1], on their device.
            size: (height, width) of the result.

        Raises:
            InputError: scores that are not finite.
        """
        from segshift.models.inference import bands

        yield from bands(self, networks, images, size)

    def probabilities(self, networks: Sequence["Segmenter"], images: "Tensor", size: HeightWidth) -> "Tensor":
        """(N, C, height, width), sums to 1 over the classes. See `bands`, which needs less memory."""
        import torch

        return torch.cat([band.probabilities for band in self.bands(networks, images, size)], dim=2)

    def ids(self, networks: Sequence["Segmenter"], images: "Tensor", size: HeightWidth) -> "Tensor":
        """The most probable class of every pixel: (N, height, width) uint8. See `bands`."""
        from segshift.models.inference import class_ids

        return class_ids(self, networks, images, size)
