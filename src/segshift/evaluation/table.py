"""What tables say of results, in percent."""

import math
from collections.abc import Mapping, Sequence

from segshift.errors import InputError
from segshift.evaluation.result import EvaluationResult

NOT_AVAILABLE = "n/a"


def percent(score: float | None, digits: int = 1) -> str:
    """A fraction as percent: 0.4567 is "45.7"; NaN or None is "n/a"."""
    return NOT_AVAILABLE if score is None or math.isnan(score) else f"{100 * score:.{digits}f}"


def class_captions(result: EvaluationResult) -> list[str]:
    """The scored classes in the order of their train ids, which is the papers'; * = not in mIoU*."""
    return [f"{name}*" if name in result.starred else name for name in result.scored_names]


def class_scores(result: EvaluationResult) -> list[float]:
    """The IoU of the scored classes, as fractions."""
    return [float(result.iou[result.class_names.index(name)]) for name in result.scored_names]


def summary_scores(result: EvaluationResult) -> dict[str, float]:
    """Caption and fraction of every score that is one number, mIoU first."""
    scores = {"mIoU": result.miou}
    if result.miou_star is not None:
        scores["mIoU*"] = result.miou_star
    if result.boundary_miou is not None:
        scores["boundary mIoU"] = result.boundary_miou
    return {
        **scores,
        "pixel accuracy": result.pixel_accuracy,
        "mean accuracy": result.mean_accuracy,
        "frequency-weighted IoU": result.frequency_weighted_iou,
    }


def iou_rows(result: EvaluationResult) -> list[tuple[str, str]]:
    """(class, IoU in percent) for every scored class, then the means."""
    means = {name: score for name, score in summary_scores(result).items() if name in ("mIoU", "mIoU*")}
    rows = [*zip(class_captions(result), class_scores(result), strict=True), *means.items()]
    return [(name, percent(score)) for name, score in rows]


def same_classes(results: Mapping[str, EvaluationResult]) -> Sequence[EvaluationResult]:
    """The results, of which there is one or more, all over the same classes. Raises InputError."""
    columns = list(results.values())
    if not columns or any(result.scored_names != columns[0].scored_names for result in columns):
        raise InputError("a table needs one or more results over the same classes")
    return columns
