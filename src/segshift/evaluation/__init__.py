"""Judging a segmenter: predictions on whole data sets, one confusion matrix, IoU per class."""

from segshift.evaluation.confusion import confusion_matrix, iou, miou, pixel_accuracy
from segshift.evaluation.evaluate import EvaluationResult, evaluate
from segshift.evaluation.inference import (
    InferenceMode,
    predict_ids,
    probabilities,
    sliding_window_probabilities,
    whole_image_logits,
)
from segshift.evaluation.table import iou_rows, iou_table, percent

__all__ = [
    "EvaluationResult",
    "InferenceMode",
    "confusion_matrix",
    "evaluate",
    "iou",
    "iou_rows",
    "iou_table",
    "miou",
    "percent",
    "pixel_accuracy",
    "predict_ids",
    "probabilities",
    "sliding_window_probabilities",
    "whole_image_logits",
]
