"""Judging a segmenter: predictions on whole data sets, one confusion matrix, IoU per class."""

from segshift.evaluation.boundary import boundary_counts
from segshift.evaluation.confusion import (
    class_accuracy,
    confusion_matrix,
    frequency_weighted_iou,
    iou,
    miou,
    pixel_accuracy,
)
from segshift.evaluation.counts import ClassCounts
from segshift.evaluation.evaluate import evaluate
from segshift.evaluation.formats import format_results
from segshift.evaluation.labelled import labelled_items
from segshift.evaluation.measures import BoundaryIou, Iou, Measure, Tally, judge
from segshift.evaluation.paired import PairedComparison, compare_paired
from segshift.evaluation.predictions import Predictions, evaluate_predictions, open_predictions
from segshift.evaluation.protocol import protocol_lines, scored_classes, starred_classes
from segshift.evaluation.result import EvaluationResult
from segshift.evaluation.table import iou_rows, percent
from segshift.models.inference_config import Inference

__all__ = [
    "BoundaryIou",
    "ClassCounts",
    "EvaluationResult",
    "Inference",
    "Iou",
    "Measure",
    "PairedComparison",
    "Predictions",
    "Tally",
    "boundary_counts",
    "class_accuracy",
    "compare_paired",
    "confusion_matrix",
    "evaluate",
    "evaluate_predictions",
    "format_results",
    "frequency_weighted_iou",
    "iou",
    "iou_rows",
    "judge",
    "labelled_items",
    "miou",
    "open_predictions",
    "percent",
    "pixel_accuracy",
    "protocol_lines",
    "scored_classes",
    "starred_classes",
]
