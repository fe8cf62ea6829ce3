"""What an evaluation gives: one confusion matrix, counts per image, and the scores that follow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segshift.errors import InputError
from segshift.evaluation.confusion import (
    class_accuracy,
    frequency_weighted_iou,
    iou,
    mean_of_known,
    pixel_accuracy,
)
from segshift.evaluation.counts import ClassCounts
from segshift.evaluation.protocol import starred_classes

WORST_IMAGES = 5


@dataclass(frozen=True)
class EvaluationResult:
    """The scores of one network, ensemble or folder of predictions on a data set.

    Means are over `scored_classes`. The IoU of a class stays what it is among all classes: whatever is
    predicted as another class, scored or not, is a miss, and false positives count on every pixel whose
    truth is a class.

    Attributes:
        confusion: (C, C) int64 pixel counts, rows = truth; (C, C + 1) when predictions may be no class at
            all, which the last column holds.
        class_names: C names in the order of the train ids.
        per_image: the counts of every image; None where only the sums are known.
        boundary: the counts of boundary IoU; None unless asked for.
        scored_classes: the classes that means are over; None takes all.
        protocol: how the predictions came about, for JSON; None where it is unknown.
        further: results of measures that have no field here, by name, for JSON.
    """

    confusion: NDArray[np.int64]
    class_names: tuple[str, ...]
    per_image: ClassCounts | None = None
    boundary: ClassCounts | None = None
    scored_classes: tuple[str, ...] | None = None
    protocol: Mapping[str, Any] | None = None
    further: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """The mIoU and every scored class's IoU, one a line; a class without IoU has a dash."""
        of_classes = zip(self.scored_names, self.iou[self._ids()].tolist(), strict=True)
        rows = [*of_classes, ("mIoU", self.miou)]
        width = max(len(name) for name, _ in rows)
        numbers = ["    -" if np.isnan(score) else f"{100 * score:5.1f} %" for _, score in rows]
        return "\n".join(f"{name:{width}} {number}" for (name, _), number in zip(rows, numbers, strict=True))

    def extended(self, fields: Mapping[str, Any]) -> "EvaluationResult":
        """The same with the result of a measure: fields of this class, others go into `further`."""
        own = {name: value for name, value in fields.items() if name in self.__dataclass_fields__}
        further = {name: value for name, value in fields.items() if name not in own}
        return replace(self, **{"further": {**self.further, **further}, **own})

    def reordered(self, names: Sequence[str]) -> "EvaluationResult":
        """The same scores with the classes in another order.

        Raises:
            InputError: other classes than `class_names`.
        """
        if sorted(names) != sorted(self.class_names):
            raise InputError(f"classes {', '.join(self.class_names)} are not {', '.join(names)}")
        order = [self._id(name) for name in names]
        beyond = range(len(order), self.confusion.shape[1])
        scored = self.scored_classes
        return replace(
            self,
            confusion=self.confusion[np.ix_(order, [*order, *beyond])],
            class_names=tuple(names),
            per_image=None if self.per_image is None else self.per_image.of_classes(order),
            boundary=None if self.boundary is None else self.boundary.of_classes(order),
            scored_classes=None if scored is None else tuple(name for name in names if name in scored),
        )

    def scored(self, names: Sequence[str]) -> "EvaluationResult":
        """The same counts with means over some of the classes.

        Raises:
            InputError: no class, or one that is not among `class_names`.
        """
        if not names:
            raise InputError("name one or more classes to score")
        ids = sorted(self._id(name) for name in names)
        return replace(self, scored_classes=tuple(self.class_names[index] for index in ids))

    @property
    def scored_names(self) -> tuple[str, ...]:
        """The classes that means are over, in the order of their train ids."""
        return self.class_names if self.scored_classes is None else self.scored_classes

    @property
    def starred(self) -> tuple[str, ...]:
        """The scored classes that mIoU* leaves out; () where the papers have no mIoU*."""
        return starred_classes(self.scored_names)

    @property
    def iou(self) -> NDArray[np.float64]:
        """(C,) in [0, 1]; NaN for classes neither in the truth nor predicted."""
        return iou(self.confusion)

    @property
    def without_iou(self) -> tuple[str, ...]:
        """The scored classes that are neither in the truth nor predicted, which no mean counts."""
        scores = self.iou
        return tuple(name for name in self.scored_names if np.isnan(scores[self._id(name)]))

    @property
    def miou(self) -> float:
        """Mean over the scored classes that have an IoU, in [0, 1]."""
        return self.miou_over(self.scored_names)

    @property
    def miou_star(self) -> float | None:
        """Mean over the scored classes without a star, in [0, 1]; None where the papers have none."""
        starred = self.starred
        return self.miou_over([n for n in self.scored_names if n not in starred]) if starred else None

    @property
    def pixel_accuracy(self) -> float:
        """Share of right pixels among those whose truth is a scored class, in [0, 1]."""
        return pixel_accuracy(self._of_scored_truth())

    @property
    def mean_accuracy(self) -> float:
        """Mean over the scored classes of the share of their pixels that is found, in [0, 1]."""
        return mean_of_known(class_accuracy(self.confusion)[self._ids()])

    @property
    def frequency_weighted_iou(self) -> float:
        """Mean IoU weighted by the classes' shares of the scored true pixels, in [0, 1]."""
        if self.scored_classes is None:
            return frequency_weighted_iou(self.confusion)
        truth = self.confusion.sum(1)[self._ids()]
        total = truth.sum()
        return float((truth * np.nan_to_num(self.iou[self._ids()])).sum() / total) if total else float("nan")

    @property
    def boundary_iou(self) -> NDArray[np.float64] | None:
        """(C,) in [0, 1], see `boundary_counts`; None unless it was asked for."""
        return None if self.boundary is None else self.boundary.total_iou

    @property
    def boundary_miou(self) -> float | None:
        """Mean boundary IoU over the scored classes, in [0, 1]; None unless it was asked for."""
        scores = self.boundary_iou
        return None if scores is None else mean_of_known(scores[self._ids()])

    @property
    def no_class_share(self) -> float:
        """Share of the counted pixels that were predicted as none of the classes, in [0, 1]."""
        total, classes = self.confusion.sum(), len(self.class_names)
        return float(self.confusion[:, classes:].sum() / total) if total else 0.0

    def image_mious(self) -> dict[str, float]:
        """Every image's mIoU by name: over the scored classes that occur in it; NaN without any pixel.

        Their mean is not the data set's mIoU: a class counts in an image only where it occurs.

        Raises:
            InputError: the result has no counts per image.
        """
        if self.per_image is None:
            raise InputError("the result holds no counts per image; evaluate again")
        scores = self.per_image.miou(self._ids())
        return dict(zip(self.per_image.images, scores.tolist(), strict=True))

    def miou_over(self, names: Sequence[str]) -> float:
        """The mean over some of the classes' IoU, which stay what they are among all classes.

        The papers' 13-class score (mIoU*) of a network with 16 classes is made this way.
        """
        return mean_of_known(self.iou[[self._id(name) for name in names]])

    def to_dict(self) -> dict[str, Any]:
        """For JSON: fractions in [0, 1], None where there is no score."""
        data: dict[str, Any] = {
            "miou": _number(self.miou),
            "pixel_accuracy": _number(self.pixel_accuracy),
            "mean_accuracy": _number(self.mean_accuracy),
            "frequency_weighted_iou": _number(self.frequency_weighted_iou),
            "iou": self._by_class(self.iou),
            "pixels": int(self._of_scored_truth().sum()),
        }
        if self.starred:
            data["miou_star"] = _number(self.miou_star)
            data["starred"] = list(self.starred)
        if self.confusion.shape[1] > len(self.class_names):
            data["no_class_share"] = self.no_class_share
        scores = self.boundary_iou
        if scores is not None:
            data["boundary_miou"] = _number(self.boundary_miou)
            data["boundary_iou"] = self._by_class(scores)
        if self.per_image is not None:
            data["per_image"] = self._distribution()
        data |= self.further
        if self.protocol is not None:
            data["protocol"] = {
                **self.protocol,
                "classes": list(self.class_names),
                "scored_classes": list(self.scored_names),
                "classes_without_iou": list(self.without_iou),
            }
        return data

    def _distribution(self) -> dict[str, Any]:
        known = {name: score for name, score in self.image_mious().items() if not np.isnan(score)}
        worst = sorted(known, key=lambda name: known[name])[:WORST_IMAGES]
        quantiles = np.quantile(list(known.values()), (0, 0.25, 0.5, 0.75, 1)) if known else [np.nan] * 5
        names = ("minimum", "lower_quartile", "median", "upper_quartile", "maximum")
        return {
            "images": len(known),
            "mean": _number(mean_of_known(np.array(list(known.values())))),
            **{name: _number(value) for name, value in zip(names, quantiles, strict=True)},
            "worst": [{"image": name, "miou": known[name]} for name in worst],
        }

    def _by_class(self, scores: NDArray[np.float64]) -> dict[str, float | None]:
        return {name: _number(scores[self._id(name)]) for name in self.scored_names}

    def _of_scored_truth(self) -> NDArray[np.int64]:
        """The confusion without the rows of classes that are not scored."""
        if self.scored_classes is None:
            return self.confusion
        rows = np.zeros_like(self.confusion)
        rows[self._ids()] = self.confusion[self._ids()]
        return rows

    def _ids(self) -> list[int]:
        return [self._id(name) for name in self.scored_names]

    def _id(self, name: str) -> int:
        if name not in self.class_names:
            raise InputError(f"class {name}: not among {', '.join(self.class_names)}")
        return self.class_names.index(name)


def _number(score: float | None) -> float | None:
    return None if score is None or np.isnan(score) else float(score)
