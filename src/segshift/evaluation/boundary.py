"""Boundary IoU: how well the outlines of the classes agree, whatever the size of their areas."""

import math

import numpy as np
from numpy.typing import NDArray

from segshift.errors import InputError
from segshift.extras import module_of_extra
from segshift.train_ids import IGNORE

DILATION_RATIO = 0.02


def boundary_width(height: int, width: int, dilation_ratio: float = DILATION_RATIO) -> int:
    """d in px: the ratio of the image's diagonal, rounded, at least 1."""
    return max(1, round(dilation_ratio * math.hypot(height, width)))


def near_boundary(ids: NDArray[np.uint8], width: int) -> NDArray[np.bool_]:
    """Whether a pixel is within `width` px of another id or of the image's border (in rows and columns).

    For every class at once this is what is lost when the class's mask is eroded `width` times by 3 x 3
    pixels: the square around a pixel holds one id only if its smallest and largest id are equal.

    Args:
        ids: (H, W) uint8.
        width: d in px, at least 1.

    Returns:
        (H, W) bool.
    """
    kernel = np.ones((3, 3), np.uint8)
    cv2 = module_of_extra("cv2")
    lowest = cv2.erode(ids, kernel, iterations=width)
    highest = cv2.dilate(ids, kernel, iterations=width)
    near: NDArray[np.bool_] = np.asarray(lowest != highest)
    near[:width] = near[-width:] = near[:, :width] = near[:, -width:] = True
    return near


def boundary_counts(
    prediction: NDArray[np.uint8],
    label: NDArray[np.uint8],
    classes: int,
    *,
    ignore: int = IGNORE,
    dilation_ratio: float = DILATION_RATIO,
) -> NDArray[np.int64]:
    """What one image adds to every class's boundary IoU, |G_d and P_d| / |G_d or P_d|.

    G_d are the pixels of a class's true mask that are at most d px from the mask's outline, P_d those of the
    predicted mask. Ignored pixels are taken out of both masks, so that a perfect prediction scores 1.

    Args:
        prediction: (H, W) uint8 ids; those that are no class count in no mask.
        label: (H, W) uint8 train ids.
        classes: C.
        ignore: the label of pixels that do not count.
        dilation_ratio: d as a share of the image's diagonal.

    Returns:
        (3, C) int64: pixels of G_d and P_d together, of G_d, of P_d.

    Raises:
        InputError: a prediction of another size than the label.

    Source: Cheng et al., "Boundary IoU", CVPR 2021, eq. 2; for semantic classes, the counts are summed over
    the data set before they are divided, as for IoU.
    """
    if prediction.shape != label.shape:
        raise InputError(f"prediction {prediction.shape} and label {label.shape} differ in size")
    width = boundary_width(label.shape[0], label.shape[1], dilation_ratio)
    counted = label != ignore
    cut = np.where(counted, prediction, np.uint8(ignore))
    truth_near = near_boundary(label, width) & counted
    predicted_near = near_boundary(cut, width) & counted
    both = truth_near & predicted_near & (label == cut)
    return np.stack(
        [
            np.bincount(ids[where], minlength=256)[:classes]
            for ids, where in ((label, both), (label, truth_near), (cut, predicted_near))
        ]
    ).astype(np.int64)
