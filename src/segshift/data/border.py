"""The part of images along their edges in which labels and pseudo labels do not count."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from segshift.config import Strict
from segshift.errors import InputError
from segshift.train_ids import IGNORE

if TYPE_CHECKING:
    from torch import Tensor

_Width = Annotated[int, Field(ge=0, le=2**16)]


class Border(Strict):
    """Widths in px at the images' own size, so that resizing, scales, crops and mirroring move it along.

    DAFormer ignores 15 rows at the top and 120 at the bottom of Cityscapes at half its size: what
    rectification left there, and the bonnet.
    """

    top: _Width = 0
    bottom: _Width = 0
    left: _Width = 0
    right: _Width = 0

    def ignored(self, image: "Tensor", label: "Tensor | None", where: str) -> "Tensor":
        """A label that is 255 in the border.

        Args:
            image: (3, H, W).
            label: (H, W) uint8; None stands for 0 everywhere.
            where: the image's name, for messages.

        Raises:
            InputError: nothing is left of the image.
        """
        import torch  # here, since recipes are checked without it

        height, width = image.shape[-2:]
        if self.top + self.bottom >= height or self.left + self.right >= width:
            raise InputError(
                f"{where}: ignored_border leaves nothing of {width} x {height} px; its widths are in px of "
                "the files"
            )
        label = torch.zeros(height, width, dtype=torch.uint8) if label is None else label
        ignored = torch.full_like(label, IGNORE)
        inside = slice(self.top, height - self.bottom), slice(self.left, width - self.right)
        ignored[inside] = label[inside]
        return ignored
