"""The labelled images of a split in a network's train ids, also where the split lacks some of its classes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from segshift.data.dataset import Item, SegmentationDataset
from segshift.data.labels import ClassSet, class_mapping
from segshift.data.resolve import resolve
from segshift.data.spec import Split
from segshift.errors import InputError
from segshift.evaluation.items import LabelledItems, is_torch_dataset
from segshift.train_ids import IGNORE


class _InTrainIds:
    """A labelled data set in a network's train ids."""

    def __init__(self, dataset: SegmentationDataset, classes: ClassSet, table: NDArray[np.uint8]) -> None:
        self.dataset, self.classes, self.split = dataset, classes, dataset.split
        self._table = torch.from_numpy(table)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: int, /) -> Item:
        item = self.dataset[key]
        return item if item.label is None else replace(item, label=self._table[item.label.long()])


def labelled_items(split: Split, classes: ClassSet, scored: Sequence[str] | None = None) -> LabelledItems:
    """A split's images with labels in the train ids of `classes`.

    Classes of the split that the network does not know become ignore, or another class where `class_mapping`
    has a merger. A split that lacks some of the network's classes can be used when only others are scored;
    predictions of the lacking ones are then misses.

    Args:
        split: labelled.
        classes: of the network.
        scored: the classes that will be scored; None for all.

    Raises:
        InputError: an unlabelled split, or scored classes that it does not supply.
    """
    dataset = SegmentationDataset(split, split.classes, None, with_labels=True)
    return _InTrainIds(dataset, classes, train_id_table(split, classes, scored))


def opened(data: LabelledItems | str | Path, classes: ClassSet) -> LabelledItems:
    """A data set as such, or that of a dataset argument in the train ids of `classes`; its split is `val`
    where the argument names none.

    Raises:
        InputError: as `resolve` and `labelled_items`, or an object that is no data set.
    """
    if isinstance(data, str | Path):
        return labelled_items(resolve(str(data), "val"), classes)
    is_torch_dataset(data)
    return data


def train_id_table(split: Split, classes: ClassSet, scored: Sequence[str] | None = None) -> NDArray[np.uint8]:
    """The table from a split's train ids to those of `classes`, (256,) uint8; see `labelled_items`."""
    try:
        return class_mapping(split.classes, classes)
    except InputError:
        common = [name for name in classes.names if name in split.classes.names]
        if scored is None or not set(scored) <= set(common):
            raise
    table = np.full(256, IGNORE, np.uint8)
    for name in common:
        table[split.classes.names.index(name)] = classes.names.index(name)
    return table
