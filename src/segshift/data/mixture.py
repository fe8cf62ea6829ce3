"""Several data sets as one, and the order in which a stream's images are drawn from them."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from segshift.data.class_statistics import class_pixels, class_shares
from segshift.data.dataset import Item, SegmentationDataset
from segshift.data.orders import ClassBalancedOrder, MixedOrder, RareClassOrder
from segshift.data.sampler import Draw, Order, UniformOrder, mix
from segshift.data.sampling import SamplingConfig
from segshift.errors import InputError

_COUNTED_DRAWS = 3000


class MixedDataset(Dataset[Item]):
    """The items of several data sets, one after the other; all must be mapped to the same classes.

    Args:
        parts: the data sets.

    Raises:
        InputError: no part, parts of different classes, or only some with labels.
    """

    def __init__(self, parts: Sequence[SegmentationDataset]) -> None:
        if not parts:
            raise InputError("a mixture needs at least one data set")
        for part in parts:
            if part.classes.names != parts[0].classes.names or part.with_labels != parts[0].with_labels:
                raise InputError(
                    f"{part.split.title} and {parts[0].split.title} cannot be mixed: their classes "
                    "differ, or only one of them is read with labels"
                )
        self.parts = tuple(parts)
        self.classes = parts[0].classes
        self.with_labels = parts[0].with_labels
        self._ends = list(accumulate(len(part) for part in parts))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, key: int | Draw) -> Item:
        """The item at an index counted through all parts, as `SegmentationDataset` gives it.

        Raises:
            InputError: as the part does.
            IndexError: an index outside the mixture.
        """
        index = key.index if isinstance(key, Draw) else key
        part, inside = self._find(index)
        item = part[key._replace(index=inside) if isinstance(key, Draw) else inside]
        return replace(item, index=index % len(self))

    def read(self, index: int) -> Item:
        """The item at an index as `SegmentationDataset.read` gives it; raises as above."""
        part, inside = self._find(index)
        return replace(part.read(inside), index=index % len(self))

    def _find(self, index: int) -> tuple[SegmentationDataset, int]:
        """The part that an item is of, and its index there."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} of {len(self)} items")
        index %= len(self)
        number = bisect_right(self._ends, index)
        start = self._ends[number - 1] if number else 0
        return self.parts[number], index - start


@dataclass(frozen=True)
class DrawPlan:
    """How a stream is drawn: the order, and in words what it does to data sets and classes (or "")."""

    order: Order
    description: str


def plan_draws(
    dataset: MixedDataset,
    weights: Sequence[float],
    sampling: SamplingConfig,
    seed: int,
    announce: Callable[[str], None] | None = None,
) -> DrawPlan:
    """The order of a stream's draws.

    Every part has an order of the kind that `sampling` names; `weights` mix them.

    Args:
        dataset: the stream's images.
        weights: of the parts, positive, of any scale.
        sampling: how images are drawn within a part.
        seed: of the stream.
        announce: called with one line before classes are counted, which can take minutes.

    Raises:
        InputError: a bad label while classes are counted, or no image with enough pixels of any class.
    """
    orders: list[Order] = []
    pixels: list[NDArray[np.int64]] = []
    for number, part in enumerate(dataset.parts):
        # The first part's draws are those that it would have alone.
        own_seed = seed if number == 0 else mix(seed ^ number)
        if sampling.kind == "uniform":
            orders.append(UniformOrder(len(part), own_seed))
            continue
        pixels.append(class_pixels(part.split, dataset.classes, announce=announce))
        try:
            orders.append(_class_order(pixels[-1], sampling, own_seed))
        except InputError as error:
            raise InputError(f"{part.split.title}: {error}") from None
    order = orders[0] if len(orders) == 1 else MixedOrder(orders, weights)
    return DrawPlan(order, _describe(dataset, weights, sampling, order, pixels))


def _class_order(pixels: NDArray[np.int64], sampling: SamplingConfig, seed: int) -> Order:
    if sampling.kind == "rare_class":
        return RareClassOrder(
            pixels,
            seed,
            temperature=sampling.temperature,
            min_pixels=sampling.needed_pixels,
            crop_tries=sampling.crop_tries,
            crop_pixels=sampling.crop_pixels,
        )
    return ClassBalancedOrder(pixels, seed, min_pixels=sampling.needed_pixels)


def _describe(
    dataset: MixedDataset,
    weights: Sequence[float],
    sampling: SamplingConfig,
    order: Order,
    pixels: Sequence[NDArray[np.int64]],
) -> str:
    words = []
    if len(dataset.parts) > 1:
        shares = [
            f"{weight / sum(weights):.1%} {part.split.dataset}"
            for weight, part in zip(weights, dataset.parts, strict=True)
        ]
        words.append(f"mixed {', '.join(shares)}")
    if pixels:
        everything = np.concatenate(pixels)
        drawn = everything[[order.index(draw) for draw in range(_COUNTED_DRAWS)]]
        before, after = class_shares(everything), class_shares(drawn)
        factor = after / np.maximum(before, 1e-12)
        present = [index for index in np.argsort(-factor, kind="stable") if before[index] > 0]
        changes = [
            f"{dataset.classes.names[index]} {before[index]:.2%} to {after[index]:.2%}"
            for index in present[:3]
        ]
        settings = f"T = {sampling.temperature:g}, " if sampling.kind == "rare_class" else ""
        words.append(
            f"{sampling.kind} sampling ({settings}at least {sampling.needed_pixels} px; share of pixels: "
            f"{', '.join(changes)})"
        )
    return "; ".join(words)
