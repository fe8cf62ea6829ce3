"""Labels as they are stored: one number or color per pixel, from lossless files only."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL.ImageFile import ImageFile

from segshift.data.containers import Header, open_picture
from segshift.data.sixteen_bits import deep_samples, unstretched
from segshift.errors import InputError

LabelKind = Literal["ids", "rgb", "train_ids"]

_COLORS = ("RGB", "RGBA", "RGBX", "P")
_CHANNELS = ("RGB", "RGBA", "RGBX", "LA", "PA")
_NUMBERS = ("L", "P", "1")


def read_label(path: Path, kind: LabelKind, channel: int | None = None) -> NDArray[Any]:
    """The raw values of a label file, before they become train ids.

    Numbers are those that the file stores, also where decoders stretch them: grey of 1 to 7 bits, and PGM
    below its maximum.

    Args:
        path: the file; lossless formats only.
        kind: `ids` or `train_ids` for one number per pixel, `rgb` for colors.
        channel: which channel holds the ids in files that have several (SYNTHIA's 16-bit labels: 0).

    Returns:
        (H, W): uint8 or uint16 ids, or for `rgb` uint32 colors coded as R * 65536 + G * 256 + B.

    Raises:
        InputError: a file that is missing, broken, too large, lossy, or whose channels do not fit `kind`.
    """
    with open_picture(path) as (image, header):
        bands = len(image.getbands())
        check_label_header(path, header, kind, channel, bands)
        if kind == "rgb":
            return _coded_colors(path, image, header)
        if bands == 1:
            return _numbers(path, image, header)
        return _channel(path, image, header, channel or 0)


def check_label(path: Path, kind: LabelKind, channel: int | None = None) -> Header:
    """The label's header, if it fits; no pixel is decoded. Raises InputError as `read_label` does."""
    with open_picture(path) as (image, header):
        check_label_header(path, header, kind, channel, len(image.getbands()))
        return header


def check_label_header(path: Path, header: Header, kind: LabelKind, channel: int | None, bands: int) -> None:
    """Raises InputError for a header that no label of this kind may have."""
    if header.lossy:
        raise InputError(
            f"{path}: a {header.lossy} label, whose {'colors' if kind == 'rgb' else 'ids'} compression has "
            f"changed; save labels as PNG"
        )
    problem = header.odd or (f"a file of {header.pages} pictures" if header.pages > 1 else "")
    if header.white_is_zero:
        problem = f"a {header.container} label in which 0 is white, so that its numbers may be meant inverted"
    if problem:
        raise InputError(f"{path}: {problem}; save labels as single-channel PNG")
    if kind == "rgb":
        _check_colors(path, header)
    elif channel is not None and not channel < bands:
        raise InputError(f"{path}: the label has {bands} channel(s), none is `labels.channel` = {channel}")
    elif channel is None and bands > 1:
        raise InputError(
            f"{path}: the label has {bands} channels ({header.mode}), but `labels.kind` is {kind}; set "
            f"kind: rgb if its colors are classes, or channel: 0 if its first channel holds the ids"
        )
    elif bands > 1:
        _check_channels(path, header)
    elif header.mode not in _NUMBERS and not header.mode.startswith("I"):
        raise InputError(
            f"{path}: a label of mode {header.mode}; save the ids as an 8-bit or 16-bit single-channel PNG"
        )


def _check_colors(path: Path, header: Header) -> None:
    if header.bits > 8:
        raise InputError(
            f"{path}: a {header.bits}-bit label, but `labels.kind` is rgb; set kind: ids (and channel: 0) or "
            f"use 8 bit"
        )
    if header.mode not in _COLORS:
        raise InputError(
            f"{path}: a label of mode {header.mode}, but `labels.kind` is rgb; save it as 8-bit RGB, no alpha"
        )


def _check_channels(path: Path, header: Header) -> None:
    deep_pnm = header.container == "PPM" and header.bits > 8
    if header.mode not in _CHANNELS or deep_pnm or (header.bits > 8 and header.mode in ("LA", "PA")):
        raise InputError(
            f"{path}: a {header.bits}-bit label of mode {header.mode} in {header.container}; save the ids as "
            f"a single-channel PNG"
        )


def _coded_colors(path: Path, image: ImageFile, header: Header) -> NDArray[np.uint32]:
    if header.mode == "RGBA" and np.asarray(image)[..., 3].min(initial=255) < 255:
        raise InputError(
            f"{path}: a label of mode RGBA that is not opaque everywhere; save it as 8-bit RGB, no alpha"
        )
    rgb = np.asarray(image.convert("RGB")).astype(np.uint32)
    coded: NDArray[np.uint32] = rgb @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    return coded


def _channel(path: Path, image: ImageFile, header: Header, channel: int) -> NDArray[Any]:
    if header.bits > 8:
        return np.ascontiguousarray(deep_samples(path, image, header)[..., channel])
    pixels = np.asarray(image)[..., channel]
    if header.container == "PPM" and header.top < 255:
        pixels = unstretched(pixels, 255, header.top)
    return np.array(pixels, np.uint8)


def _numbers(path: Path, image: ImageFile, header: Header) -> NDArray[Any]:
    if header.mode.startswith("I"):
        if header.bits <= 16 and header.container != "TIFF":
            return deep_samples(path, image, header)
        pixels = np.asarray(image)
        if pixels.min() < 0 or pixels.max() > 65535:
            raise InputError(
                f"{path}: label ids from {pixels.min()} to {pixels.max()}; ids must lie in 0..65535"
            )
        return pixels.astype(np.uint16)
    pixels = np.asarray(image)
    if header.mode == "L" and header.top < 255:
        # Decoders stretch grey of few bits to 0..255; ids are the numbers before that.
        pixels = unstretched(pixels, 255, header.top)
    return pixels.astype(np.uint8)
