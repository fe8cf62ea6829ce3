"""Tables for the terminal: rows of a report, and results."""

import math
from collections.abc import Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table

from segshift.evaluation import EvaluationResult, PairedComparison, iou_rows, percent
from segshift.evaluation.table import class_captions, class_scores, same_classes, summary_scores
from segshift.report.content import Report, ReportedRun, best_row
from segshift.report.wording import points, spread_words, state
from segshift.terminal import literal

_CAPTION_WIDTH = 16
# Broken where words end, so that the columns stay narrow.
_HEADINGS = {
    "boundary mIoU": "boundary\nmIoU",
    "pixel accuracy": "pixel\naccuracy",
    "mean accuracy": "mean\naccuracy",
    "frequency-weighted IoU": "frequency-\nweighted IoU",
}
_Column = tuple[str, Sequence[str]]


def rows_table(report: Report) -> Table:
    """A line per row, with the gain over the reference and its interval; below it one per seed of several."""
    several = len(report.seeds) > 1
    table = Table(caption=_caption(report) if len(report.runs) > 1 else None)
    table.add_column("run", overflow="fold")
    table.add_column("mIoU", justify="right")
    if len(report.runs) > 1:
        table.add_column("gain", justify="right")
        table.add_column("95 % interval", justify="right")
        table.add_column("verdict", overflow="fold")
    best = best_row(report.runs)
    for run in report.runs:
        name = run.name + (" (uses target labels)" if run.uses_target_labels else "")
        cells = [spread_words(run.miou, run.miou_spread), *_gain_cells(run, report)]
        style = "dim" if run.uses_target_labels else "bold green" if run is best else None
        table.add_row(literal(name), *cells, style=style)
        for one in run.seeds if several else ():
            score = "n/a" if one.result is None else percent(one.result.miou)
            gain = [] if one.gain is None else [_signed(one.gain.difference), interval_words(one.gain)]
            table.add_row(f"  seed {one.seed}", score, *gain, style="dim")
    return table


def _gain_cells(run: ReportedRun, report: Report) -> Iterator[str]:
    if len(report.runs) < 2:
        return
    gain = run.gain
    if gain is None:
        yield from ("", "", "reference" if run is report.runs[0] and run.result is not None else "")
        return
    spread = run.gain_spread
    yield _signed(gain.difference) + ("" if spread is None else f" ± {100 * spread:.2f}")
    yield interval_words(gain)
    share = (
        "" if run.gap_share is None or run.uses_target_labels else f", {100 * run.gap_share:.0f} % of the gap"
    )
    yield state(gain) + (", not like for like" if run.unfair else "") + share


def _caption(report: Report) -> str:
    """What the columns mean."""
    seeds = len(report.seeds)
    spread = f"±: standard deviation over {seeds} seeds. " if seeds > 1 else ""
    gap = (
        "; gap: from the reference to the oracle"
        if any(run.gap_share is not None for run in report.runs)
        else ""
    )
    return f"{spread}gain: over {report.runs[0].name}, in points; interval: over the images{gap}"


def row_class_tables(report: Report, width: int) -> list[Table]:
    """The IoU of every class, a column per scored row, in as many tables as it takes to fit a terminal."""
    scored = [run for run in report.runs if run.results]
    names = scored[0].results[0].scored_names if scored else ()
    columns = [(run.name, [percent(run.class_iou(name)) for name in names]) for run in scored]
    return _fitting(names, columns, len(names), width, "IoU of every class in %")


def paired_table(gain: PairedComparison, title: str) -> Table:
    """What one row wins and loses over another, class by class."""
    table = Table(title=literal(title))
    table.add_column("class", no_wrap=True)
    table.add_column("difference", justify="right")
    table.add_column(f"{100 * gain.level:.0f} % interval", justify="right")
    for name, difference, ends in zip(
        gain.class_names, gain.class_difference.tolist(), gain.class_interval.tolist(), strict=True
    ):
        table.add_row(literal(name), _signed(difference), _ends(*ends))
    table.add_section()
    table.add_row("mIoU", _signed(gain.difference), interval_words(gain), style="bold")
    return table


def _signed(difference: float) -> str:
    """Points with a hyphen for a minus, as spreadsheets and scripts read it."""
    return points(difference, 2).replace("\N{MINUS SIGN}", "-")


def interval_words(gain: PairedComparison) -> str:
    """Both ends of the interval of a gain, in points."""
    return _ends(*gain.interval)


def _ends(low: float, high: float) -> str:
    return "n/a" if math.isnan(low) else f"{_signed(low)} to {_signed(high)}"


def iou_table(results: Mapping[str, EvaluationResult], title: str | None = None) -> Table:
    """A row per class and a column per result, in percent, with the means in the last rows.

    Args:
        results: column captions and results over the same classes.
        title: above the table.

    Raises:
        InputError: no result, or results over different classes.
    """
    return _class_table(*_class_rows(results), title)


def class_tables(results: Mapping[str, EvaluationResult], width: int) -> list[Table]:
    """`iou_table` in as many tables as it takes to fit a terminal of `width` characters."""
    return _fitting(*_class_rows(results), width, "IoU in %")


def _class_rows(results: Mapping[str, EvaluationResult]) -> tuple[list[str], list[_Column], int]:
    """Names of the rows, captions and cells of the columns, and how many rows are classes."""
    same = same_classes(results)
    listed = [iou_rows(result) for result in same]
    cells = [[value for _, value in rows] for rows in listed]
    columns: list[_Column] = list(zip(results, cells, strict=True))
    return [name for name, _ in listed[0]], columns, len(same[0].scored_names)


def _fitting(
    names: Sequence[str], columns: Sequence[_Column], classes: int, width: int, title: str
) -> list[Table]:
    """`_class_table` in as many tables as it takes; the first one has the title."""
    groups: list[list[_Column]] = []
    room = 0
    for column in columns:
        needed = min(max(len(column[0]), len("100.0")), _CAPTION_WIDTH) + 3
        if needed > room:
            groups.append([])
            room = width - max(map(len, names)) - 4
        groups[-1].append(column)
        room -= needed
    return [
        _class_table(names, group, classes, None if index else title) for index, group in enumerate(groups)
    ]


def _class_table(names: Sequence[str], columns: Sequence[_Column], classes: int, title: str | None) -> Table:
    """A row per class, and the means below a line."""
    table = Table(title=None if title is None else literal(title))
    table.add_column("class", no_wrap=True)
    for caption, _ in columns:
        table.add_column(literal(caption), justify="right", max_width=_CAPTION_WIDTH, overflow="fold")
    for index, name in enumerate(names):
        if index == classes:
            table.add_section()
        style = "bold" if index >= classes else None
        table.add_row(literal(name), *(cells[index] for _, cells in columns), style=style)
    return table


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
