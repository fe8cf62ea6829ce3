"""Bars per class: one group of bars for every class, one bar of it for every row."""

import math
from pathlib import Path

from matplotlib.axes import Axes

from segshift.plain import one_line
from segshift.report.colors import check_colors
from segshift.report.drawings.style import MUTED, chart, hue_color, legend_name, shorten
from segshift.report.plots import ClassBars

_BAR_IN = 0.13
_WIDTH_IN = 7.6


def draw_class_bars(path: Path, bars: ClassBars, subtitle: str) -> None:
    """Horizontal bars of every class for several rows, with the number beside each bar.

    Args:
        path: without a suffix; written as PNG and SVG.
        bars: what is shown, n/a for NaN; the rows' means, if they have some, as one more group at the bottom.
        subtitle: a smaller line below the heading.

    Raises:
        InputError: more rows than can be told apart.
    """
    check_colors(len(bars.rows))
    with_means = any(row.mean is not None for row in bars.rows)
    groups = [*map(shorten, bars.class_names), *([bars.mean_name] if with_means else [])]
    means = [[math.nan if row.mean is None else row.mean] if with_means else [] for row in bars.rows]
    rows = [[*row.values.tolist(), *mean] for row, mean in zip(bars.rows, means, strict=True)]
    # A gap of one and a half bars between groups; the mean stands a little apart.
    step = len(rows) + 1.5
    tops = [
        step * index + (0.8 if with_means and index == len(groups) - 1 else 0) for index in range(len(groups))
    ]
    height = _BAR_IN * max(1.0, 2.6 / step) * (tops[-1] + step) + 1.5
    with chart(path, (_WIDTH_IN, height), bars.title, subtitle) as (figure, ((axes,),)):
        known = [value for row in rows for value in row if math.isfinite(value)]
        low, high = min([0.0, *known]), max([0.0, *known])
        room = 0.11 * ((high - low) or 1.0)
        axes.set_xlim(low - (room if low < 0 else 0), high + room)
        for number, (of, row) in enumerate(zip(bars.rows, rows, strict=True)):
            places = [top + number + 0.5 for top in tops]
            lengths = [value if math.isfinite(value) else (0.0 if value != value else high) for value in row]
            axes.barh(places, lengths, height=0.86, color=hue_color(of.hue), label=legend_name(of.name))
            for place, value, length in zip(places, row, lengths, strict=True):
                _write(axes, place, value, length, bars)
        axes.set_yticks([top + len(rows) / 2 for top in tops], groups)
        if with_means:
            axes.get_yticklabels()[-1].set_fontweight("bold")
            axes.axhline(tops[-1] - 0.9, color=MUTED, linewidth=0.6)
        axes.set_ylim(tops[-1] + len(rows) + 0.8, -0.8)
        _finish(axes, bars)
        if len(rows) > 1:
            figure.legend(loc="outside lower center", ncols=min(4, len(rows)))


def _finish(axes: Axes, bars: ClassBars) -> None:
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    if bars.level is not None:
        axes.axvline(bars.level, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    axes.set_xlabel(one_line(bars.meaning or bars.unit))


def _write(axes: Axes, place: float, value: float, length: float, bars: ClassBars) -> None:
    """The number at the end of its bar, or n/a at the axis."""
    sign = "+" if bars.signed else ""
    text = "n/a" if math.isnan(value) else f"{value:{sign}.{bars.digits}f}"
    axes.annotate(
        text.replace("-", "−").replace("inf", "∞"),
        (length, place),
        xytext=(-3 if length < 0 else 3, 0),
        textcoords="offset points",
        ha="right" if length < 0 else "left",
        va="center_baseline",
        size=6.8,
        color=MUTED,
        # Lines that cross a number make another number of it.
        bbox={"boxstyle": "square,pad=0.12", "facecolor": axes.get_facecolor(), "edgecolor": "none"},
        zorder=4,
    )
