"""Augmentation that is left to the device of the training: loader processes only read files."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from segshift.data.augmentation import Augmentation
from segshift.data.dataset import Collated, Item, collate
from segshift.data.mixture import MixedDataset
from segshift.data.sampler import Draw, Wish


class Drawn(NamedTuple):
    """A sample at the size of its file, and what decides its augmentation.

    Attributes:
        image, label, index: as in `Item`.
        seed, wish: as in `Draw`.
    """

    image: Tensor
    label: Tensor | None
    index: int  # type: ignore[assignment]  # hides tuple.index, as in Draw
    seed: int
    wish: Wish | None


class Deferred(Dataset[Drawn]):
    """The samples of a mixture before their augmentation.

    Args:
        mixture: what is read.
    """

    def __init__(self, mixture: MixedDataset) -> None:
        self.mixture = mixture

    def __len__(self) -> int:
        return len(self.mixture)

    def __getitem__(self, draw: Draw) -> Drawn:
        """The sample of a draw; raises what `MixedDataset` raises."""
        item = self.mixture.read(draw.index)
        return Drawn(item.image, item.label, item.index, draw.seed, draw.wish)


def augmented(drawn: Sequence[Drawn], augmentation: Augmentation, device: torch.device) -> Collated:
    """A batch on a device, augmented there.

    Draws are those of a loader process, and so are the operations; a GPU's resize and blur may round a value
    of a pixel the other way. On a CPU everything is equal to the bit.

    Raises:
        InputError: the augmented samples differ in size.
    """
    items = []
    for one in drawn:
        label = None if one.label is None else one.label.to(device, non_blocking=True)
        image, label = augmentation(one.image.to(device, non_blocking=True), label, one.seed, one.wish)
        items.append(Item(image, label, one.index))
    return collate(items)
