"""Pictures in any form as the tensors that networks take."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from segshift.data.images import read_image
from segshift.errors import InputError
from segshift.files import expanded
from segshift.models.resize import resize_images
from segshift.sizes import WidthHeight, of_tensors

# Modes of Pillow that become RGB without doubt, and NumPy's types that PyTorch knows.
_CONVERT = ("L", "P", "1", "CMYK", "YCbCr")
_TYPES = (np.uint8, np.float16, np.float32, np.float64)


def pixels_of(image: str | Path | Image.Image | NDArray[Any] | Tensor, where: str = "predict") -> Tensor:
    """One image as a (3, H, W) RGB tensor: uint8, or floats in [0, 1] where such were given.

    Args:
        image: a file (turned upright as its EXIF orientation says), a PIL image, an (H, W, 3) array or a
            (3, H, W) tensor; arrays and tensors of uint8, or of floats in [0, 1].
        where: what messages begin with.

    Raises:
        InputError: an unreadable file, anything but three channels, another type, or values outside [0, 1].
    """
    if isinstance(image, Tensor):
        pixels, shape, wanted = image.detach(), tuple(image.shape), "(3, H, W)"
        given = f"{str(image.dtype).removeprefix('torch.')} tensor"
    else:
        array = _array(image, where)
        shape, wanted, given = array.shape, "(H, W, 3)", f"{array.dtype} array"
        known = array.ndim == 3 and array.dtype in _TYPES
        pixels = torch.from_numpy(array.copy(order="C")).permute(2, 0, 1) if known else torch.empty(0)
    numbers = pixels.dtype == torch.uint8 or pixels.is_floating_point()
    if pixels.ndim != 3 or len(pixels) != 3 or pixels.numel() == 0 or not numbers:
        raise InputError(
            f"{where}: got a {given} of shape {shape}; give {wanted} uint8, RGB, or floats in [0, 1]"
        )
    if pixels.dtype == torch.uint8:
        return pixels
    least, most = float(pixels.min()), float(pixels.max())
    if not (least >= 0 and most <= 1):
        raise InputError(
            f"{where}: the values of the {given} go from {least:g} to {most:g}; give uint8, or floats in "
            "[0, 1] before any normalisation"
        )
    return pixels.float()


def _array(image: str | Path | Image.Image | NDArray[Any], where: str) -> NDArray[Any]:
    if isinstance(image, str | Path):
        path = expanded(image)
        if path.is_dir():
            raise InputError(f"{where}: {path} is a folder; give its images, or use `segshift predict`")
        return read_image(path, upright=True)
    if not isinstance(image, Image.Image):
        return np.asarray(image)
    opaque = image.mode in ("LA", "RGBA") and image.getextrema()[-1] == (255, 255)
    if (image.mode not in ("RGB", *_CONVERT) and not opaque) or "transparency" in image.info:
        # Pillow cuts deep samples off at 255 instead of scaling them, which the reader of files does.
        remedy = "give its file" if image.mode[0] in "IF" else "use image.convert('RGB')"
        raise InputError(f"{where}: got a PIL image of mode {image.mode}; {remedy}")
    return np.asarray(image.convert("RGB"))


def network_input(images: Tensor, input_size: WidthHeight | None = None) -> Tensor:
    """Images as the network takes them, before normalisation.

    Args:
        images: (N, 3, H, W), uint8 or in [0, 1].
        input_size: (width, height) in px; None keeps the size.

    Returns:
        (N, 3, height, width) in [0, 1].
    """
    if input_size is not None:
        images = resize_images(images, of_tensors(input_size))
    return images.float() / 255 if images.dtype == torch.uint8 else images
