"""What an element of a labelled data set may be: of ours, or of any torch data set."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from segshift.errors import InputError
from segshift.models.pixels import pixels_of

_WANTED = "give (H, W) train ids as whole numbers"


class LabelledItems(Protocol):
    """A labelled data set: `segshift.data.SegmentationDataset`, or any torch data set with a length.

    An element has an `image`, (3, H, W) uint8, and a `label`, (H', W') uint8 train ids, as attributes or
    keys, or is such a pair; see `image_and_label`.
    """

    def __len__(self) -> int: ...
    def __getitem__(self, key: int, /) -> Any: ...


def is_torch_dataset(data: Any) -> bool:
    """Whether data has a length and elements: a data set of torch, or what looks like one.

    Raises:
        InputError: a stream without a length or places.
    """
    if not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise InputError(
            f"{type(data).__name__}: is neither the name of a data set nor a torch data set with "
            "__len__ and __getitem__; give one of them (a stream of images: list(...) of it)"
        )
    return not isinstance(data, str)


def element_name(index: int) -> str:
    """What messages call an element."""
    return f"element {index} of the data set"


def image_and_label(element: Any, index: int) -> tuple[Tensor, Tensor | None]:
    """An element of a data set as tensors.

    Args:
        element: an object or mapping with `image` and perhaps `label`, a pair (image, label), or an image
            alone. Images are what `Segmenter.predict` takes: files, PIL images, (H, W, 3) arrays or
            (3, H, W) tensors, uint8 or in [0, 1]. Labels are (H, W) train ids of whole numbers in arrays,
            tensors or PIL images, 255 where pixels do not count.
        index: its place, for messages.

    Returns:
        The image (3, H, W), uint8 or float in [0, 1], and the label (H, W) uint8 or None.

    Raises:
        InputError: an image or label of another form.
    """
    image, label = _parts(element)
    where = element_name(index)
    pixels = pixels_of(image, where)
    return pixels, None if label is None else _train_ids(label, where)


def _parts(element: Any) -> tuple[Any, Any]:
    if isinstance(element, Mapping):
        return element.get("image"), element.get("label")
    if isinstance(element, tuple | list):
        return (element[0], element[1]) if len(element) == 2 else (element, None)
    # PIL's images and tensors have no attribute of that name.
    image = getattr(element, "image", None)
    return (element, None) if image is None else (image, getattr(element, "label", None))


def _train_ids(label: Any, where: str) -> Tensor:
    ids = label if isinstance(label, Tensor) else torch.from_numpy(_whole_numbers(label, where).copy())
    ids = ids[0] if ids.ndim == 3 and len(ids) == 1 else ids
    if ids.ndim != 2 or ids.is_floating_point() or ids.is_complex() or ids.numel() == 0:
        kind = str(ids.dtype).removeprefix("torch.")
        raise InputError(f"{where}: its label is {kind} of shape {tuple(ids.shape)}; {_WANTED}")
    if ids.dtype == torch.uint8:
        return ids
    least, most = int(ids.min()), int(ids.max())
    if least < 0 or most > 255:
        wrong = least if least < 0 else most
        raise InputError(f"{where}: its label holds {wrong}; train ids are 0 to 254, and 255 is ignored")
    return ids.to(torch.uint8)


def _whole_numbers(label: Any, where: str) -> Any:
    array = np.asarray(label)
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"{where}: its label is {type(label).__name__}; give (H, W) train ids as whole numbers"
        )
    return array.astype(np.int64) if array.dtype.kind in "bu" and array.dtype != np.uint8 else array
