"""What a network says about images in any form: class ids, probabilities, pictures."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from segshift.data.labels import ClassSet
from segshift.errors import InputError
from segshift.models.batch_norm import evaluating
from segshift.models.inference_config import Inference
from segshift.models.pixels import pixels_of
from segshift.pictures import colorize, overlay
from segshift.sizes import height_width

if TYPE_CHECKING:
    from segshift.models.segmenter import Segmenter

OneImage = str | Path | Image.Image | NDArray[Any] | Tensor


@dataclass(frozen=True)
class Prediction:
    """One image's prediction.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        ids: (H, W) uint8 train ids.
        probabilities: (C, H, W) float32, sums to 1 over the classes.
        classes: their names and colors.
    """

    image: NDArray[np.uint8]
    ids: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    classes: ClassSet

    def __repr__(self) -> str:
        """The size, and the classes by their share of the pixels."""
        height, width = self.ids.shape
        counts = np.bincount(self.ids.ravel(), minlength=self.classes.count)
        most = sorted(np.flatnonzero(counts).tolist(), key=lambda one: -counts[one])
        shares = [f"{self.classes.names[one]} {counts[one] / self.ids.size:.0%}" for one in most]
        return f"Prediction({width} x {height} px: {', '.join(shares)})"

    @property
    def confidence(self) -> NDArray[np.float32]:
        """(H, W), the largest probability of every pixel."""
        largest: NDArray[np.float32] = self.probabilities.max(axis=0)
        return largest

    @property
    def color(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB, the classes' colors."""
        return colorize(self.ids, self.classes)

    def overlay(self, alpha: float = 0.5) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB, the colors on the image; `alpha` is their share."""
        return overlay(self.image, self.ids, self.classes, alpha)


def is_batch(images: OneImage | Iterable[OneImage]) -> bool:
    """Whether several images are meant: any iterable, or an array or tensor of four dimensions."""
    if isinstance(images, np.ndarray | Tensor):
        return images.ndim == 4
    return isinstance(images, Iterable) and not isinstance(images, str | Path | Image.Image)


def predict_ids(
    segmenter: "Segmenter", images: Iterable[OneImage], inference: Inference, batch_size: int
) -> Iterator[NDArray[np.uint8]]:
    """(H, W) uint8 train ids of each image; see `Segmenter.predict`."""
    for batch in _batches(images, batch_size):
        with evaluating(segmenter), torch.inference_mode():
            size = height_width(batch)
            yield from inference.ids([segmenter], batch.to(segmenter.device), size).cpu().numpy()


def predict_all(
    segmenter: "Segmenter", images: Iterable[OneImage], inference: Inference, batch_size: int
) -> Iterator[Prediction]:
    """Everything about each image; see `Segmenter.predict`."""
    for batch in _batches(images, batch_size):
        with evaluating(segmenter), torch.inference_mode():
            size = height_width(batch)
            bands = list(inference.bands([segmenter], batch.to(segmenter.device), size))
            ids = torch.cat([band.ids for band in bands], dim=1).cpu().numpy()
            probabilities = torch.cat([band.probabilities for band in bands], dim=2).float().cpu().numpy()
        if batch.is_floating_point():
            batch = (255 * batch).round().byte()
        seen = batch.permute(0, 2, 3, 1).cpu().numpy()
        for parts in zip(seen, ids, probabilities, strict=True):
            yield Prediction(*parts, segmenter.classes)


def _batches(images: Iterable[OneImage], batch_size: int) -> Iterator[Tensor]:
    """Neighbors of equal size and type together: (N, 3, H, W) uint8 or in [0, 1]."""
    if batch_size < 1:
        raise InputError(f"predict: batch_size = {batch_size}; give 1 or more")
    waiting: list[Tensor] = []
    for image in images:
        pixels = pixels_of(image)
        if waiting and (
            len(waiting) == batch_size
            or (pixels.shape, pixels.dtype, pixels.device)
            != (waiting[0].shape, waiting[0].dtype, waiting[0].device)
        ):
            yield torch.stack(waiting)
            waiting = []
        waiting.append(pixels)
    if waiting:
        yield torch.stack(waiting)
