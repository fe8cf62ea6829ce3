"""How networks are applied to images: class scores in bands of rows, as `Inference` says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from segshift.errors import InputError
from segshift.models.class_ids import best_class, upsampled_ids
from segshift.models.inference_config import Inference
from segshift.models.pixels import network_input
from segshift.models.resize import resize_images, upsample
from segshift.models.upsample_rows import upsample_rows
from segshift.sizes import HeightWidth, WidthHeight, fitted

if TYPE_CHECKING:
    from segshift.models.segmenter import Segmenter

WHOLE_PIXELS = 2**23
"""Larger network inputs (3840 x 2160 is not) are seen in windows even where no window is asked for."""
_WINDOW_SIDES = (256, 1024)
# Of the windows' strip of class probabilities: 512 MiB in float32.
_STRIP_VALUES = 2**27
# Class scores that are held at full size, and those of a band where that is too much: 1 GiB, 128 MiB.
_WHOLE_VALUES, _BAND_VALUES = 2**28, 2**25


@dataclass(frozen=True)
class Band:
    """Class scores of some rows.

    Attributes:
        rows: their place.
        scores: (N, C, rows, width): logits, or the sum of several networks' probabilities.
        logits: which of the two.
        networks: how many.
    """

    rows: slice
    scores: Tensor
    logits: bool = False
    networks: int = 1

    @property
    def ids(self) -> Tensor:
        """(N, rows, width) uint8, the most probable class: the arg max of logits is that of their softmax,
        which at full resolution is the slow part."""
        return best_class(self.scores, dim=1)

    @property
    def probabilities(self) -> Tensor:
        """(N, C, rows, width), sums to 1 over the classes."""
        if self.logits:
            return self.scores.float().softmax(dim=1)
        return self.scores if self.networks == 1 else self.scores / self.networks


def seen_by(inference: Inference, segmenter: "Segmenter", images: Tensor) -> Tensor:
    """What `Inference.seen` gives."""
    size = inference.size_for(segmenter)
    if size is not None:
        own = WidthHeight((images.shape[-1], images.shape[-2]))
        size = fitted(own, size, inference.fit_for(segmenter))
    return segmenter.normalize(network_input(images.to(segmenter.device), size))


def bands(
    inference: Inference, networks: Sequence["Segmenter"], images: Tensor, size: HeightWidth
) -> Iterator["Band"]:
    """See `Inference.bands`."""
    views = [_views(inference, network, images) for network in networks]
    yield from _judged(views, len(images) * len(networks[0].class_names) * size[1], size)


def class_ids(
    inference: Inference, networks: Sequence["Segmenter"], images: Tensor, size: HeightWidth
) -> Tensor:
    """See `Inference.ids`."""
    views = [_views(inference, network, images) for network in networks]
    only = _only(views)
    if isinstance(only, _Whole):
        return upsampled_ids(only.logits, size)
    values_per_row = len(images) * len(networks[0].class_names) * size[1]
    return torch.cat([band.ids for band in _judged(views, values_per_row, size)], dim=1)


def _judged(
    views: Sequence[Sequence[tuple["_Whole | _Windows", bool]]], values_per_row: int, size: HeightWidth
) -> Iterator[Band]:
    only = _only(views)
    for rows in _row_bands(size[0], values_per_row):
        if isinstance(only, _Whole):
            yield Band(rows, only.rows(rows, size), logits=True)
            continue
        total: Tensor | None = None
        for of_network in views:
            mean = _probabilities(of_network, rows, size) / len(of_network)
            total = mean if total is None else total.add_(mean)
        assert total is not None  # there is a network
        yield Band(rows, total, networks=len(views))


def _only(views: Sequence[Sequence[tuple["_Whole | _Windows", bool]]]) -> "_Whole | _Windows | None":
    """The only view of the only network, if there is just one."""
    return views[0][0][0] if len(views) == len(views[0]) == 1 else None


def _views(
    inference: Inference, network: "Segmenter", images: Tensor
) -> list[tuple["_Whole | _Windows", bool]]:
    """What a network sees of images, and whether it is mirrored."""
    own = WidthHeight((images.shape[-1], images.shape[-2]))
    width, height = fitted(own, inference.size_for(network) or own, inference.fit_for(network))
    views: list[tuple[_Whole | _Windows, bool]] = []
    for scale in inference.scales:
        size = HeightWidth((max(1, round(scale * height)), max(1, round(scale * width))))
        scaled = resize_images(images, size)
        for mirrored in (False, True) if inference.flip else (False,):
            seen = scaled.flip(-1) if mirrored else scaled
            window = inference.window or automatic_window(size, len(network.class_names))
            if window is None:
                views.append((_Whole(network, seen), mirrored))
            else:
                views.append((_Windows(network, seen, window, inference.stride), mirrored))
    return views


def default_stride(window: WidthHeight) -> WidthHeight:
    """Two thirds of a (width, height) window, so that neighbors overlap by a third."""
    return WidthHeight((max(1, 2 * window[0] // 3), max(1, 2 * window[1] // 3)))


def automatic_window(size: HeightWidth, classes: int) -> WidthHeight | None:
    """The window for network inputs of (height, width) px that are too large to be seen whole, else None.

    1024 px square, and less, down to 256 px, where the probabilities of a strip of the image's width and the
    window's height would take more than 512 MiB.
    """
    if size[0] * size[1] <= WHOLE_PIXELS:
        return None
    least, most = _WINDOW_SIDES
    side = min(most, max(least, _STRIP_VALUES // (classes * size[1]) // 64 * 64))
    return WidthHeight((side, side))


def finite_logits(segmenter: "Segmenter", images: Tensor) -> Tensor:
    """(N, C, h, w) logits of (N, 3, H, W) images in [0, 1]. Raises InputError for NaN or infinite ones."""
    logits: Tensor = segmenter(segmenter.normalize(images)).logits
    if not torch.isfinite(logits).all():
        raise InputError(
            "the network gives scores that are NaN or infinite, so it has no predictions; its training "
            "diverged, or its weights or half precision overflowed: use an earlier checkpoint or train again"
        )
    return logits


class _Whole:
    """Logits of whole images."""

    def __init__(self, segmenter: "Segmenter", images: Tensor) -> None:
        self.logits = finite_logits(segmenter, network_input(images))

    def rows(self, rows: slice, size: HeightWidth) -> Tensor:
        """(N, C, rows, width) logits, up-sampled to `size`."""
        height = self.logits.shape[-2]
        return upsample_rows(lambda first, end: self.logits[..., first:end, :], height, rows, size)

    def probabilities(self, rows: slice, size: HeightWidth) -> Tensor:
        """Their softmax."""
        return self.rows(rows, size).float().softmax(dim=1)


class _Windows:
    """The mean, where windows overlap, of their probabilities: row of windows by row of windows.

    The last window of a row or column is moved back to end with the image; an image smaller than the window
    is one window.
    """

    def __init__(
        self, segmenter: "Segmenter", images: Tensor, window: WidthHeight, stride: WidthHeight | None
    ) -> None:
        across, down = stride or default_stride(window)
        self._segmenter, self._images = segmenter, images
        self._height, self._width = images.shape[-2:]
        self._window = min(window[1], self._height), min(window[0], self._width)
        self._tops = _starts(self._height, self._window[0], down)
        self._lefts = _starts(self._width, self._window[1], across)
        self._done = 0
        # The strip that begins at row `_first`: sums of probabilities, and how many windows saw a pixel.
        self._first = 0
        shape = (len(images), len(segmenter.class_names), 0, self._width)
        self._total = torch.zeros(shape, device=images.device)
        self._count = torch.zeros(shape[2:], device=images.device)

    def probabilities(self, rows: slice, size: HeightWidth) -> Tensor:
        """(N, C, rows, width), up-sampled to `size`; rows may only be asked for from top to bottom."""
        return upsample_rows(self._mean, self._height, rows, size)

    def _mean(self, first: int, end: int) -> Tensor:
        while self._done < len(self._tops) and self._tops[self._done] < end:
            self._see_row(self._tops[self._done], first)
            self._done += 1
        place = slice(first - self._first, end - self._first)
        return self._total[:, :, place] / self._count[place]

    def _see_row(self, top: int, needed: int) -> None:
        """Add a row of windows to the strip, after dropping what lies above `needed`."""
        height, width = self._window
        start = min(needed, top)
        dropped, new = start - self._first, top + height - self._first - len(self._count)
        self._total = F.pad(self._total[:, :, dropped:], (0, 0, 0, new))
        self._count = F.pad(self._count[dropped:], (0, 0, 0, new))
        self._first = start
        for left in self._lefts:
            part = network_input(self._images[..., top : top + height, left : left + width])
            logits = finite_logits(self._segmenter, part)
            place = (..., slice(top - start, top - start + height), slice(left, left + width))
            self._total[place] += upsample(logits, HeightWidth((height, width))).float().softmax(dim=1)
            self._count[place] += 1


def _starts(length: int, window: int, stride: int) -> list[int]:
    last = length - window
    return [*range(0, last, stride), last]


def _row_bands(height: int, values_per_row: int) -> Iterator[slice]:
    whole = height * values_per_row <= _WHOLE_VALUES
    step = height if whole else max(1, _BAND_VALUES // values_per_row)
    for first in range(0, height, step):
        yield slice(first, min(first + step, height))


def _probabilities(views: Sequence[tuple[_Whole | _Windows, bool]], rows: slice, size: HeightWidth) -> Tensor:
    """The sum of some views' probabilities, the mirrored ones turned back."""
    total: Tensor | None = None
    for view, mirrored in views:
        part = view.probabilities(rows, size)
        part = part.flip(-1) if mirrored else part
        total = part if total is None else total + part
    assert total is not None  # `scales` is not empty
    return total
