"""Images as 8-bit RGB: what converts without doubt is converted, the rest is refused by name."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from segshift.data.containers import Header, open_picture
from segshift.data.sixteen_bits import deep_samples
from segshift.errors import InputError

_PLAIN = {"RGB": "", "L": "grey", "P": "palette", "1": "black and white", "CMYK": "CMYK", "YCbCr": "YCbCr"}
_DEPTHS = (8, 10, 12, 14, 16)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(path: Path, *, upright: bool = False) -> NDArray[np.uint8]:
    """The image as (H, W, 3) uint8 RGB.

    Grey, palettes, CMYK and an alpha channel that is opaque everywhere convert to RGB. Of 16-bit samples the
    range becomes 0..255: the one that the file tells (a PGM's maximum, a PNG's sBIT, 12-bit TIFF), else the
    smallest of 8, 10, 12, 14 and 16 bits that holds the image's largest value.

    Args:
        path: the file.
        upright: turn the pixels as the EXIF orientation says. Data sets are read without: their labels are
            drawn on the pixels as they are stored.

    Raises:
        InputError: a file that is missing, broken, too large, or an image that does not convert without
            doubt: transparent, of 32 bits or float, of several pages.
    """
    with open_picture(path) as (image, header):
        pixels = _rgb(path, image, header)
    if not upright or header.orientation == 1:
        return pixels
    return np.array(Image.fromarray(pixels).transpose(_TURNS[header.orientation]))


def as_stored(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Pixels of an upright image, (H, W) or (H, W, 3), as the file of that EXIF orientation stores them."""
    if orientation == 1:
        return pixels
    # Only a quarter turn is not its own inverse.
    back = {6: 8, 8: 6}.get(orientation, orientation)
    return np.array(Image.fromarray(pixels).transpose(_TURNS[back]))


def check_image(path: Path) -> Header:
    """The header of an image that `read_image` takes; pixels are decoded only where they may be transparent.

    Raises:
        InputError: as `read_image`, apart from what only decoding shows.
    """
    with open_picture(path) as (image, header):
        _refuse(path, header)
        if _may_be_transparent(header) or "transparency" in image.info:
            _rgb(path, image, header)
        return header


def _refusal(header: Header) -> str:
    """Why an image of this header is refused, in words, or nothing; the pixels may still be transparent."""
    if header.odd:
        return header.odd
    if header.pages > 1:
        return f"a file of {header.pages} pictures"
    if header.mode.startswith("F") or header.bits > 16 or (header.mode == "I" and header.container == "TIFF"):
        return f"an image of mode {header.mode} ({header.bits}-bit samples)"
    known = header.mode in _PLAIN or header.mode.startswith("I") or _may_be_transparent(header)
    return "" if known else f"an image of mode {header.mode}"


def conversion(header: Header) -> str:
    """What an image of this header is converted from, in words; empty for 8-bit RGB."""
    if header.bits > 8:
        return "16-bit" if not header.top_is_told else f"{header.top.bit_length()}-bit"
    return _PLAIN.get(header.mode, header.mode)


def used_bits(path: Path) -> int:
    """How many bits `read_image` takes the samples of a 9- to 16-bit file for that does not tell its range.

    Raises:
        InputError: as `read_image`.
    """
    with open_picture(path) as (image, header):
        samples = deep_samples(path, image, header)
    return _used_bits(samples if samples.ndim == 2 else samples[..., :3])


def _used_bits(samples: NDArray[np.uint16]) -> int:
    largest = int(samples.max(initial=0))
    return next(depth for depth in _DEPTHS if largest < 2**depth)


def _may_be_transparent(header: Header) -> bool:
    return header.mode in ("RGBA", "LA", "PA", "La", "RGBa")


def _rgb(path: Path, image: ImageFile, header: Header) -> NDArray[np.uint8]:
    _refuse(path, header)
    if header.bits > 8 and (header.container != "PPM" or header.mode == "I"):
        return _eight_bits(path, header, deep_samples(path, image, header))
    if _may_be_transparent(header) or "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA"))
        _refuse_transparent(path, header, rgba[..., 3], 255)
        return np.ascontiguousarray(rgba[..., :3])
    return _converted(image)


def _converted(image: ImageFile) -> NDArray[np.uint8]:
    """Some rows at a time: Pillow's copies of a whole picture take four times its size."""
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    step = max(1, 2**20 // max(1, width))
    for top in range(0, height, step):
        rows = image.crop((0, top, width, min(top + step, height)))
        pixels[top : top + step] = np.asarray(rows.convert("RGB"))
    return pixels


def _refuse(path: Path, header: Header) -> None:
    reason = _refusal(header)
    if reason:
        raise InputError(f"{path}: {reason}; convert it to 8-bit RGB")


def _eight_bits(path: Path, header: Header, samples: NDArray[np.uint16]) -> NDArray[np.uint8]:
    if samples.ndim == 3 and samples.shape[2] == 4:
        _refuse_transparent(path, header, samples[..., 3], 65535)
        samples = samples[..., :3]
    top = header.top if header.top_is_told else 2 ** _used_bits(samples) - 1
    # A table of all values; rounded to the nearest.
    table = np.minimum((np.arange(65536) * 510 + top) // (2 * top), 255).astype(np.uint8)
    pixels = table[samples]
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def _refuse_transparent(path: Path, header: Header, alpha: NDArray[np.integer], opaque: int) -> None:
    share = float((alpha < opaque).mean()) if alpha.size else 0.0
    if share:
        raise InputError(
            f"{path}: an image with transparency ({header.mode}, {share:.1%} of its pixels are not opaque); "
            f"convert it to 8-bit RGB without alpha"
        )
