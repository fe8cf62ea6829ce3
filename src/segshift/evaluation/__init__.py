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
from segshift.evaluation.inference import (
    InferenceMode,
    ensemble_ids,
    predict_ids,
    probabilities,
    sliding_window_probabilities,
    whole_image_logits,
)
from segshift.evaluation.labelled import labelled_items
from segshift.evaluation.paired import PairedComparison, compare_paired
from segshift.evaluation.predictions import evaluate_predictions
from segshift.evaluation.protocol import protocol_lines, scored_classes, starred_classes
from segshift.evaluation.result import EvaluationResult
from segshift.evaluation.table import (
    class_tables,
    iou_rows,
    iou_table,
    percent,
    single_table,
    summary_table,
)

__all__ = [
    "ClassCounts",
    "EvaluationResult",
    "InferenceMode",
    "PairedComparison",
    "boundary_counts",
    "class_accuracy",
    "class_tables",
    "compare_paired",
    "confusion_matrix",
    "ensemble_ids",
    "evaluate",
    "evaluate_predictions",
    "format_results",
    "frequency_weighted_iou",
    "iou",
    "iou_rows",
    "iou_table",
    "labelled_items",
    "miou",
    "percent",
    "pixel_accuracy",
    "predict_ids",
    "probabilities",
    "protocol_lines",
    "scored_classes",
    "single_table",
    "sliding_window_probabilities",
    "starred_classes",
    "summary_table",
    "whole_image_logits",
]
