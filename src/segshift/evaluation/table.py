"""Results as tables for the terminal, in percent."""

import math
from collections.abc import Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table

from segshift.errors import InputError
from segshift.evaluation.result import EvaluationResult
from segshift.plain import literal

NOT_AVAILABLE = "n/a"
_CAPTION_WIDTH = 16
# Broken where words end, so that the columns stay narrow.
_HEADINGS = {
    "boundary mIoU": "boundary\nmIoU",
    "pixel accuracy": "pixel\naccuracy",
    "mean accuracy": "mean\naccuracy",
    "frequency-weighted IoU": "frequency-\nweighted IoU",
}


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


def iou_table(results: Mapping[str, EvaluationResult], title: str | None = None) -> Table:
    """A row per class and a column per result, in percent, with the means in the last rows.

    Args:
        results: column captions and results over the same classes.
        title: above the table.

    Raises:
        InputError: no result, or results over different classes.
    """
    columns = same_classes(results)
    table = Table(title=None if title is None else literal(title))
    table.add_column("class", no_wrap=True)
    for caption in results:
        table.add_column(literal(caption), justify="right", max_width=_CAPTION_WIDTH, overflow="fold")
    listed = [iou_rows(result) for result in columns]
    classes = len(columns[0].scored_names)
    for number, cells in enumerate(zip(*listed, strict=True)):
        if number == classes:
            table.add_section()
        table.add_row(
            literal(cells[0][0]), *(value for _, value in cells), style="bold" if number >= classes else None
        )
    return table


def class_tables(results: Mapping[str, EvaluationResult], width: int) -> list[Table]:
    """`iou_table` of several results in as many tables as it takes to fit a terminal.

    Args:
        results: column captions and results over the same classes.
        width: of the terminal in characters.

    Raises:
        InputError: as `iou_table`.
    """
    first = max(len(name) for name, _ in iou_rows(same_classes(results)[0])) + 4
    groups: list[dict[str, EvaluationResult]] = []
    room = 0
    for caption, result in results.items():
        needed = min(max(len(caption), len("100.0")), _CAPTION_WIDTH) + 3
        if needed > room:
            groups.append({})
            room = width - first
        groups[-1][caption] = result
        room -= needed
    return [iou_table(group, "IoU in %" if index == 0 else None) for index, group in enumerate(groups)]


def single_table(result: EvaluationResult) -> Table:
    """One result: a row per class with IoU and, if it was counted, boundary IoU; then all other scores."""
    outlines = result.boundary_iou
    table = Table()
    table.add_column("class", no_wrap=True)
    table.add_column("IoU in %", justify="right")
    if outlines is not None:
        table.add_column("boundary IoU", justify="right")
    for name, caption, score in zip(
        result.scored_names, class_captions(result), class_scores(result), strict=True
    ):
        cells: list[RenderableType] = [literal(caption), percent(score)]
        if outlines is not None:
            cells.append(percent(float(outlines[result.class_names.index(name)])))
        table.add_row(*cells)
    table.add_section()
    for caption, score in summary_scores(result).items():
        if caption == "boundary mIoU":
            continue
        cells = [caption, percent(score)]
        if outlines is not None:
            cells.append(percent(result.boundary_miou) if caption == "mIoU" else "")
        table.add_row(*cells, style="bold" if caption in ("mIoU", "mIoU*") else None)
    return table


def summary_table(results: Mapping[str, EvaluationResult], title: str | None = None) -> Table:
    """A row per result and a column per score that is one number, in percent. Raises InputError."""
    same_classes(results)
    table = Table(title=None if title is None else literal(title))
    table.add_column("model", overflow="fold")
    listed = {caption: summary_scores(result) for caption, result in results.items()}
    for heading in dict.fromkeys(name for scores in listed.values() for name in scores):
        table.add_column(_HEADINGS.get(heading, heading), justify="right", no_wrap=True)
    for caption, scores in listed.items():
        table.add_row(literal(caption), *(percent(score) for score in scores.values()))
    return table


def same_classes(results: Mapping[str, EvaluationResult]) -> Sequence[EvaluationResult]:
    """The results, of which there is one or more, all over the same classes. Raises InputError."""
    columns = list(results.values())
    if not columns or any(result.scored_names != columns[0].scored_names for result in columns):
        raise InputError("a table needs one or more results over the same classes")
    return columns
