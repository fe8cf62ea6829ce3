"""The pixel counts per image and class that every IoU is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segshift.evaluation.confusion import ratio


@dataclass(frozen=True)
class ClassCounts:
    """Counts of N images and C classes. IoU needs nothing else, and they add up over images.

    A data set's off-diagonal confusions are quadratic in C; these stay small for any number of images.

    Attributes:
        images: N names.
        hits: (N, C) int64, pixels that are the class in truth and prediction.
        truth: (N, C) int64, pixels that are the class in truth.
        predicted: (N, C) int64, pixels that count and are predicted as the class.
    """

    images: tuple[str, ...]
    hits: NDArray[np.int64]
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]

    def of_classes(self, ids: Sequence[int]) -> "ClassCounts":
        """The counts of some classes, in the order of the given train ids."""
        columns = list(ids)
        return ClassCounts(
            self.images, self.hits[:, columns], self.truth[:, columns], self.predicted[:, columns]
        )

    def of_images(self, order: Sequence[int]) -> "ClassCounts":
        """The counts of some images, in the given order of their places."""
        rows = list(order)
        names = tuple(self.images[row] for row in rows)
        return ClassCounts(names, self.hits[rows], self.truth[rows], self.predicted[rows])

    @property
    def iou(self) -> NDArray[np.float64]:
        """(N, C), the IoU of every class within every image; NaN where the class does not occur."""
        return iou_of_counts(self.hits, self.truth, self.predicted)

    @property
    def total_iou(self) -> NDArray[np.float64]:
        """(C,), the IoU over all images together."""
        return iou_of_counts(self.hits.sum(0), self.truth.sum(0), self.predicted.sum(0))

    def miou(self, classes: Sequence[int]) -> NDArray[np.float64]:
        """(N,), every image's mean over those of the given train ids that occur in it; NaN if none does."""
        scores = self.iou[:, list(classes)]
        known = ~np.isnan(scores)
        return ratio(np.where(known, scores, 0).sum(1), known.sum(1))


def iou_of_counts(hits: Any, truth: Any, predicted: Any) -> NDArray[np.float64]:
    """Elementwise hits / (truth + predicted - hits), NaN where nothing was counted."""
    hits = np.asarray(hits, np.float64)
    return ratio(hits, np.asarray(truth, np.float64) + np.asarray(predicted, np.float64) - hits)


class CountsBuilder:
    """Collects `ClassCounts` image by image."""

    def __init__(self) -> None:
        self._images: list[str] = []
        self._rows: list[NDArray[np.int64]] = []

    def add(self, image: str, counts: NDArray[np.int64]) -> None:
        """Append one image's (3, C) hits, truth and predicted."""
        self._images.append(image)
        self._rows.append(counts)

    def add_confusion(self, image: str, confusion: NDArray[np.int64]) -> None:
        """Append one image by its confusion matrix, (C, C) or (C, C + 1)."""
        columns = confusion.sum(0)[: len(confusion)]
        self.add(image, np.stack([np.diag(confusion), confusion.sum(1), columns]))

    def append(self, other: "CountsBuilder") -> None:
        """Append another one's images."""
        self._images += other._images
        self._rows += other._rows

    def build(self) -> ClassCounts:
        """All images so far, at least one."""
        hits, truth, predicted = np.stack(self._rows, axis=1)
        return ClassCounts(tuple(self._images), hits, truth, predicted)
