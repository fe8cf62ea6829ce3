"""Which samples a step sees: a pure function of (seed, step, rank), the same for one process and for many."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from segshift.errors import InputError

_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15
_BLOCKS = 4  # permutations that an order keeps


class Wish(NamedTuple):
    """What a crop should show: so many pixels of a class; the last of so many tries is taken as it is."""

    train_id: int
    pixels: int
    tries: int


class Draw(NamedTuple):
    """A sample to be loaded: its index, its augmentation's seed (0..2**63 - 1), and a wish for its crop."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks of a draw
    seed: int
    wish: Wish | None = None


class Order(Protocol):
    """Indices of a data set by the number of the draw."""

    length: int
    """The number of images."""

    def index(self, draw: int) -> int:
        """The image of a draw, 0..length - 1."""

    def wish(self, draw: int) -> Wish | None:
        """What the crop of a draw should show, if anything."""
        return None


class UniformOrder(Order):
    """Every image once per epoch, in a new random order each time."""

    def __init__(self, length: int, seed: int) -> None:
        if length < 1:
            raise InputError("the data set has no samples; a step cannot be drawn from it")
        self.length, self._seed = length, seed
        self._epochs: dict[int, NDArray[np.int64]] = {}

    def index(self, draw: int) -> int:
        """The image of a draw, 0..length - 1."""
        epoch, place = divmod(draw, self.length)
        if epoch not in self._epochs:
            make_room(self._epochs)
            self._epochs[epoch] = epoch_order(self.length, self._seed, epoch)
        return int(self._epochs[epoch][place])


class StepSampler(Sampler[list[Draw]]):
    """A batch sampler without state: the batch of a step depends on nothing but the arguments.

    Sample number p = step * batch_size + k of the run is the one that the order gives for draw p, and
    carries its own augmentation seed. Rank r of W takes the r-th of W equal parts of each micro-batch, so
    that all processes together see what one process would. Batches may span epochs.

    Args:
        order: which sample each draw takes, see `segshift.data.orders`.
        batch_size: the global batch size, over all processes.
        seed: of the augmentation; source and target should have different ones.
        rank: this process, 0..world_size - 1.
        world_size: the number of processes.
        start_step: the first step (a resumed run starts where the checkpoint was).
        steps: the step after the last one; `len` is `steps - start_step`.
        micro_batches: equal parts in which each process walks its share.

    Raises:
        InputError: a batch size that the processes cannot share equally, or a rank outside them.
    """

    def __init__(
        self,
        order: Order,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        start_step: int = 0,
        steps: int = 1,
        micro_batches: int = 1,
    ) -> None:
        if batch_size < 1 or batch_size % world_size:
            raise InputError(
                f"batch_size = {batch_size} cannot be shared by {world_size} process(es); use a positive "
                f"multiple of {world_size}"
            )
        if not 0 <= rank < world_size:
            raise InputError(f"rank = {rank} of {world_size} process(es); ranks count from 0")
        self.order, self.batch_size, self.seed = order, batch_size, seed
        self.rank, self.world_size = rank, world_size
        self.start_step, self.steps, self.micro_batches = start_step, steps, micro_batches

    def __len__(self) -> int:
        return max(0, self.steps - self.start_step)

    def __iter__(self) -> Iterator[list[Draw]]:
        share = self.batch_size // (self.world_size * self.micro_batches)
        own = [
            (part * self.world_size + self.rank) * share + k
            for part in range(self.micro_batches)
            for k in range(share)
        ]
        for step in range(self.start_step, self.steps):
            positions = [step * self.batch_size + place for place in own]
            yield [
                Draw(self.order.index(place), draw_seed(self.seed, place), self.order.wish(place))
                for place in positions
            ]


def make_room(blocks: dict[int, NDArray[np.int64]]) -> None:
    """Forget the oldest permutations before another one is kept."""
    while len(blocks) >= _BLOCKS:
        del blocks[min(blocks)]


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
