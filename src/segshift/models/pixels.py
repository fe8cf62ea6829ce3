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


def pixels_of(image: str | Path | Image.Image | NDArray[Any] | Tensor) -> Tensor:
    """One image as a (3, H, W) uint8 RGB tensor.

    Args:
        image: a file, an RGB PIL image, an (H, W, 3) uint8 array or a (3, H, W) uint8 tensor.

    Raises:
        InputError: an unreadable file, or anything but three channels of 8 bits.
    """
    if isinstance(image, Tensor):
        if image.ndim != 3 or image.shape[0] != 3 or image.dtype != torch.uint8 or image.numel() == 0:
            kind, shape = str(image.dtype).removeprefix("torch."), tuple(image.shape)
            raise InputError(f"predict: got a {kind} tensor of shape {shape}; give (3, H, W) uint8, RGB")
        return image
    if isinstance(image, str | Path):
        image = read_image(expanded(image), upright=True)
    elif isinstance(image, Image.Image):
        if image.mode != "RGB":
            raise InputError(f"predict: got a PIL image of mode {image.mode}; use image.convert('RGB')")
        image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise InputError(
            f"predict: got a {image.dtype} array of shape {image.shape}; give (H, W, 3) uint8, RGB"
        )
    return torch.from_numpy(np.ascontiguousarray(image).copy()).permute(2, 0, 1)


def network_input(images: Tensor, input_size: tuple[int, int] | None = None) -> Tensor:
    """Images as the network takes them, before normalisation.

    Args:
        images: (N, 3, H, W), uint8 or in [0, 1].
        input_size: (width, height) in px; None keeps the size.

    Returns:
        (N, 3, height, width) in [0, 1].
    """
    if input_size is not None:
        images = resize_images(images, (input_size[1], input_size[0]))
    return images.float() / 255 if images.dtype == torch.uint8 else images
