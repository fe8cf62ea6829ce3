"""Reading image and label files: the header is judged before a pixel is decoded, failures are one line."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from segshift.errors import InputError

MAX_PIXELS = 150_000_000
"""Larger files are refused unread. It is below Pillow's own limit, whose handling depends on global state."""

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM")
"""The formats that are tried. Pillow knows more, some of which start other programs."""

LabelKind = Literal["ids", "rgb", "train_ids"]

_ORIENTATION_TAG = 0x0112
_PNG_GREY = 0
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# What Pillow's decoders raise on broken files.
_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    OverflowError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True)
class _PngHeader:
    width: int
    height: int
    bit_depth: int
    color_type: int


def read_image(path: Path) -> NDArray[np.uint8]:
    """The image as (H, W, 3) uint8 RGB, pixels as stored (an EXIF orientation is not applied).

    8-bit grey is repeated into three channels and a palette is resolved; everything else is refused.

    Raises:
        InputError: a file that is missing, broken, too large, 16-bit, or that has an alpha channel.
    """
    with _open(path) as (image, png):
        if (png is not None and png.bit_depth == 16) or image.mode.startswith(("I", "F")):
            raise InputError(f"{path}: a 16-bit image; convert it to 8-bit RGB")
        if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
            raise InputError(
                f"{path}: an image with transparency ({image.mode}); convert it to 8-bit RGB without alpha"
            )
        if image.mode not in ("RGB", "L", "P"):
            raise InputError(f"{path}: an image of mode {image.mode}; convert it to 8-bit RGB")
        return np.array(image.convert("RGB"), np.uint8)


def read_label(path: Path, kind: LabelKind, channel: int | None = None) -> NDArray[Any]:
    """The raw values of a label file, before they become train ids.

    Args:
        path: the file; lossless formats only.
        kind: `ids` or `train_ids` for one number per pixel, `rgb` for colors.
        channel: which channel holds the ids in files that have several (SYNTHIA's 16-bit labels: 0).

    Returns:
        (H, W): uint8 or uint16 ids, or for `rgb` uint32 colors coded as R * 65536 + G * 256 + B.

    Raises:
        InputError: a file that is missing, broken, too large, lossy, or whose channels do not fit `kind`.
    """
    with _open(path) as (image, png):
        if image.format == "JPEG":
            raise InputError(f"{path}: a JPEG label, whose ids compression has changed; save labels as PNG")
        if kind == "rgb":
            return _colors(path, image, png)
        bands = len(image.getbands())
        if channel is not None:
            if not channel < bands:
                raise InputError(
                    f"{path}: the label has {bands} channel(s), none is `labels.channel` = {channel}"
                )
            if bands > 1:
                return _channel(path, image, png, channel)
        elif bands > 1:
            raise InputError(
                f"{path}: the label has {bands} channels ({image.mode}), but `labels.kind` is {kind}; set "
                f"kind: rgb if its colors are classes, or channel: 0 if its first channel holds the ids"
            )
        return _ids(path, image, png)


def orientation(path: Path) -> int:
    """The EXIF orientation of an image file, 1 (as stored) to 8. Raises InputError as `read_image` does."""
    with _open(path) as (image, _):
        value = image.getexif().get(_ORIENTATION_TAG, 1)
        return value if isinstance(value, int) else 1


@contextmanager
def _open(path: Path) -> Iterator[tuple[ImageFile, _PngHeader | None]]:
    png = _png_header(path)
    if png is not None:
        _refuse_large(path, png.width, png.height)
    try:
        with Image.open(path, formats=FORMATS) as image:
            _refuse_large(path, *image.size)
            yield image, png
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(
            f"{path}: claims more than {MAX_PIXELS} pixels; split or shrink the image, or replace "
            f"the damaged file"
        ) from None
    except UnidentifiedImageError:
        raise InputError(
            f"{path}: not an image of a known format ({', '.join(FORMATS)}); replace the file"
        ) from None
    except _DECODING_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: truncated or broken ({reason}); replace the file") from None


def _png_header(path: Path) -> _PngHeader | None:
    # Read by hand: Pillow hides the bit depth of 16-bit RGB and hands out its upper bytes.
    try:
        with path.open("rb") as stream:
            head = stream.read(26)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; restore it or take it out of the data set") from None
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); check the file and its permissions"
        ) from None
    if not head:
        raise InputError(f"{path}: an empty file; replace it")
    if len(head) < 26 or not head.startswith(_PNG_SIGNATURE):
        return None
    return _PngHeader(*struct.unpack(">IIBB", head[16:26]))


def _refuse_large(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{path}: claims {width} x {height} pixels, more than the limit of {MAX_PIXELS}; split or shrink "
            f"the image, or replace the damaged file"
        )


def _colors(path: Path, image: Image.Image, png: _PngHeader | None) -> NDArray[np.uint32]:
    if png is not None and png.bit_depth == 16:
        raise InputError(
            f"{path}: a 16-bit label, but `labels.kind` is rgb; set kind: ids (and channel: 0) or use 8 bit"
        )
    if image.mode not in ("RGB", "P"):
        raise InputError(
            f"{path}: a label of mode {image.mode}, but `labels.kind` is rgb; save it as 8-bit RGB, no alpha"
        )
    rgb = np.asarray(image.convert("RGB")).astype(np.uint32)
    coded: NDArray[np.uint32] = rgb @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    return coded


def _channel(path: Path, image: ImageFile, png: _PngHeader | None, channel: int) -> NDArray[Any]:
    if png is None or png.bit_depth < 16:
        return np.array(np.asarray(image)[..., channel])
    if image.mode not in ("RGB", "RGBA"):
        raise InputError(f"{path}: a 16-bit label of mode {image.mode}; save the ids as a single-channel PNG")
    # Pillow reduces 16-bit colors to their upper bytes, which turns every class id into 0. Reading the same
    # big-endian samples as if they were little-endian ("16L") yields the lower bytes.
    upper = np.asarray(image)[..., channel].astype(np.uint16)
    with Image.open(path, formats=["PNG"]) as again:
        again.tile = [(tile[0], tile[1], tile[2], f"{image.mode};16L") for tile in again.tile]
        lower = np.asarray(again)[..., channel]
    ids: NDArray[np.uint16] = upper << 8 | lower
    return ids


def _ids(path: Path, image: Image.Image, png: _PngHeader | None) -> NDArray[Any]:
    pixels = np.asarray(image)
    if image.mode in ("L", "P"):
        if png is not None and png.color_type == _PNG_GREY and png.bit_depth in (2, 4):
            # Pillow stretches 2- and 4-bit grey to 0..255; ids are the numbers before that.
            pixels = pixels // (255 // (2**png.bit_depth - 1))
        return pixels.astype(np.uint8)
    if image.mode == "1":
        return pixels.astype(np.uint8)
    if image.mode.startswith("I"):
        if pixels.min() < 0 or pixels.max() > 65535:
            raise InputError(
                f"{path}: label ids from {pixels.min()} to {pixels.max()}; ids must lie in 0..65535"
            )
        return pixels.astype(np.uint16)
    raise InputError(
        f"{path}: a label of mode {image.mode}; save the ids as an 8-bit or 16-bit single-channel PNG"
    )
