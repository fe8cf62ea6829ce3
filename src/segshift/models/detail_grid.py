"""All details of an image in one batch, by operations that hold for every size: what programs are made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from segshift.models.resize import upsample
from segshift.models.segmenter_output import SegmenterOutput
from segshift.sizes import HeightWidth, height_width


def details_at_once(
    whole: Tensor,
    window: HeightWidth,
    cell_px: int,
    shrink: int,
    look: Callable[[Tensor], SegmenterOutput],
) -> list[Tensor]:
    """What `look` says of every window of images, seen in one batch and put at their places.

    The windows and the result are those of `DetailWindows` in evaluation mode and of the loop over them in
    `MultiResolution`, but nothing is a Python loop whose length is an image's, which a program would hold
    unrolled for a single size.

    Args:
        whole: (N, 3, H, W), sides are multiples of `shrink * cell_px`.
        window: (height, width) in cells of the context, cut to the image's size.
        cell_px: stride of the logits.
        shrink: how many of these are a side of a cell of the context.
        look: the network at a single resolution.

    Returns:
        Each classifier's (N, C, H / cell_px, W / cell_px) logits, their mean where windows overlap.
    """
    unit_px = shrink * cell_px
    rows, columns = (
        _Side(px // unit_px, side, whole.device) for px, side in zip(height_width(whole), window, strict=True)
    )
    parts = whole.index_select(2, rows.covered(unit_px)).index_select(3, columns.covered(unit_px))
    count, channels = whole.shape[:2]
    grid = (count, channels, rows.count, rows.length * unit_px, columns.count, columns.length * unit_px)
    parts = parts.reshape(grid).permute(0, 2, 4, 1, 3, 5).flatten(0, 2)
    return [_placed(logits, count, rows, columns, shrink) for logits in look(parts).head_logits]


@dataclass(frozen=True)
class _Side:
    """The windows along one side of an image, in cells of the context."""

    whole: int
    window: int
    device: torch.device

    @property
    def length(self) -> int:
        """Of a window."""
        return _least(self.window, self.whole)

    @property
    def count(self) -> int:
        """How many windows there are: they overlap by half, and one that covers the side is alone."""
        return (self.whole - self.length + self._step - 1) // self._step + 1

    @property
    def _step(self) -> int:
        return max(1, self.window // 2)

    def covered(self, factor: int) -> Tensor:
        """The indices that each window covers, one window after the other, in `factor`-ths of a cell.

        The last window is moved back to end with the image.
        """
        first = torch.arange(self.count, device=self.device) * self._step
        first = first.clamp(max=self.whole - self.length) * factor
        return (first[:, None] + torch.arange(self.length * factor, device=self.device)).flatten()

    def placing(self, factor: int, like: Tensor) -> Tensor:
        """(cells, covered), 1 where an index is covered and 0 elsewhere, in the type of `like`."""
        places = torch.arange(self.whole * factor, device=self.device)
        return (places[:, None] == self.covered(factor)).to(like.dtype)


def _placed(logits: Tensor, images: int, rows: _Side, columns: _Side, factor: int) -> Tensor:
    """The mean of (N * windows, C, h, w) logits at their places: (N, C, H, W)."""
    height, width = rows.length * factor, columns.length * factor
    logits = upsample(logits, HeightWidth((height, width)))
    classes = logits.shape[1]
    grid = logits.reshape(images, rows.count, columns.count, classes, height, width)
    side_by_side = grid.permute(0, 3, 1, 4, 2, 5).reshape(
        images, classes, rows.count * height, columns.count * width
    )
    # Windows lie on a grid, so that sums over those that overlap are sums over rows, then over columns.
    down, across = rows.placing(factor, logits), columns.placing(factor, logits)
    total = down @ side_by_side @ across.T
    return total / (down.sum(dim=1)[:, None] * across.sum(dim=1))


def _least(one: int, other: int) -> int:
    """Their minimum, where a program is made of it, too."""
    if isinstance(other, Tensor):  # the numbers of tracing
        return other.clamp(max=one)
    return cast(int, torch.sym_min(one, other))  # those of torch.export
