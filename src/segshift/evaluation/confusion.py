"""One confusion matrix over a data set, and the scores that follow from it."""

from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segshift.errors import InputError
from segshift.evaluation.pair_counts import pair_counts
from segshift.train_ids import IGNORE


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

    Example:
        >>> import numpy as np
        >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 1, 255]), classes=2)  # rows: truth
        array([[1, 0],
               [0, 1]])
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
    check_maps(prediction, label)
    if prediction.dtype == label.dtype == torch.uint8:
        return of_pairs(pair_counts(label, prediction), classes, ignore)
    counted = label != ignore
    truth, predicted = label[counted].long(), prediction[counted].long()
    for name, ids in (("label", truth), ("prediction", predicted)):
        _refuse(name, ids[(ids < 0) | (ids >= classes)], classes, ignore)
    return torch.bincount(truth * classes + predicted, minlength=classes * classes).view(classes, classes)


def check_maps(prediction: Tensor, label: Tensor) -> None:
    """Raises InputError for maps that differ in size or hold no integers."""
    if prediction.shape != label.shape:
        raise InputError(
            f"prediction {tuple(prediction.shape)} and label {tuple(label.shape)} differ in size; "
            "predict at the label's size"
        )
    for name, ids in (("prediction", prediction), ("label", label)):
        if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
            kind = str(ids.dtype).removeprefix("torch.")
            raise InputError(f"the {name} holds {kind}; give integer train ids")


def of_pairs(pairs: Tensor, classes: int, ignore: int = IGNORE, *, unpredicted: bool = False) -> Tensor:
    """The confusion matrix from the counts of all pairs of ids.

    Args:
        pairs: (256, 256) as `pair_counts` gives them, rows = truth.
        classes: C.
        ignore: the row that does not count.
        unpredicted: whether predictions may be `ignore`, too, which gives a last column of their counts.

    Returns:
        (C, C) or (C, C + 1) int64.

    Raises:
        InputError: a pixel that counts has an id outside the classes.
    """
    counted = pairs.clone()
    if 0 <= ignore < len(pairs):
        counted[ignore] = 0
    missed = counted[:classes, ignore, None].clone() if unpredicted else counted[:classes, :0]
    if unpredicted:
        counted[:, ignore] = 0
    _refuse("label", counted[classes:].sum(1).nonzero() + classes, classes, ignore)
    _refuse("prediction", counted[:, classes:].sum(0).nonzero() + classes, classes, ignore)
    return torch.cat([counted[:classes, :classes], missed], dim=1)


def _refuse(name: str, outside: Tensor, classes: int, ignore: int) -> None:
    if outside.numel():
        raise InputError(
            f"the {name} holds the id {int(outside.flatten()[0])}, but train ids go from 0 to {classes - 1}"
            + (f" and ignore = {ignore}" if name == "label" else "")
            + "; map the ids to train ids"
        )


def iou(confusion: Tensor | NDArray[Any]) -> NDArray[np.float64]:
    """Intersection over union per class: TP / (TP + FP + FN).

    Args:
        confusion: (C, C) counts, rows = truth; or (C, C + 1), the last column for predictions of no class.

    Returns:
        (C,) float64 in [0, 1]; NaN for a class that is neither in the truth nor predicted.

    Example:
        >>> import numpy as np
        >>> iou(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]]))  # the third class never occurs
        array([0.75      , 0.66666667,        nan])
    """
    counts = _square_or_wider(confusion)
    classes = len(counts)
    true_positives = np.diag(counts)
    union = counts[:, :classes].sum(0) + counts.sum(1) - true_positives
    return ratio(true_positives, union)


def miou(confusion: Tensor | NDArray[Any]) -> float:
    """The mean of `iou` over the classes that have one, in [0, 1]; NaN if none has.

    Example:
        >>> import numpy as np
        >>> miou(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]]))
        0.7083333333333333
    """
    return mean_of_known(iou(confusion))


def class_accuracy(confusion: Tensor | NDArray[Any]) -> NDArray[np.float64]:
    """The share of a class's pixels that are found, TP / (TP + FN): (C,) in [0, 1], NaN without pixels.

    Example:
        >>> import numpy as np
        >>> class_accuracy(np.array([[3, 1], [0, 2]]))
        array([0.75, 1.  ])
    """
    counts = _square_or_wider(confusion)
    return ratio(np.diag(counts), counts.sum(1))


def pixel_accuracy(confusion: Tensor | NDArray[Any]) -> float:
    """The share of counted pixels whose class is right, in [0, 1]; NaN without pixels.

    Example:
        >>> import numpy as np
        >>> pixel_accuracy(np.array([[3, 1], [0, 2]]))
        0.8333333333333334
    """
    counts = _square_or_wider(confusion)
    return float(ratio(np.trace(counts), counts.sum()))


def frequency_weighted_iou(confusion: Tensor | NDArray[Any]) -> float:
    """The mean of `iou`, weighted by the classes' shares of the true pixels, in [0, 1]; NaN without pixels.

    Source: Long et al., CVPR 2015, section 5 (there "frequency weighted IU").

    Example:
        >>> import numpy as np
        >>> frequency_weighted_iou(np.array([[3, 1], [0, 2]]))
        0.7222222222222222
    """
    counts = _square_or_wider(confusion)
    truth = counts.sum(1)
    # A class without true pixels has no weight, whether it has an IoU or not.
    return float(ratio((truth * np.nan_to_num(iou(counts))).sum(), truth.sum()))


def ratio(part: Any, whole: Any) -> NDArray[np.float64]:
    """Elementwise `part / whole`, NaN where `whole` is 0."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    result = np.full(np.broadcast(part, whole).shape, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def mean_of_known(scores: NDArray[np.float64]) -> float:
    """The mean of what is not NaN; NaN if nothing is left."""
    known = scores[~np.isnan(scores)]
    return float(known.mean()) if known.size else float("nan")


def _square_or_wider(confusion: Tensor | NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(confusion.cpu() if isinstance(confusion, Tensor) else confusion, np.float64)
