"""One confusion matrix over a data set, and the scores that follow from it."""

from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segshift.errors import InputError

IGNORE = 255


@overload
def confusion_matrix(prediction: Tensor, label: Tensor, classes: int, ignore: int = IGNORE) -> Tensor: ...
@overload
def confusion_matrix(
    prediction: NDArray[Any], label: NDArray[Any], classes: int, ignore: int = IGNORE
) -> NDArray[np.int64]: ...
def confusion_matrix(
    prediction: Tensor | NDArray[Any], label: Tensor | NDArray[Any], classes: int, ignore: int = IGNORE
) -> Tensor | NDArray[np.int64]:
    """Count the pixels of every pair of true and predicted class.

    Args:
        prediction: train ids, integers of any shape.
        label: train ids of the same shape; where it is `ignore`, the prediction does not matter.
        classes: C.
        ignore: the label of pixels that do not count.

    Returns:
        (C, C) int64, rows = truth, columns = prediction; a tensor for tensors, an array for arrays.

    Raises:
        InputError: shapes that differ, or an id outside 0 ... C - 1 on a pixel that counts.
    """
    if isinstance(prediction, Tensor) and isinstance(label, Tensor):
        return _count(prediction, label, classes, ignore)
    return _count(_tensor(prediction), _tensor(label), classes, ignore).numpy()


def _tensor(ids: Tensor | NDArray[Any]) -> Tensor:
    if isinstance(ids, Tensor):
        return ids.cpu()
    # int64 first: PyTorch takes neither all unsigned types nor negative strides.
    return torch.from_numpy(np.ascontiguousarray(ids).astype(np.int64) if ids.dtype.kind in "iu" else ids)


def _count(prediction: Tensor, label: Tensor, classes: int, ignore: int) -> Tensor:
    if prediction.shape != label.shape:
        raise InputError(
            f"prediction {tuple(prediction.shape)} and label {tuple(label.shape)} differ in size; "
            "predict at the label's size"
        )
    for name, ids in (("prediction", prediction), ("label", label)):
        if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
            kind = str(ids.dtype).removeprefix("torch.")
            raise InputError(f"the {name} holds {kind}; give integer train ids")
    counted = label != ignore
    truth, predicted = label[counted].long(), prediction[counted].long()
    for name, ids in (("label", truth), ("prediction", predicted)):
        outside = ids[(ids < 0) | (ids >= classes)]
        if outside.numel():
            raise InputError(
                f"the {name} holds the id {int(outside[0])}, but train ids go from 0 to {classes - 1}"
                + (f" and ignore = {ignore}" if name == "label" else "")
                + "; map the ids to train ids"
            )
    return torch.bincount(truth * classes + predicted, minlength=classes * classes).view(classes, classes)


def iou(confusion: Tensor | NDArray[Any]) -> NDArray[np.float64]:
    """Intersection over union per class: TP / (TP + FP + FN).

    Args:
        confusion: (C, C) counts, rows = truth.

    Returns:
        (C,) float64 in [0, 1]; NaN for a class that is neither in the truth nor predicted.
    """
    counts = np.asarray(confusion.cpu() if isinstance(confusion, Tensor) else confusion, np.float64)
    true_positives = np.diag(counts)
    union = counts.sum(0) + counts.sum(1) - true_positives
    scores = np.full(len(counts), np.nan)
    present = union > 0
    scores[present] = true_positives[present] / union[present]
    return scores


def miou(confusion: Tensor | NDArray[Any]) -> float:
    """The mean of `iou` over the classes that have one, in [0, 1]; NaN if none has."""
    scores = iou(confusion)
    scores = scores[~np.isnan(scores)]
    return float(scores.mean()) if scores.size else float("nan")


def pixel_accuracy(confusion: Tensor | NDArray[Any]) -> float:
    """The share of counted pixels whose class is right, in [0, 1]; NaN without pixels."""
    counts = np.asarray(confusion.cpu() if isinstance(confusion, Tensor) else confusion, np.float64)
    total = counts.sum()
    return float(np.trace(counts) / total) if total else float("nan")
