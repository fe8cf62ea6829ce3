"""The resize rules: one for what a network puts out, one for the images it takes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from segshift.errors import InputError
from segshift.sizes import HeightWidth, height_width


def check_least_px(x: Tensor, least_px: int, got: str, remedy: str) -> None:
    """Refuse maps that a network would shrink to nothing.

    Args:
        x: (N, C, H, W).
        least_px: smallest H and W.
        got: who got what, for the message: "the discriminator got an image".
        remedy: what to do.

    Raises:
        InputError: H or W is less than `least_px`.
    """
    height, width = x.shape[-2:]
    if min(height, width) < least_px:
        raise InputError(f"{got} of {width}x{height}, it needs {least_px} pixels each way; {remedy}")


def is_recorded() -> bool:
    """Whether a program is being made of the network (export, tracing), which must hold for all sizes.

    Then nothing may depend on what two sizes happen to be; resizing to one's own size changes nothing.
    """
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None


def upsample(x: Tensor, size: HeightWidth) -> Tensor:
    """Logits, probabilities or discriminator maps at another resolution: bilinear, `align_corners=True`.

    Every map in the toolkit is resized by this function, in training and in evaluation, because the
    choice of `align_corners` alone has moved published results by 1.6 points of mIoU.

    Args:
        x: (N, C, h, w) floating point.
        size: (height, width) of the result.

    Returns:
        (N, C, height, width); `x` itself when it has that size.

    Example:
        >>> import torch
        >>> upsample(torch.tensor([[[[0.0, 1.0]]]]), (1, 3))  # align_corners=True: the ends stay
        tensor([[[[0.0000, 0.5000, 1.0000]]]])
    """
    if not is_recorded() and height_width(x) == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


def resize_images(images: Tensor, size: HeightWidth) -> Tensor:
    """Images at another resolution: bilinear, with anti-aliasing when they shrink.

    Args:
        images: (..., 3, H, W), uint8 or floating point.
        size: (height, width) of the result.

    Returns:
        (..., 3, height, width) of the same type; `images` itself when it has that size.
    """
    if is_recorded():
        return _resized_program(images, size)
    if height_width(images) == size:
        return images
    resized: Tensor = transforms.resize(
        images, list(size), interpolation=InterpolationMode.BILINEAR, antialias=True
    )
    return resized


def enlarge_small(network: nn.Module, least_px: int) -> None:
    """Let a network see images with a shorter side as if that side had `least_px` pixels.

    Stages and attention that shrink by fixed factors have nothing left of smaller ones. A hook, so that the
    names of its weights stay. A program that is made of the network (export) keeps its own limits.
    """

    def enlarged(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        images, *others = inputs
        if is_recorded():
            return inputs
        height, width = height_width(images)
        return (resize_images(images, HeightWidth((max(height, least_px), max(width, least_px)))), *others)

    network.register_forward_pre_hook(enlarged)


def _resized_program(images: Tensor, size: HeightWidth) -> Tensor:
    """`resize_images` of (N, 3, H, W) by operations that every runtime has.

    Of uint8, PyTorch's kernel resizes the rows, rounds, then resizes the columns and rounds again; so does
    this, with the same values but for rare ties.
    """
    resized = images.float()
    for step in (HeightWidth((images.shape[-2], size[1])), size):
        resized = F.interpolate(resized, size=step, mode="bilinear", antialias=True)
        if images.dtype == torch.uint8:
            resized = (resized + 0.5).floor().clamp(0, 255)
    return resized.to(images.dtype)
