"""Lines side by side, and mIoU over a hyper-parameter."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, PercentFormatter

from segshift.report.colors import COLORS
from segshift.report.drawings.style import MUTED, chart, dash, hue_color, legend_name, shorten
from segshift.report.plots import Lines

_MARKS = ("o", "s", "^", "D")
_LOG_FROM_RATIO = 20.0


def draw_lines(
    path: Path, panels: Sequence[Lines], title: str, subtitle: str, *, marked: bool = False
) -> None:
    """Panels of lines side by side, from 0 on both axes, each with its legend below.

    Args:
        path: without a suffix; written as PNG and SVG.
        panels: a chart each.
        title: heading.
        subtitle: what was measured on what.
        marked: whether each value has a mark.
    """
    # A line for every legend entry below its axes.
    entries = len(panels[0].lines) + (panels[0].guide is not None)
    size = (5.4 * len(panels), 4.0 + 0.22 * entries)
    with chart(path, size, title, subtitle, 1, len(panels)) as (_, (row,)):
        for axes, panel in zip(row, panels, strict=True):
            if panel.guide is not None:
                axes.plot(
                    panel.guide.xs, panel.guide.ys, color=MUTED, linewidth=1, linestyle=(0, (4, 3)),
                    label=panel.guide.name,
                )  # fmt: skip
            for line in panel.lines:
                axes.plot(
                    line.xs, line.ys, color=hue_color(line.hue), linestyle=dash(line.dash), clip_on=False,
                    marker="o" if marked else None, markersize=3.5,
                    label=legend_name(line.name) + line.remark,
                )  # fmt: skip
            axes.set_title(panel.title)
            axes.set_xlabel(panel.x_unit)
            axes.set_ylabel(panel.y_unit)
            axes.set_xlim(0, None)
            axes.set_ylim(0, None)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid()
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14))


def draw_sweep(
    path: Path,
    parameter: str,
    lines: Mapping[str, Mapping[Any, Sequence[float]]],
    subtitle: str,
    losses: Mapping[str, Mapping[Any, Sequence[float]]] | None = None,
) -> None:
    """The mIoU against a hyper-parameter: the mean over seeds, the band of one standard deviation, each seed.

    Numbers stand where they belong, on a logarithmic axis when the largest is 20 times the smallest or more;
    other values stand side by side.

    Args:
        path: without a suffix; written as PNG and SVG.
        parameter: its name.
        lines: for each curve (the settings of the other parameters; "" if there is one curve) the mIoU of
            every seed, in [0, 1], by the parameter's value.
        subtitle: what was trained on what.
        losses: what the discriminators of the same curves lost in the end: their means are drawn faint and
            dashed on an axis of their own, as in figure 4 of the CLAN paper.
    """
    values = list(dict.fromkeys(value for line in lines.values() for value in line))
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    values = sorted(values) if numeric else values
    places = {value: float(value) if numeric else float(index) for index, value in enumerate(values)}
    height = 4.2 + 0.22 * (len(lines) if len(lines) > 1 else 0)
    with chart(path, (6.6, height), f"mIoU over {parameter}", subtitle) as (_, ((axes,),)):
        for number, (name, line) in enumerate(lines.items()):
            color = hue_color(1 + number)
            mark = _MARKS[number // (COLORS - 1) % len(_MARKS)]
            ordered = [value for value in values if line.get(value)]
            at = [places[value] for value in ordered]
            means = [100 * statistics.fmean(line[value]) for value in ordered]
            axes.plot(at, means, color=color, marker=mark, markersize=5, label=legend_name(name, 60) or None)
            spreads = [
                100 * statistics.stdev(line[value]) if len(line[value]) > 1 else 0.0 for value in ordered
            ]
            if any(spreads):
                low = [mean - spread for mean, spread in zip(means, spreads, strict=True)]
                high = [mean + spread for mean, spread in zip(means, spreads, strict=True)]
                axes.fill_between(at, low, high, color=color, alpha=0.15, linewidth=0)
                for place, value in zip(at, ordered, strict=True):
                    dots = [100 * score for score in line[value]]
                    axes.scatter([place] * len(dots), dots, s=9, color=color, alpha=0.6, linewidths=0)
        _parameter_axis(axes, values, places, numeric)
        axes.set_xlabel(shorten(parameter, 60))
        axes.set_ylabel("mIoU")
        axes.yaxis.set_major_formatter(PercentFormatter(decimals=1))
        axes.grid(axis="y")
        if losses:
            _discriminators(axes.twinx(), losses, values, places)
        if len(lines) > 1:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17))


def _discriminators(
    axes: Axes,
    losses: Mapping[str, Mapping[Any, Sequence[float]]],
    values: Sequence[Any],
    places: Mapping[Any, float],
) -> None:
    """The dashed lines of `draw_sweep`, in the colors of the curves that they belong to."""
    for number, line in enumerate(losses.values()):
        ordered = [value for value in values if line.get(value)]
        axes.plot(
            [places[value] for value in ordered], [statistics.fmean(line[value]) for value in ordered],
            color=hue_color(1 + number), alpha=0.6, linewidth=1.2,
            linestyle=(0, (4, 3)), marker=".", markersize=5,
        )  # fmt: skip
    axes.set_ylabel("discriminators' loss at the end (dashed)", color=MUTED)
    axes.set_ylim(0, None)
    axes.spines["right"].set_visible(True)


def _parameter_axis(axes: Axes, values: Sequence[Any], places: Mapping[Any, float], numeric: bool) -> None:
    """A tick at every value; a logarithmic axis where they span it."""
    smallest = min(places.values())
    logarithmic = numeric and smallest > 0 and max(places.values()) / smallest >= _LOG_FROM_RATIO
    if logarithmic:
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([places[value] for value in values]))
    axes.xaxis.set_minor_locator(NullLocator())
    texts = [f"{value:g}" if numeric else shorten(str(value), 28) for value in values]
    at = [math.log(places[value]) if logarithmic else places[value] for value in values]
    nearest = min((b - a for a, b in itertools.pairwise(at)), default=1.0)
    # Some ten characters of a tick fit into an inch, and the axis is about five and a half inches wide.
    room = 52 * nearest / ((at[-1] - at[0]) or 1.0)
    tilt = 35 if max(map(len, texts)) + 1 > room else 0
    axes.set_xticks(
        [places[value] for value in values], texts, rotation=tilt, ha="right" if tilt else "center"
    )
