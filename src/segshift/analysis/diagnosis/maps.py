"""Label maps and images of any size on one small canvas, by one rule."""

import cv2
import numpy as np
from numpy.typing import NDArray

from segshift.pictures import Pixels

Areas = NDArray[np.float32]

# Wide enough to make the borders of all maps equally smooth, whatever the resolution they were drawn at.
_BLUR_SIGMA_CELLS = 0.8


def class_areas(label: Pixels, classes: int, size: tuple[int, int]) -> Areas:
    """What share of every cell each class covers.

    Args:
        label: (H, W) uint8 train ids, 255 for ignored.
        classes: the number of classes C.
        size: (width, height) of the grid, in cells.

    Returns:
        (C + 1, height, width) float32; the last plane is the share of ignored pixels. The planes sum to 1.
    """
    width, height = size
    areas = np.zeros((classes + 1, height, width), np.float32)
    for train_id in np.flatnonzero(np.bincount(label.ravel(), minlength=256)).tolist():
        plane = train_id if train_id < classes else classes
        mask = (label == train_id).astype(np.float32)
        # Exact areas where the grid is coarser than the label, linear interpolation where it is finer.
        areas[plane] += cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    return areas


def vote(areas: Areas, keep_ignored: bool = False) -> Pixels:
    """The class that covers most of every cell and its surroundings.

    Areas are smoothed over some cells first: a vote of few pixels leaves jagged borders and one of many
    leaves smooth ones, by which a classifier would tell apart two sizes of the same map. Ignored pixels
    have no vote; a cell without any other has the class of the nearest cell that has one.

    Args:
        areas: (C + 1, h, w) as `class_areas` gives them.
        keep_ignored: let ignored pixels vote as one more class, C.

    Returns:
        (h, w) uint8 train ids. A map that is ignored as a whole is C.
    """
    classes = len(areas) - 1
    smooth = np.stack(
        [
            cv2.GaussianBlur(plane, (0, 0), _BLUR_SIGMA_CELLS, borderType=cv2.BORDER_REPLICATE)
            if plane.any()
            else plane
            for plane in areas
        ]
    )
    if keep_ignored:
        kept: Pixels = smooth.argmax(axis=0).astype(np.uint8)
        return kept
    winners: Pixels = smooth[:classes].argmax(axis=0).astype(np.uint8)
    empty = areas[:classes].sum(axis=0) < 1e-3
    if empty.all():
        return np.full(empty.shape, classes, np.uint8)
    if empty.any():
        _, nearest = cv2.distanceTransformWithLabels(
            empty.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        of_cell = np.zeros(int(nearest.max()) + 1, np.uint8)
        of_cell[nearest[~empty]] = winners[~empty]
        winners = of_cell[nearest]
    return winners


def shrink_image(image: Pixels, size: tuple[int, int]) -> Pixels:
    """An image (H, W, 3) uint8 at (width, height): area means where it shrinks, linear where it grows."""
    resized: Pixels = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return resized
