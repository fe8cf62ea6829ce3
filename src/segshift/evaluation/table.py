"""Results as tables: for people in percent, for machines as fractions."""

import math
from collections.abc import Mapping

from rich.table import Table

from segshift.errors import InputError
from segshift.evaluation.evaluate import EvaluationResult

NOT_AVAILABLE = "n/a"


def percent(score: float | None) -> str:
    """A fraction as percent with one decimal: 0.4567 is "45.7"; NaN or None is "n/a"."""
    return NOT_AVAILABLE if score is None or math.isnan(score) else f"{100 * score:.1f}"


def iou_rows(result: EvaluationResult) -> list[tuple[str, str]]:
    """(class, IoU in percent) for every class, then the mean."""
    rows = [(name, percent(score)) for name, score in zip(result.class_names, result.iou, strict=True)]
    return [*rows, ("mIoU", percent(result.miou))]


def iou_table(results: Mapping[str, EvaluationResult], title: str | None = None) -> Table:
    """A row per class and a column per result, in percent, with the mean in the last row.

    Args:
        results: column captions and results over the same classes.
        title: above the table.

    Raises:
        InputError: no result, or results over different classes.
    """
    columns = list(results.values())
    if not columns or any(result.class_names != columns[0].class_names for result in columns):
        raise InputError("a table needs one or more results over the same classes")
    table = Table(title=title)
    table.add_column("class")
    for caption in results:
        table.add_column(caption, justify="right")
    listed = [iou_rows(result) for result in columns]
    for number, cells in enumerate(zip(*listed, strict=True)):
        last = number == len(listed[0]) - 1
        if last:
            table.add_section()
        table.add_row(cells[0][0], *(value for _, value in cells), style="bold" if last else None)
    return table
