"""Tables say percent to people."""

import csv
import io

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from segshift.data.labels import class_set
from segshift.errors import InputError
from segshift.evaluation import (
    EvaluationResult,
    format_results,
    iou_rows,
    percent,
)
from segshift.report.terminal import class_tables, iou_table, single_table, summary_table

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
    with pytest.raises(InputError, match="same classes"):
        format_results({"a": RESULT, "b": other}, "md")
    with pytest.raises(InputError, match="same classes"):
        summary_table({"a": RESULT, "b": RESULT.scored(["car"])})


SIXTEEN = class_set("cityscapes16").names


def sixteen(seed: int) -> EvaluationResult:
    return EvaluationResult(np.random.default_rng(seed).integers(1, 100, (16, 16)), SIXTEEN)


def lines_of(table: Table, width: int = 80) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width).print(table)
    return stream.getvalue().splitlines()


def test_stars_and_both_means() -> None:
    rows = dict(iou_rows(sixteen(0)))
    assert [name for name in rows if name.endswith("*")] == ["wall*", "fence*", "pole*", "mIoU*"]
    assert rows["mIoU*"] == percent(sixteen(0).miou_star) != rows["mIoU"]


def test_one_results_table_has_every_score() -> None:
    text = "\n".join(lines_of(single_table(sixteen(0))))
    for caption in ("mIoU*", "pixel accuracy", "mean accuracy", "frequency-weighted IoU", "traffic light"):
        assert caption in text
    assert percent(sixteen(0).pixel_accuracy) in text and "boundary" not in text


@pytest.mark.parametrize("models", [2, 7, 14])
def test_nothing_is_cut_off_in_a_narrow_terminal(models: int) -> None:
    found = {f"gta5_cityscapes_advent_{index}": sixteen(index) for index in range(models)}
    tables = [*class_tables(found, 80), summary_table(found)]
    text = "\n".join(line for table in tables for line in lines_of(table))
    assert "…" not in text and max(map(len, text.splitlines())) <= 80
    for result in found.values():
        assert text.count(percent(result.miou)) >= 2
    assert len(tables) == 1 + -(-models // 3)


def test_csv_has_the_papers_order_and_all_digits() -> None:
    text = format_results({"a, b": RESULT, "c": BETTER}, "csv")
    header, first, second = csv.reader(io.StringIO(text))
    assert header[:5] == ["model", "road", "car", "sky", "mIoU"]
    assert first[0] == "a, b" and float(first[1]) == 6 / 9 and first[3] == ""
    assert [float(cell) for cell in second[1:]] == [1] * 7
    assert [float(cell) for cell in first[4:]] == [
        RESULT.miou,
        RESULT.pixel_accuracy,
        RESULT.mean_accuracy,
        RESULT.frequency_weighted_iou,
    ]


def test_markdown() -> None:
    lines = format_results({"my_run|1": sixteen(0)}, "md").splitlines()
    assert lines[0].startswith("| model | road | sidewalk | building | wall\\* |")
    assert lines[2].startswith("| my\\_run\\|1 | ")
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


def test_latex() -> None:
    text = format_results({"A_1 & B": RESULT, r"50% #2 \x": BETTER, "third": BETTER}, "latex")
    lines = text.splitlines()
    assert lines[1] == r"\begin{tabular}{lcccc}" and lines[-1] == r"\end{tabular}"
    assert r"Method & \rotatebox{90}{road} & \rotatebox{90}{car}" in text
    assert r"A\_1 \& B & 66.7 & 50.0 & -- & 58.3 \\" in lines
    best = " & ".join([r"\textbf{100.0}"] * 2)
    assert rf"50\% \#2 \textbackslash{{}}x & {best} & \textbf{{100.0}} & \textbf{{100.0}} \\" in lines
    assert "textbf" not in format_results({"only": RESULT}, "latex")
    assert "textbf" not in format_results({"one": BETTER, "two": BETTER}, "latex")
    assert text.count("{") == text.count("}")
