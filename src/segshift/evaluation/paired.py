"""Whether the difference of two models on the same images means anything: a paired bootstrap."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segshift.errors import InputError
from segshift.evaluation.confusion import ratio
from segshift.evaluation.counts import ClassCounts, iou_of_counts
from segshift.evaluation.result import EvaluationResult
from segshift.plain import counted

# Below this, resampling the few images that there are says too little about others.
FEW_IMAGES = 30
# Resamples x images of weights that are in memory at once.
_WEIGHTS_AT_ONCE = 20_000_000


@dataclass(frozen=True)
class PairedComparison:
    """B minus A on the same images, as fractions (0.01 is one point).

    Attributes:
        difference: of the mIoU over all images.
        interval: lower and upper end for that difference.
        share_b_better: of the resamples in which B has the higher mIoU, in [0, 1].
        class_names: C' scored classes.
        class_difference: (C',), NaN where a class has no IoU.
        class_interval: (C', 2).
        images: how many were resampled.
        resamples: how often.
        level: of the intervals, in (0, 1).
        seed: of the resampling.
        trainings: pairs of results that it is the mean of, a training seed each.
    """

    difference: float
    interval: tuple[float, float]
    share_b_better: float
    class_names: tuple[str, ...]
    class_difference: NDArray[np.float64]
    class_interval: NDArray[np.float64]
    images: int
    resamples: int
    level: float
    seed: int
    trainings: int = 1

    @property
    def decided(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.interval[0] > 0 or self.interval[1] < 0

    @property
    def few_images(self) -> bool:
        """Whether the images are too few for a bootstrap interval to be trusted."""
        return self.images < FEW_IMAGES

    def verdict(self, a: str, b: str) -> str:
        """One or two sentences for people; `a` and `b` are the models' names."""
        low, high = (f"{100 * end:+.2f}" for end in self.interval)
        found = f"{100 * self.level:.0f} % interval {low} to {high}"
        points = f"{100 * abs(self.difference):.2f} points of mIoU"
        if self.difference == 0 and self.interval == (0, 0):
            return f"{a} and {b} score the same on every resample of the {counted(self.images, 'image')}."
        better, worse = (b, a) if self.difference > 0 else (a, b)
        few = f" With fewer than {FEW_IMAGES} images the interval is too narrow." if self.few_images else ""
        if self.decided:
            return (
                f"{better} is better than {worse} on images like these: {points} "
                f"({found}, {b} minus {a}).{few}"
            )
        return (
            f"Not decided: {better} is ahead of {worse} by {points} ({found}, {b} minus {a}), but the "
            f"interval holds 0; with {counted(self.images, 'image')} such a difference can be chance.{few}"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "difference": self.difference,
            "interval": list(self.interval),
            "share_b_better": self.share_b_better,
            "decided": self.decided,
            "classes": {
                name: {"difference": float(difference), "interval": ends.tolist()}
                for name, difference, ends in zip(
                    self.class_names, self.class_difference, self.class_interval, strict=True
                )
            },
            "images": self.images,
            "resamples": self.resamples,
            "level": self.level,
            "seed": self.seed,
            "trainings": self.trainings,
            "method": "paired percentile bootstrap over images, B minus A",
        }


def compare_paired(
    a: EvaluationResult | Sequence[EvaluationResult],
    b: EvaluationResult | Sequence[EvaluationResult],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> PairedComparison:
    """A percentile bootstrap interval of mIoU(B) - mIoU(A) over images.

    Long for its arguments and what it returns; between them stands one loop.

    Every resample draws as many images as there are, with repetition, the same ones for both models, adds up
    their counts and takes the mIoU of the sums, so that hard images move both models alike. It says how the
    difference would vary with other images of the same kind; how it varies with the training seed it cannot
    know. Neighboring frames of a video are not independent images: there the interval is too narrow.

    Several results of each, one per training seed, give the interval of the mean difference over these seeds:
    every resample draws the same images for all.

    Args:
        a: evaluated with counts per image; one, or as many as there are of b.
        b: on the same images, with the same classes and the same scored ones.
        resamples: R.
        level: of the intervals, in (0, 1).
        seed: of the resampling; the same one gives the same interval.

    Raises:
        InputError: results that are not of the same images and classes, or settings out of range.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile interval).
    """
    if resamples < 1 or not 0 < level < 1:
        raise InputError(f"resamples = {resamples}, level = {level}: needs 1 or more, and between 0 and 1")
    pairs = list(zip(_listed(a), _listed(b), strict=True))
    first = pairs[0][0]
    counts = [_comparable(one, other) for one, other in pairs]
    # All seeds were judged on the same images.
    for one, _ in pairs[1:]:
        _comparable(first, one)
    ids = [first.class_names.index(name) for name in first.scored_names]
    generator = np.random.default_rng(seed)
    images = len(counts[0][0].images)
    chunk = max(1, min(resamples, _WEIGHTS_AT_ONCE // images))
    differences, class_differences = [], []
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        weights = generator.multinomial(images, np.full(images, 1 / images), size=rows).astype(np.float64)
        resampled = [[_resampled_iou(one, weights, ids) for one in both] for both in counts]
        differences.append(_mean([_row_means(iou_b) - _row_means(iou_a) for iou_a, iou_b in resampled]))
        class_differences.append(_mean([iou_b - iou_a for iou_a, iou_b in resampled]))
    difference, of_classes = np.concatenate(differences), np.concatenate(class_differences)
    ends = ((1 - level) / 2, (1 + level) / 2)
    low, high = _quantiles(difference[:, None], ends)[0]
    known = difference[~np.isnan(difference)]
    return PairedComparison(
        difference=float(np.mean([other.miou - one.miou for one, other in pairs])),
        interval=(float(low), float(high)),
        share_b_better=float((known > 0).mean()) if known.size else float("nan"),
        class_names=first.scored_names,
        class_difference=_mean([(other.iou - one.iou)[ids] for one, other in pairs]),
        class_interval=_quantiles(of_classes, ends),
        images=images,
        resamples=resamples,
        level=level,
        seed=seed,
        trainings=len(pairs),
    )


def _listed(results: EvaluationResult | Sequence[EvaluationResult]) -> Sequence[EvaluationResult]:
    return [results] if isinstance(results, EvaluationResult) else results


def _mean(arrays: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Over the seeds; NaN where one of them has no value."""
    return arrays[0] if len(arrays) == 1 else np.mean(arrays, axis=0)


def _comparable(a: EvaluationResult, b: EvaluationResult) -> tuple[ClassCounts, ClassCounts]:
    if a.class_names != b.class_names or a.scored_names != b.scored_names:
        raise InputError("a paired comparison needs two results over the same classes")
    if a.per_image is None or b.per_image is None:
        raise InputError("a paired comparison needs counts per image; evaluate both models again")
    if a.per_image.images != b.per_image.images or not np.array_equal(a.per_image.truth, b.per_image.truth):
        raise InputError("a paired comparison needs two results on the same labelled images")
    return a.per_image, b.per_image


def _resampled_iou(
    counts: ClassCounts, weights: NDArray[np.float64], ids: Sequence[int]
) -> NDArray[np.float64]:
    """(R, C') from (R, N) weights. Sums below 2^53 are exact in float64: equal models differ by exactly 0."""
    parts = (counts.hits, counts.truth, counts.predicted)
    return iou_of_counts(*(weights @ part[:, ids].astype(np.float64) for part in parts))


def _row_means(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    known = ~np.isnan(scores)
    return ratio(np.where(known, scores, 0).sum(1), known.sum(1))


def _quantiles(columns: NDArray[np.float64], ends: tuple[float, float]) -> NDArray[np.float64]:
    """(C', 2) of (R, C'), NaN resamples left out; NaN for a column without any."""
    found = np.full((columns.shape[1], 2), np.nan)
    for index, column in enumerate(columns.T):
        known = column[~np.isnan(column)]
        if known.size:
            found[index] = np.quantile(known, ends)
    return found
