"""Torch data sets as data-set folders, which a run can resume on and be repeated from."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from segshift.data.labels import ClassSet, class_set
from segshift.data.writing import SplitWriter
from segshift.errors import InputError
from segshift.evaluation.items import LabelledItems, element_name, image_and_label, is_torch_dataset
from segshift.files import expanded
from segshift.folders import DatasetFolder
from segshift.train_ids import IGNORE

_RECORD = "torch_data.json"


def write_dataset(
    data: LabelledItems | Sequence[Any],
    folder: str | Path,
    classes: ClassSet | str | Sequence[str] | None = None,
    *,
    split: str = "train",
    labelled: bool = True,
) -> Path:
    """Write the elements of a torch data set, once, as PNG files with a `dataset.yaml`, for every command.

    Training needs files: it resumes to the same bits, in several processes, and says what it was trained on.
    A folder that is complete is left as it is, also if the data set would draw other images now.

    Args:
        data: a torch data set with a length, or a list: elements (image, label), see
            `segshift.evaluation.items.image_and_label`.
        folder: new, empty, or begun by an earlier call.
        classes: names in the order of the train ids, or the name of a set (`cityscapes19`); None takes the
            data set's attribute `classes`.
        split: its name in the data set.
        labelled: False writes the images alone, whatever labels there are.

    Returns:
        The path of `dataset.yaml`; `FILE:SPLIT` is its dataset argument.

    Raises:
        InputError: no element, no classes, an element of another form, a label that is missing, of another
            size than its image or with an id outside the classes, or a folder that holds something else.

    Example:
        >>> import numpy as np, tempfile
        >>> pairs = [(np.zeros((4, 6, 3), np.uint8), np.ones((4, 6), np.uint8))]
        >>> write_dataset(pairs, tempfile.mkdtemp(), ["sky", "road"]).name
        'dataset.yaml'
    """
    is_torch_dataset(data)
    names = _classes(data, classes)
    if len(data) == 0:
        raise InputError(f"{type(data).__name__}: the data set has no elements")
    place = DatasetFolder(expanded(folder), _RECORD)
    record = {"elements": len(data), "classes": list(names.names), "split": split, "labelled": labelled}
    with place.claimed(record):
        if place.spec.is_file():
            return place.spec
        writer = SplitWriter(place, split, "png")
        stems = list(_written(data, names, writer, labelled))
        name = type(data).__name__
        return writer.finish(stems, names, name=name, description="a torch data set", labelled=labelled)


def _written(data: Any, classes: ClassSet, writer: SplitWriter, labelled: bool) -> Iterator[str]:
    """The stems of the elements as they are written, one by one: a data set may be larger than the memory."""
    digits = len(str(len(data) - 1))
    for index in range(len(data)):
        image, label = image_and_label(data[index], index)
        stem = f"{index:0{digits}d}"
        if labelled:
            writer.write_label(stem, _checked(label, image, classes, index).cpu().numpy())
        pixels = (255 * image).round().to(torch.uint8) if image.is_floating_point() else image
        writer.write_image(stem, pixels.permute(1, 2, 0).cpu().contiguous().numpy())
        yield stem


def _checked(label: Tensor | None, image: Tensor, classes: ClassSet, index: int) -> Tensor:
    where = element_name(index)
    if label is None:
        raise InputError(f"{where}: has no label; give (image, label) pairs")
    if label.shape != image.shape[1:]:
        sizes = [f"{width} x {height}" for height, width in (label.shape, image.shape[1:])]
        raise InputError(f"{where}: its label is {sizes[0]} pixels, its image {sizes[1]}; give equal sizes")
    counted = label[label != IGNORE]
    if counted.numel() and int(counted.max()) >= classes.count:
        raise InputError(
            f"{where}: its label holds {int(counted.max())}, but there are {classes.count} classes "
            f"({', '.join(classes.names)}); name all in `classes`, or set such pixels to {IGNORE}"
        )
    return label


def _classes(data: Any, classes: ClassSet | str | Sequence[str] | None) -> ClassSet:
    named = getattr(data, "classes", None) if classes is None else classes
    if named is None:
        raise InputError(
            f'{type(data).__name__}: a torch data set does not say its classes; give classes=["road", ...] '
            "in the order of the train ids"
        )
    return named if isinstance(named, ClassSet) else class_set(named)
