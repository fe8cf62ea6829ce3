"""Sizes of images and maps, typed by the order of their sides: mypy refuses one for the other.

Tensors say (height, width), configurations and files say (width, height).
"""

from typing import TYPE_CHECKING, Literal, NewType

from segshift.ranges import Side

if TYPE_CHECKING:
    from torch import Tensor

HeightWidth = NewType("HeightWidth", tuple[int, int])
"""(height, width) in px, the order of tensor shapes."""
WidthHeight = NewType("WidthHeight", tuple[Side, Side])
"""(width, height) in px, the order of configurations and image files."""

Fit = Literal["stretch", "cover", "pad"]
"""What becomes of an image whose proportions are not those of the size it is resized to."""


def fitted(own: WidthHeight, box: WidthHeight, fit: Fit) -> WidthHeight:
    """The (width, height) to which an image of size `own` is resized for `box`.

    `stretch` takes the box and changes proportions; `cover` scales until both sides are at least as long as
    the box's, `pad` until both fit into it.
    """
    if fit == "stretch":
        return box
    choose = max if fit == "cover" else min
    factor = choose(box[0] / own[0], box[1] / own[1])
    width, height = (max(1, round(side * factor)) for side in own)
    # Rounding must not leave a side a pixel short of the box, or beyond it.
    return WidthHeight((choose(width, box[0]), choose(height, box[1])))


def height_width(x: "Tensor") -> HeightWidth:
    """That of a map (..., H, W)."""
    return HeightWidth((x.shape[-2], x.shape[-1]))


def of_tensors(size: WidthHeight) -> HeightWidth:
    """A configuration's size, as tensors say it."""
    return HeightWidth((size[1], size[0]))
