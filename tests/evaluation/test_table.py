"""Tables say percent to people."""

import io

import numpy as np
import pytest
from rich.console import Console

from segshift.errors import InputError
from segshift.evaluation import EvaluationResult, iou_rows, iou_table, percent

RESULT = EvaluationResult(np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]], np.int64), ("road", "car", "sky"))
BETTER = EvaluationResult(np.diag([3, 4, 5]).astype(np.int64), ("road", "car", "sky"))


def test_percent() -> None:
    assert [percent(score) for score in (0.45678, 1.0, 0.0, float("nan"), None)] == [
        "45.7",
        "100.0",
        "0.0",
        "n/a",
        "n/a",
    ]


def test_rows() -> None:
    assert iou_rows(RESULT) == [("road", "66.7"), ("car", "50.0"), ("sky", "n/a"), ("mIoU", "58.3")]


def test_printed_table() -> None:
    stream = io.StringIO()
    table = iou_table({"source only": RESULT, "adapted": BETTER}, title="CamVid")
    Console(file=stream, width=80).print(table)
    lines = [line.replace("│", " ").split() for line in stream.getvalue().splitlines()]
    assert ["road", "66.7", "100.0"] in lines
    assert ["sky", "n/a", "100.0"] in lines
    assert ["mIoU", "58.3", "100.0"] in lines
    assert "source only" in stream.getvalue() and "CamVid" in stream.getvalue()


def test_results_over_different_classes_have_no_common_table() -> None:
    other = EvaluationResult(RESULT.confusion, ("road", "car", "dog"))
    with pytest.raises(InputError, match="same classes"):
        iou_table({"a": RESULT, "b": other})
    with pytest.raises(InputError, match="one or more"):
        iou_table({})
