"""How often every pair of ids stands at the same pixel: the counting under the confusion matrix."""

from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

IDS = 256
# A machine word of 8 pixels, and the bits of a place in it.
_WORD, _WORD_BITS = 8, 3
# Maps where a run begins in more of the words are counted pixel by pixel.
_MOST_FILLED = 3 / 4
Number = TypeVar("Number", np.uint16, np.int64)


def pair_counts(rows: Tensor, columns: Tensor) -> Tensor:
    """Count the pixels of every pair of ids, in one pass and on the maps' device.

    Neighbors are mostly alike, so on the CPU runs of equal pairs are counted, with their lengths, instead of
    pixels. On an accelerator the host does not wait for the result.

    Args:
        rows: uint8 ids of any shape.
        columns: uint8 ids of the same shape.

    Returns:
        (256, 256) int64: [i, j] is the number of pixels with `rows == i` and `columns == j`.
    """
    if rows.device.type != "cpu":
        places = rows.flatten().long().mul_(IDS).add_(columns.flatten())
        counts = torch.zeros(IDS * IDS, dtype=torch.int64, device=rows.device)
        return counts.scatter_add_(0, places, torch.ones_like(places)).view(IDS, IDS)
    first, second = (ids.contiguous().view(-1).numpy() for ids in (rows, columns))
    return torch.from_numpy(_by_runs(first, second)).view(IDS, IDS)


def _by_runs(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.int64]:
    pixels = len(first)
    # Whether a run begins at a pixel; a whole number of words, the first with the first pixel's.
    begins = np.zeros(-(-pixels // _WORD) * _WORD, np.bool_)
    begins[:1] = pixels > 0
    np.not_equal(first[1:], first[:-1], out=begins[1:pixels])
    begins[1:pixels] |= second[1:] != second[:-1]
    # Most words are empty and looked at as one number.
    words = begins.view(np.uint64)
    filled = np.flatnonzero(words != 0)
    if len(filled) > _MOST_FILLED * len(words):
        return np.bincount(_places(first, second, np.uint16), minlength=IDS * IDS)
    within = np.flatnonzero(words[filled].view(np.bool_))
    # Shifts, since whole numbers are divided slowly.
    starts = (filled << _WORD_BITS)[within >> _WORD_BITS] + (within & (_WORD - 1))
    # Sums of whole numbers are exact in float64 up to 2**53 pixels.
    lengths = np.diff(starts, append=pixels)
    counts = np.bincount(_places(first[starts], second[starts], np.int64), lengths, minlength=IDS * IDS)
    return counts.astype(np.int64)


def _places(first: NDArray[np.uint8], second: NDArray[np.uint8], kind: type[Number]) -> NDArray[Number]:
    places = first.astype(kind)
    places <<= 8
    places |= second
    return places
