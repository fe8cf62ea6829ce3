"""What pixels say: photographs have many values and noise, label maps few values in even areas."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segshift.data.containers import open_picture, read_header
from segshift.data.sixteen_bits import deep_samples
from segshift.errors import InputError

Appearance = Literal["photo", "map"]
_FEW_VALUES = 256
_EVEN = 0.7
"""Share of equal neighbors from which a picture of few values is a label map, whatever its name says."""


@dataclass(frozen=True)
class Form:
    """How a label file stores its values: Pillow's mode, and whether a sample has 16 bits."""

    mode: str
    sixteen_bits: bool


def appearance(path: Path) -> Appearance | None:
    """A photograph, a label map, or None: unreadable, or it could be either."""
    try:
        with open_picture(path) as (image, header):
            if header.lossy:
                return "photo"
            deep = header.bits > 8 and header.mode != "I"
            pixels = deep_samples(path, image, header) if deep else np.asarray(image)
    except InputError:
        return None
    if pixels.ndim == 3 and pixels.shape[2] == 2:
        pixels = pixels[..., 0]
    values = _as_numbers(pixels[..., :3] if pixels.ndim == 3 else pixels)
    few = np.unique(values).size <= _FEW_VALUES
    even = float((values[:, 1:] == values[:, :-1]).mean()) if values.shape[1] > 1 else 1.0
    if not few:
        # No colored label has that many colors; one number per pixel may be a depth.
        return "photo" if pixels.ndim == 3 else None
    return "map" if even >= _EVEN else None


def form(path: Path) -> Form | None:
    """How a file stores its values; None if it cannot be opened."""
    try:
        header = read_header(path)
    except InputError:
        return None
    return Form(header.mode, header.bits > 8)


def _as_numbers(pixels: NDArray[np.generic]) -> NDArray[np.int64]:
    if pixels.ndim == 2:
        return pixels.astype(np.int64)
    parts = pixels.astype(np.int64)
    numbers = np.zeros(parts.shape[:2], np.int64)
    for channel in range(parts.shape[2]):
        numbers = numbers << 16 | parts[..., channel]
    return numbers
