"""The report's rows as tables for the terminal."""

import math
from collections.abc import Iterator, Sequence

from rich.table import Table

from segshift.evaluation import PairedComparison, percent
from segshift.plain import literal
from segshift.report.content import Report, ReportedRun, best_row
from segshift.report.wording import points, spread_words, state

_CAPTION_WIDTH = 16


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


def class_tables(report: Report, width: int) -> list[Table]:
    """The IoU of every class, a column per row of the report, in as many tables as it takes to fit."""
    scored = [run for run in report.runs if run.results]
    if not scored:
        return []
    names = scored[0].results[0].scored_names
    room = width - max(len("mIoU"), *map(len, names)) - 4
    groups: list[list[ReportedRun]] = [[]]
    for run in scored:
        needed = min(max(len(run.name), len("100.0")), _CAPTION_WIDTH) + 3
        if groups[-1] and needed > room:
            groups.append([])
            room = width - max(len("mIoU"), *map(len, names)) - 4
        groups[-1].append(run)
        room -= needed
    return [
        _class_table(group, names, "IoU of every class in %" if not i else None)
        for i, group in enumerate(groups)
    ]


def _class_table(runs: Sequence[ReportedRun], names: Sequence[str], title: str | None) -> Table:
    table = Table(title=title)
    table.add_column("class", no_wrap=True)
    for run in runs:
        table.add_column(literal(run.name), justify="right", max_width=_CAPTION_WIDTH, overflow="fold")
    for name in names:
        table.add_row(literal(name), *(percent(run.class_iou(name)) for run in runs))
    return table


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
