"""The resize rule of a network's output, for some rows at a time."""

from collections.abc import Callable

import torch
from torch import Tensor

from segshift.models.resize import upsample
from segshift.sizes import HeightWidth


def upsample_rows(
    source: Callable[[int, int], Tensor], height: int, rows: slice, size: HeightWidth
) -> Tensor:
    """Some rows of `upsample`, from those rows of the map that they need.

    Args:
        source: gives rows first ... end - 1 of the map, (N, C, end - first, w).
        height: h of the map.
        rows: of the result, with a start and a stop.
        size: (height, width) of the whole result.

    Returns:
        (N, C, rows, width): all rows are `upsample` itself, fewer equal it up to rounding.
    """
    if rows == slice(0, size[0]):
        return upsample(source(0, height), size)
    # In float32, as PyTorch computes the places.
    places = torch.arange(rows.start, rows.stop, dtype=torch.float32) * ((height - 1) / max(1, size[0] - 1))
    upper = places.long().clamp(max=height - 1)
    lower = (upper + 1).clamp(max=height - 1)
    first, end = int(upper[0]), int(lower[-1]) + 1
    part = source(first, end)
    part = upsample(part, HeightWidth((part.shape[-2], size[1])))
    if height == size[0]:
        return part[..., : rows.stop - rows.start, :]
    share = (places - upper).to(part)[:, None]
    upper, lower = upper.to(part.device) - first, lower.to(part.device) - first
    return part[..., upper, :] * (1 - share) + part[..., lower, :] * share
