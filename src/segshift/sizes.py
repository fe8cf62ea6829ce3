"""Sizes of images and maps, typed by the order of their sides: mypy refuses one for the other.

Tensors say (height, width), configurations and files say (width, height).
"""

from typing import TYPE_CHECKING, NewType

from segshift.ranges import Side

if TYPE_CHECKING:
    from torch import Tensor

HeightWidth = NewType("HeightWidth", tuple[int, int])
"""(height, width) in px, the order of tensor shapes."""
WidthHeight = NewType("WidthHeight", tuple[Side, Side])
"""(width, height) in px, the order of configurations and image files."""


def height_width(x: "Tensor") -> HeightWidth:
    """That of a map (..., H, W)."""
    return HeightWidth((x.shape[-2], x.shape[-1]))


def of_tensors(size: WidthHeight) -> HeightWidth:
    """A configuration's size, as tensors say it."""
    return HeightWidth((size[1], size[0]))
