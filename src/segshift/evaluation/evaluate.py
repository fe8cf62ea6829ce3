"""Evaluate a segmenter on a labelled data set."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segshift.errors import InputError
from segshift.evaluation.confusion import confusion_matrix, iou, miou, pixel_accuracy
from segshift.evaluation.inference import InferenceMode, check_inference, predict_ids
from segshift.models.batch_norm import evaluating
from segshift.models.segmenter import Segmenter


class LabelledItem(Protocol):
    """An image, (3, H, W) uint8, and its label, (H', W') uint8 train ids."""

    @property
    def image(self) -> Tensor: ...
    @property
    def label(self) -> Tensor | None: ...


class LabelledItems(Protocol):
    """What `evaluate` needs of a data set; `segshift.data.SegmentationDataset` has it."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: int, /) -> LabelledItem: ...


@dataclass(frozen=True)
class EvaluationResult:
    """The confusion matrix of a whole data set.

    Attributes:
        confusion: (C, C) int64 pixel counts, rows = truth.
        class_names: C names.
    """

    confusion: NDArray[np.int64]
    class_names: tuple[str, ...]

    @property
    def iou(self) -> NDArray[np.float64]:
        """(C,) in [0, 1]; NaN for classes neither in the truth nor predicted."""
        return iou(self.confusion)

    @property
    def miou(self) -> float:
        """Mean over the classes that have an IoU, in [0, 1]."""
        return miou(self.confusion)

    @property
    def pixel_accuracy(self) -> float:
        """Share of right pixels, in [0, 1]."""
        return pixel_accuracy(self.confusion)

    def miou_over(self, names: Sequence[str]) -> float:
        """The mean over some of the classes' IoU, which stay what they are among all classes.

        The papers' 13-class score (mIoU*) of a network with 16 classes is made this way.
        """
        scores = self.iou[[self._id(name) for name in names]]
        scores = scores[~np.isnan(scores)]
        return float(scores.mean()) if scores.size else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """For JSON: fractions in [0, 1], None where there is no score."""
        return {
            "miou": _number(self.miou),
            "pixel_accuracy": _number(self.pixel_accuracy),
            "iou": {name: _number(score) for name, score in zip(self.class_names, self.iou, strict=True)},
            "pixels": int(self.confusion.sum()),
        }

    def _id(self, name: str) -> int:
        if name not in self.class_names:
            raise InputError(f"class {name}: not among {', '.join(self.class_names)}")
        return self.class_names.index(name)


def _number(score: float) -> float | None:
    return None if np.isnan(score) else float(score)


def evaluate(
    segmenter: Segmenter,
    dataset: LabelledItems,
    *,
    mode: InferenceMode = "whole",
    input_size: tuple[int, int] | None = None,
    window: tuple[int, int] | None = None,
    stride: tuple[int, int] | None = None,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    batch_size: int = 4,
    device: torch.device | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """One confusion matrix over all pixels of a data set.

    Images are resized to `input_size` for the network, logits (or probabilities, with windows, scales or
    flips) are up-sampled to the label's size, and the most probable class counts. Labels are never resized.

    Args:
        segmenter: evaluated in evaluation mode; its mode is as before afterwards.
        dataset: labelled images, whose train ids are the segmenter's classes.
        mode: whole images or sliding windows.
        input_size: (width, height) in px; None takes the segmenter's own `config.input_size`.
        window: (width, height) in px for mode "sliding".
        stride: (x, y) of the windows in px.
        scales: at which the network sees the images.
        flip: also mirrored.
        batch_size: at most so many images of equal size at once. Does not change the result.
        device: moves the segmenter there; None leaves it where it is.
        progress: called with (images done, images in all) after every batch.

    Raises:
        InputError: an empty or unlabelled data set, other classes than the segmenter's, ids outside them.
    """
    check_inference(mode, window, scales)
    if len(dataset) == 0:
        raise InputError("evaluate: the data set has no images; check its split")
    classes = getattr(dataset, "classes", None)
    names = tuple(getattr(classes, "names", segmenter.class_names))
    if names != segmenter.class_names:
        raise InputError(
            f"evaluate: the model's classes are {', '.join(segmenter.class_names)}; the data's are "
            f"{', '.join(names)}; map the data to the model's classes"
        )
    if device is not None:
        segmenter.to(device)
    count = len(names)
    confusion = torch.zeros((count, count), dtype=torch.int64)
    done = 0
    with evaluating(segmenter), torch.inference_mode():
        for images, labels in _batches(dataset, batch_size):
            labels = labels.to(segmenter.device)
            predicted = predict_ids(
                segmenter,
                images.to(segmenter.device),
                (labels.shape[-2], labels.shape[-1]),
                mode=mode,
                input_size=input_size or segmenter.config.input_size,
                window=window,
                stride=stride,
                scales=scales,
                flip=flip,
            )
            confusion += confusion_matrix(predicted, labels, count).cpu()
            done += len(images)
            if progress is not None:
                progress(done, len(dataset))
    return EvaluationResult(confusion.numpy(), names)


def _batches(dataset: LabelledItems, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Neighbours of equal size together, in the data set's order."""
    waiting: list[tuple[Tensor, Tensor]] = []
    for index in range(len(dataset)):
        item = dataset[index]
        if item.label is None:
            raise InputError(f"evaluate: image {index} has no label; evaluate on a labelled split")
        pair = (item.image, item.label)
        if waiting and (len(waiting) == batch_size or _sizes(pair) != _sizes(waiting[0])):
            yield _stack(waiting)
            waiting = []
        waiting.append(pair)
    yield _stack(waiting)


def _sizes(pair: tuple[Tensor, Tensor]) -> tuple[torch.Size, torch.Size]:
    return pair[0].shape, pair[1].shape


def _stack(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return torch.stack([image for image, _ in pairs]), torch.stack([label for _, label in pairs])
