"""HRDA: a network sees the whole of an image small, for context, and parts of it large, for detail."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segshift.models.detail_grid import details_at_once
from segshift.models.dropout import not_training
from segshift.models.heads import LEVELS, LinearHead, OfLast, SegFormerHead, build_head
from segshift.models.resize import resize_images, upsample
from segshift.models.segmenter_config import MultiResolutionConfig, SegmenterConfig
from segshift.models.segmenter_output import Detail, SegmenterOutput, Window
from segshift.sizes import HeightWidth, height_width, of_tensors


class DetailWindows(nn.Module):
    """Where details are seen: at one random place in training mode, else everywhere, overlapping by half.

    Args:
        size: (height, width) of a window, in cells of the context; cut to the context's size.
    """

    def __init__(self, size: HeightWidth) -> None:
        super().__init__()
        self.size = size

    def forward(self, context: HeightWidth) -> list[Window]:
        """The windows, (rows, columns), in a context of (height, width) cells.

        The random one is the same for the whole batch, and drawn alike by processes that share it. The last
        window of a row or column is moved back to end with the context.
        """
        sides = [min(side, whole) for side, whole in zip(self.size, context, strict=True)]
        if self.training:
            first = [
                int(torch.randint(whole - side + 1, ()).item())
                for side, whole in zip(sides, context, strict=True)
            ]
            return [_window(first[0], first[1], sides)]
        tops, lefts = (
            [*range(0, whole - side, max(1, side // 2)), whole - side]
            for side, whole in zip(sides, context, strict=True)
        )
        return [_window(top, left, sides) for top in tops for left in lefts]


def seeing_all_details(network: nn.Module) -> AbstractContextManager[None]:
    """No random detail inside the block but all of them, as in evaluation; the rest is as it was."""
    return not_training(child for child in network.modules() if isinstance(child, DetailWindows))


class MultiResolution(nn.Module):
    r"""Context and details of an image, fused by an attention learnt from the context.

    .. math:: \hat y = \zeta((1 - a) \odot \hat y_c) + \zeta(a) \odot \hat y_d

    with the context's prediction y_c, its attention a in [0, 1], 0 where no detail is seen, the details'
    prediction y_d, their mean where they overlap, and the up-sampling zeta to the details' resolution. An
    image is first enlarged to a multiple of a context's cell, so that details begin and end with cells of
    both resolutions. The backbone and the head are the same for both.

    To save memory, training sees one detail per image and step, and where all are seen (inference, a
    teacher's labels) they come one after the other; batch norm in training mode then normalises each window
    by itself, where the authors' code puts all of them into one batch. An exported program has them in one
    batch, too (`at_once`), because it cannot hold a loop whose length is the image's.

    Args:
        settings: see `MultiResolutionConfig`.
        attention: pyramid of the context to (N, C or 1, h, w) logits of the attention.
        cell_px: stride of the network's logits.

    Source: Hoyer et al., HRDA: Context-aware high-resolution domain-adaptive semantic segmentation, ECCV
    2022, sections 3.2 to 3.4; the sizes and the alignment of the crop from its public configuration.
    """

    def __init__(self, settings: MultiResolutionConfig, attention: nn.Module, cell_px: int) -> None:
        super().__init__()
        self.attention = attention
        self.shrink, self.cell_px, self.loss_weight = settings.shrink, cell_px, settings.loss_weight
        height, width = of_tensors(settings.detail)
        self.windows = DetailWindows(HeightWidth((-(-height // self.unit_px), -(-width // self.unit_px))))
        self.at_once = False

    @property
    def unit_px(self) -> int:
        """A cell of the context, in px of the image; windows begin and end at its multiples."""
        return self.shrink * self.cell_px

    def context(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) images as they are seen for their context: (N, 3, H'/shrink, W'/shrink)."""
        return self._shrunk(self._whole(images))

    def forward(self, images: Tensor, look: Callable[[Tensor], SegmenterOutput]) -> SegmenterOutput:
        """What `look`, the network at a single resolution, says of both, as one output.

        Features and the auxiliary head are those of the context. In training mode the output has the
        prediction of its one detail as well.
        """
        whole = self._whole(images)
        seen = look(self._shrunk(whole))
        units = HeightWidth((whole.shape[-2] // self.unit_px, whole.shape[-1] // self.unit_px))
        if self.at_once and not self.windows.training:
            details = details_at_once(whole, self.windows.size, self.cell_px, self.shrink, look)
            return self._fused(seen, details, self._attention(seen, units), units)
        windows = self.windows(units)
        details = self._details(whole, windows, look)
        mask = torch.zeros(1, 1, *units, device=images.device)
        for window in windows:
            mask[..., window[0], window[1]] = 1
        fused = self._fused(seen, details, self._attention(seen, units) * mask, units)
        if not self.windows.training:
            return fused
        return fused._replace(detail=self._alone(images, units, windows[0], _sum(details)))

    def _attention(self, seen: SegmenterOutput, units: HeightWidth) -> Tensor:
        return upsample(self.attention(seen.pyramid).sigmoid(), units)

    def _fused(
        self, seen: SegmenterOutput, details: list[Tensor], attention: Tensor, units: HeightWidth
    ) -> SegmenterOutput:
        """What was `seen` of the context, with both looks' logits."""
        size = height_width(details[0])
        up = upsample(attention, size)
        fused = tuple(
            upsample((1 - attention) * upsample(context, units), size) + up * detail
            for context, detail in zip(seen.head_logits, details, strict=True)
        )
        return seen._replace(logits=_sum(fused), head_logits=fused)

    def _whole(self, images: Tensor) -> Tensor:
        """The images, enlarged to multiples of a context's cell where they are none."""
        # Of positive numbers: runtimes do not agree on how negative ones are divided.
        unit = self.unit_px
        height, width = ((side + unit - 1) // unit * unit for side in height_width(images))
        return resize_images(images, HeightWidth((height, width)))

    def _shrunk(self, whole: Tensor) -> Tensor:
        height, width = height_width(whole)
        return resize_images(whole, HeightWidth((height // self.shrink, width // self.shrink)))

    def _details(
        self, whole: Tensor, windows: list[Window], look: Callable[[Tensor], SegmenterOutput]
    ) -> list[Tensor]:
        """Each classifier's (N, C, h, w) logits of all windows at their places, 0 where none has looked."""
        height, width = whole.shape[-2] // self.cell_px, whole.shape[-1] // self.cell_px
        totals: list[Tensor] = []
        count = torch.zeros(height, width, device=whole.device)
        for window in windows:
            px, cells = _scaled(window, self.unit_px), _scaled(window, self.shrink)
            size = HeightWidth((cells[0].stop - cells[0].start, cells[1].stop - cells[1].start))
            margins = (cells[1].start, width - cells[1].stop, cells[0].start, height - cells[0].stop)
            output = look(whole[..., px[0], px[1]])
            placed = [F.pad(upsample(logits, size), margins) for logits in output.head_logits]
            totals = [a + b for a, b in zip(totals, placed, strict=True)] if totals else placed
            count[cells] += 1
        return [total / count.clamp(min=1) for total in totals]

    def _alone(self, images: Tensor, units: HeightWidth, window: Window, logits: Tensor) -> Detail:
        """The detail's own part of what was put at its place."""
        rows, columns = _scaled(window, self.shrink)
        px = tuple(
            slice(round(part.start * side / count), round(part.stop * side / count))
            for part, side, count in zip(window, height_width(images), units, strict=True)
        )
        return Detail(logits[..., rows, columns], (px[0], px[1]), self.loss_weight)


def build_attention(
    config: SegmenterConfig, settings: MultiResolutionConfig, channels: Sequence[int], classes: int
) -> nn.Module:
    """The attention's decoder on the context's features, with random weights.

    Of the heads segformer and daformer it is SegFormer's, of the others the head's own kind, as in the
    authors' code; of another library's network it is `linear`.

    Args:
        config: the network's.
        settings: see `MultiResolutionConfig`.
        channels: of the backbone's features, shallow to deep.
        classes: of the network.
    """
    count = classes if settings.attention == "per_class" else 1
    if config.is_foreign:
        return OfLast(LinearHead(channels[-1], count))
    if config.head in ("segformer", "daformer"):
        return SegFormerHead(channels, count, settings.attention_channels)
    head = build_head(config, channels, count)
    return OfLast(head) if LEVELS[config.head] == 1 else head


def _window(top: int, left: int, sides: list[int]) -> Window:
    return slice(top, top + sides[0]), slice(left, left + sides[1])


def _scaled(window: Window, factor: int) -> Window:
    rows, columns = (slice(factor * part.start, factor * part.stop) for part in window)
    return rows, columns


def _sum(logits: tuple[Tensor, ...] | list[Tensor]) -> Tensor:
    return logits[0] if len(logits) == 1 else torch.stack(list(logits)).sum(dim=0)
