"""The full samples of 16-bit files, of which Pillow hands out the upper bytes where there are colors."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from segshift.data.containers import FORMATS, Header
from segshift.errors import InputError


def deep_samples(path: Path, image: ImageFile, header: Header) -> NDArray[np.uint16]:
    """The samples of a 9- to 16-bit file as stored: (H, W) for grey, (H, W, 3 or 4) for colors.

    A PGM's are as stored too, which Pillow stretches to 0..65535.

    Raises:
        InputError: a layout that cannot be read in full depth, or values outside 0..65535.
    """
    if not header.mode.startswith("I"):
        return _colors(path, image, header)
    pixels = np.asarray(image)
    if pixels.size and (pixels.min() < 0 or pixels.max() > 65535):
        raise InputError(
            f"{path}: holds values from {pixels.min()} to {pixels.max()}; they must lie in 0..65535"
        )
    if header.container == "PPM" and header.top != 65535:
        return unstretched(pixels.astype(np.int64), 65535, header.top).astype(np.uint16)
    return pixels.astype(np.uint16)


def unstretched(pixels: NDArray[Any], shown_top: int, stored_top: int) -> NDArray[Any]:
    """The stored numbers 0..stored_top of pixels that a decoder has stretched to 0..shown_top."""
    return (pixels.astype(np.int64) * stored_top + shown_top // 2) // shown_top


def _colors(path: Path, image: ImageFile, header: Header) -> NDArray[np.uint16]:
    # The same samples read as if their bytes were the other way round yield the lower bytes.
    modes = {_raw_mode(tile) for tile in image.tile}
    layout, _, order = next(iter(modes)).partition(";16")
    if len(modes) != 1 or layout not in ("RGB", "RGBA", "RGBX") or order not in ("B", "L", "N"):
        raise InputError(
            f"{path}: {header.bits}-bit samples of mode {header.mode} in {header.container}, which cannot be "
            f"read in full depth; save it as 8-bit or 16-bit PNG of one or three channels"
        )
    native = "L" if sys.byteorder == "little" else "B"
    stored = native if order == "N" else order
    upper = np.asarray(image).astype(np.uint16)
    other = f"{layout};16{'B' if stored == 'L' else 'L'}"
    with Image.open(path, formats=FORMATS) as again:
        again.tile = [_with_raw_mode(tile, other) for tile in again.tile]
        lower = np.asarray(again)
    samples: NDArray[np.uint16] = upper << 8 | lower
    return samples


def _raw_mode(tile: Any) -> str:
    # A tile is (codec, extents, offset, arguments); a PNG's arguments are the raw mode alone.
    return tile[3] if isinstance(tile[3], str) else str(tile[3][0])


def _with_raw_mode(tile: Any, mode: str) -> Any:
    arguments = mode if isinstance(tile[3], str) else (mode, *tile[3][1:])
    return tile._replace(args=arguments) if hasattr(tile, "_replace") else (*tile[:3], arguments)
