"""Which samples a step sees: a pure function of (seed, step, rank), the same for one process and for many."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from segshift.errors import InputError

_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15


class Draw(NamedTuple):
    """A sample to be loaded: its index, and the seed (0..2**63 - 1) of its augmentation."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks of a draw
    seed: int


class StepSampler(Sampler[list[Draw]]):
    """A batch sampler without state: the batch of a step depends on nothing but the arguments.

    Sample number p = step * batch_size + k of the run comes from epoch p // length, whose order is a random
    permutation of its own, and carries its own augmentation seed. Rank r of W takes the r-th of W equal
    parts of each batch, so that all processes together see what one process would. Batches may span epochs.

    Args:
        length: the number of samples in the data set.
        batch_size: the global batch size, over all processes.
        seed: of order and augmentation; source and target should have different ones.
        rank: this process, 0..world_size - 1.
        world_size: the number of processes.
        start_step: the first step (a resumed run starts where the checkpoint was).
        steps: the step after the last one; `len` is `steps - start_step`.

    Raises:
        InputError: an empty data set, or a batch size that the processes cannot share equally.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        start_step: int = 0,
        steps: int = 1,
    ) -> None:
        if length < 1:
            raise InputError("the data set has no samples; a step cannot be drawn from it")
        if batch_size < 1 or batch_size % world_size:
            raise InputError(
                f"batch_size = {batch_size} cannot be shared by {world_size} process(es); use a positive "
                f"multiple of {world_size}"
            )
        if not 0 <= rank < world_size:
            raise InputError(f"rank = {rank} of {world_size} process(es); ranks count from 0")
        self.length, self.batch_size, self.seed = length, batch_size, seed
        self.rank, self.world_size = rank, world_size
        self.start_step, self.steps = start_step, steps

    def __len__(self) -> int:
        return max(0, self.steps - self.start_step)

    def __iter__(self) -> Iterator[list[Draw]]:
        share = self.batch_size // self.world_size
        epoch, order = -1, np.empty(0, np.int64)
        for step in range(self.start_step, self.steps):
            batch = []
            first = step * self.batch_size + self.rank * share
            for position in range(first, first + share):
                if position // self.length != epoch:
                    epoch = position // self.length
                    order = epoch_order(self.length, self.seed, epoch)
                batch.append(Draw(int(order[position % self.length]), draw_seed(self.seed, position)))
            yield batch


def epoch_order(length: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """A permutation of 0..length - 1, (length,) int64, that depends on nothing but the arguments.

    Sorting hashes, instead of asking a random generator, keeps the order the same in every version of NumPy
    and torch, neither of which promises that; a resumed run may have been started with another.
    """
    key = mix(mix(seed) ^ (2 * epoch + 1))
    state = np.uint64(key) + np.arange(1, length + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    state ^= state >> np.uint64(31)
    return np.argsort(state, kind="stable")


def draw_seed(seed: int, position: int) -> int:
    """The augmentation seed of sample number `position` of a run, 0..2**63 - 1."""
    return mix(mix(seed) ^ (2 * position)) >> 1


def mix(value: int) -> int:
    """A 64-bit hash of an integer: the SplitMix64 output function (Steele, Lea & Flood, OOPSLA 2014)."""
    state = (value + _GOLDEN) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return state ^ (state >> 31)
