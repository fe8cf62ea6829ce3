"""Images and labels as uint8 tensors: the data set, its items, and how items become a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from segshift.data.augmentation import Augmentation
from segshift.data.border import Border
from segshift.data.decoder import LabelDecoder
from segshift.data.finder import Sample
from segshift.data.images import read_image
from segshift.data.labels import ClassSet, class_mapping
from segshift.data.sampler import Draw
from segshift.data.spec import Split
from segshift.errors import InputError


@dataclass(frozen=True)
class Item:
    """One sample: `image` (3, H, W) uint8 RGB, `label` (H, W) uint8 train ids or None, place in the split.

    Without labels but with a border, `label` tells what counts: 0 where pixels do, 255 where not.
    """

    image: Tensor
    label: Tensor | None
    index: int


class Collated(NamedTuple):
    """A batch: `images` (N, 3, H, W) uint8, `labels` (N, H, W) uint8 train ids or None, `indices` (N,)."""

    images: Tensor
    labels: Tensor | None
    indices: Tensor


class SampleError(InputError):
    """A bad file met while loading, which stays one line when it comes out of a DataLoader's worker.

    A worker's exception is built again in the main process from its class and its printed traceback; the
    line that matters is the traceback's last.
    """

    def __init__(self, message: str) -> None:
        if "\n" in message:
            message = message.rstrip().splitlines()[-1].partition(f"{type(self).__name__}: ")[2] or message
        super().__init__(message)


class SegmentationDataset(Dataset[Item]):
    """A split as a torch data set; nothing but uint8 work happens here.

    Args:
        split: the files.
        classes: the classes that labels are mapped to (by name, see `class_mapping`).
        augmentation: the joint transforms; None leaves images at their size.
        with_labels: False never opens a label file (a target domain).
        border: what is ignored along the edges of the images, at their own size; None for no such map of a
            data set without labels.

    Raises:
        InputError: `with_labels` for a split without labels, or classes that the split's do not supply.
    """

    def __init__(
        self,
        split: Split,
        classes: ClassSet,
        augmentation: Augmentation | None = None,
        with_labels: bool = True,
        border: Border | None = None,
    ) -> None:
        if with_labels and not split.labelled:
            raise InputError(
                f"{split.title} has no labels; use it as a target, or add "
                f"`splits.{split.name}.labels` to its YAML"
            )
        self.split = split
        self.classes = classes
        self.augmentation = augmentation or Augmentation()
        self.with_labels = with_labels
        self.border = border
        self._mapping = class_mapping(split.classes, classes)

    def __len__(self) -> int:
        return len(self.split.samples)

    def __getitem__(self, key: int | Draw) -> Item:
        """The sample at an index, resized only; or, for a `Draw`, augmented as its seed decides.

        Raises:
            InputError: an unreadable file, a label of another size, or an id outside the map; one line each.
            IndexError: an index outside the data set.
        """
        index, seed, wish = key if isinstance(key, Draw) else (key, None, None)
        item = self.read(index)
        image, label = self.augmentation(item.image, item.label, seed, wish)
        return Item(image, label, index)

    def read(self, index: int) -> Item:
        """The sample at an index, at the size of its file; raises as above."""
        sample = self.split.samples[index]
        try:
            image, label = read_pair(sample, self.split.decoder, with_label=self.with_labels)
            if label is not None:
                label = torch.from_numpy(np.take(self._mapping, label.numpy()))
            if self.border is not None:
                label = self.border.ignored(image, label, str(sample.image))
        except InputError as error:
            raise SampleError(str(error)) from None
        return Item(image, label, index)


def read_pair(
    sample: Sample, decoder: LabelDecoder, *, with_label: bool = True
) -> tuple[Tensor, Tensor | None]:
    """A sample's image (3, H, W) uint8 RGB, and its label (H, W) uint8 in the decoder's train ids or None.

    Raises:
        InputError: an unreadable file, an id outside the map, or a label of another size than its image
            (unless the label rule stretches such).
    """
    pixels = read_image(sample.image, upright=sample.upright)
    image = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
    if not with_label or sample.label is None:
        return image, None
    train_ids = decoder.read(sample.label, pixels.shape[:2])
    check_same_size(sample, pixels.shape[:2], train_ids.shape)
    return image, torch.from_numpy(train_ids)


def check_same_size(sample: Sample, image_shape: tuple[int, ...], label_shape: tuple[int, ...]) -> None:
    """Raises InputError when a label's (H, W) is not its image's."""
    if image_shape != label_shape:
        raise InputError(
            f"{sample.label}: the label is {label_shape[1]} x {label_shape[0]} pixels, its image "
            f"{sample.image} is {image_shape[1]} x {image_shape[0]}; replace one or remove the pair"
        )


def collate(items: Sequence[Item]) -> Collated:
    """A batch of items of one size.

    Raises:
        InputError: items of different sizes.
    """
    sizes = sorted({(item.image.shape[-1], item.image.shape[-2]) for item in items})
    if len(sizes) > 1:
        listed = ", ".join(f"{width} x {height}" for width, height in sizes[:3])
        raise SampleError(
            f"the images of a batch differ in size ({listed}); set `resize` or `crop` in the augmentation"
        )
    labels = [item.label for item in items if item.label is not None]
    return Collated(
        torch.stack([item.image for item in items]),
        torch.stack(labels) if labels else None,
        torch.tensor([item.index for item in items]),
    )
