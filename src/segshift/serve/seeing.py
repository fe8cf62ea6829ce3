"""What the served networks say about an uploaded image; the latest answers are kept, within a bound."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray

from segshift.config import did_you_mean
from segshift.data.images import read_image
from segshift.data.labels import ClassSet
from segshift.errors import InputError
from segshift.losses.entropy import self_information
from segshift.models.batch_norm import evaluating
from segshift.models.inference import Band
from segshift.models.inference_config import Inference
from segshift.models.segmenter import Segmenter
from segshift.pictures import Pixels
from segshift.serve.limits import Deadline, Limits, check_uploaded_image, uploaded
from segshift.sizes import HeightWidth

# Of the answers that are kept, and the most that a single one may take.
_KEPT_BYTES, _LARGEST_BYTES = 2**28, 2**27


@dataclass(frozen=True)
class Seen:
    """An image as a network sees it.

    Attributes:
        image: (H, W, 3) uint8 RGB, upright.
        ids: (H, W) uint8 train ids.
        entropy: (H, W) uint8, the entropy of the class probabilities over log C, 255 for 1.
        probabilities: (C, H, W) float16; None where they would take too much memory to be kept.
        classes: their names and colors.
    """

    image: Pixels
    ids: Pixels
    entropy: Pixels
    probabilities: NDArray[np.float16] | None
    classes: ClassSet

    @property
    def nbytes(self) -> int:
        """Of the arrays."""
        arrays = (self.image, self.ids, self.entropy, self.probabilities)
        return sum(array.nbytes for array in arrays if array is not None)

    def shares(self) -> dict[str, float]:
        """The share of the pixels of every class that occurs, the largest first."""
        counts = np.bincount(self.ids.ravel(), minlength=self.classes.count)
        order = np.argsort(-counts, kind="stable")
        return {
            self.classes.names[index]: float(counts[index] / self.ids.size)
            for index in order
            if counts[index]
        }


@dataclass
class Viewer:
    """Networks by name, and what they said last.

    Attributes:
        models: on their device, in evaluation mode.
        folder: that uploads lie in.
        inference: how the networks see images.
        limits: of an image and a request.
    """

    models: Mapping[str, Segmenter]
    folder: Path
    inference: Inference = field(default_factory=Inference)
    limits: Limits = field(default_factory=Limits)
    _kept: OrderedDict[tuple[str, int, int, str], Seen] = field(default_factory=OrderedDict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def model(self, name: str) -> Segmenter:
        """The network of a name. Raises InputError for one that is not served."""
        if name not in self.models:
            names = ", ".join(self.models)
            raise InputError(
                f"model {name!r}: is not served{did_you_mean(name, list(self.models))}; take {names}"
            )
        return self.models[name]

    def see(self, path: str | Path, name: str, deadline: Deadline | None = None) -> Seen:
        """An uploaded image as a network sees it.

        Raises:
            InputError: no uploaded file, no image, too many pixels, no such network, or no time left.
        """
        segmenter, file = self.model(name), uploaded(path, self.folder, self.limits)
        status = file.stat()
        key = (str(file), status.st_size, status.st_mtime_ns, name)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        seen = self._look(self._read(file), segmenter, deadline or self.limits.deadline())
        self._keep(key, seen)
        return seen

    def pixel(self, path: str | Path, name: str, x: int, y: int) -> dict[str, float]:
        """The probability of every class at a pixel, counted from the upper left corner.

        Raises:
            InputError: as `see`, or a pixel outside the image.
        """
        seen = self.see(path, name)
        height, width = seen.ids.shape
        if not (0 <= x < width and 0 <= y < height):
            raise InputError(f"pixel ({x}, {y}): lies outside the image of {width} x {height} pixels")
        if seen.probabilities is not None:
            found = seen.probabilities[:, y, x].tolist()
        else:
            for band in self._bands(seen.image, self.model(name), self.limits.deadline()):
                if band.rows.start <= y < band.rows.stop:
                    found = band.probabilities[0, :, y - band.rows.start, x].tolist()
        return dict(zip(seen.classes.names, found, strict=True))

    def _read(self, file: Path) -> Pixels:
        check_uploaded_image(file, self.limits)
        return read_image(file, upright=True)

    def _look(self, image: Pixels, segmenter: Segmenter, deadline: Deadline) -> Seen:
        height, width = image.shape[:2]
        classes = segmenter.classes
        ids, entropy = np.empty((2, height, width), np.uint8)
        affordable = 2 * classes.count * height * width + 5 * height * width <= _LARGEST_BYTES
        probabilities = np.empty((classes.count, height, width), np.float16) if affordable else None
        for band in self._bands(image, segmenter, deadline):
            ids[band.rows] = band.ids[0].cpu().numpy()
            shares = band.probabilities
            information = self_information(shares, normalized=True).sum(dim=1)[0].clamp(0, 1)
            entropy[band.rows] = (255 * information).round().byte().cpu().numpy()
            if probabilities is not None:
                probabilities[:, band.rows] = shares[0].half().cpu().numpy()
        return Seen(image, ids, entropy, probabilities, classes)

    def _bands(self, image: Pixels, segmenter: Segmenter, deadline: Deadline) -> Iterator[Band]:
        size = HeightWidth(image.shape[:2])
        with evaluating(segmenter), torch.inference_mode():
            images = torch.from_numpy(image).permute(2, 0, 1)[None].to(segmenter.device)
            yield from deadline.watch(self.inference.bands([segmenter], images, size))

    def _keep(self, key: tuple[str, int, int, str], seen: Seen) -> None:
        if seen.nbytes > _LARGEST_BYTES:
            return
        with self._lock:
            self._kept[key] = seen
            while sum(one.nbytes for one in self._kept.values()) > _KEPT_BYTES:
                self._kept.popitem(last=False)
