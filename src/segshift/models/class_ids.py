"""The most probable class of every pixel from small maps of scores, without holding them at full size."""

from itertools import pairwise

import torch
from torch import Tensor

from segshift.models.resize import upsample
from segshift.sizes import HeightWidth, height_width

# Scores that are made at a time, in float32 a little more than a core's own cache holds.
_AT_ONCE = 2**19


def upsampled_ids(logits: Tensor, size: HeightWidth) -> Tensor:
    """The arg max over the classes of `upsample(logits, size)`, up to its rounding; of equals the first.

    On a CPU the rows between two neighboring rows of the map are made and judged together, in the cache:
    four times as fast as writing all scores down first (benchmarks/RESULTS.md).

    Args:
        logits: (N, C, h, w) finite scores, at most 255 classes.
        size: (height, width) of the result.

    Returns:
        (N, height, width) uint8.

    Example:
        >>> import torch
        >>> upsampled_ids(torch.tensor([[[[1.0, 0.0]], [[0.0, 2.0]]]]), (1, 4))
        tensor([[[0, 1, 1, 1]]], dtype=torch.uint8)
    """
    if logits.device.type != "cpu" or height_width(logits) == size:
        return best_class(upsample(logits, size), dim=1)
    ids = torch.empty(len(logits), *size, dtype=torch.uint8)
    for one, place in zip(logits.float(), ids, strict=True):
        _fill(place, one)
    return ids


def best_class(scores: Tensor, dim: int) -> Tensor:
    """uint8 ids of the largest scores along `dim`, of equals the first."""
    # Not `argmax`, which takes many times as long on a CPU; both give the first of equal ones.
    return scores.max(dim=dim).indices.to(torch.uint8)


def _fill(ids: Tensor, logits: Tensor) -> None:
    """Write the (height, width) ids of (C, h, w) logits."""
    classes, h, _ = logits.shape
    height, width = ids.shape
    wide = upsample(logits[None], HeightWidth((h, width)))[0]
    # In float32, as PyTorch computes the places.
    places = torch.arange(height, dtype=torch.float32) * ((h - 1) / max(1, height - 1))
    upper = places.long().clamp(max=h - 1)
    shares = (places - upper).view(-1, 1)
    # The first class has the highest rank, so that it is the one that is left of several.
    ranks = torch.arange(classes, 0, -1, dtype=torch.uint8).view(-1, 1, 1)
    rows_at_once = max(1, _AT_ONCE // (classes * width))
    for first, end in _bands(upper, rows_at_once):
        row = int(upper[first])
        above, below = wide[:, row, None], wide[:, min(row + 1, h - 1), None]
        scores = torch.lerp(above, below, shares[first:end])
        is_best = scores.eq(scores.amax(dim=0)).view(torch.uint8)
        torch.sub(classes, is_best.mul_(ranks).amax(dim=0), out=ids[first:end])


def _bands(upper: Tensor, rows_at_once: int) -> list[tuple[int, int]]:
    """First and end of the result's rows that lie between the same two rows of the map, few at a time."""
    starts = [0, *(torch.nonzero(upper.diff()).flatten() + 1).tolist(), len(upper)]
    return [
        (first, min(first + rows_at_once, end))
        for start, end in pairwise(starts)
        for first in range(start, end, rows_at_once)
    ]
