"""Bars per class: one group of bars for every class, one bar of it for every model."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from segshift.plain import one_line
from segshift.report.drawings.style import MUTED, chart, legend_name, model_colors, shorten

_BAR_IN = 0.13
_WIDTH_IN = 7.6


def draw_class_bars(
    path: Path,
    values: Mapping[str, Sequence[float]],
    class_names: Sequence[str],
    *,
    title: str,
    subtitle: str,
    unit: str,
    means: Mapping[str, float] | None = None,
    mean_name: str = "mean",
    colors: Mapping[str, str] | None = None,
    reference: float | None = None,
    signed: bool = False,
    digits: int = 1,
) -> None:
    """Horizontal bars of every class for several models, with the number beside each bar.

    Long, as drawings are: one call for each line that is seen.

    Args:
        path: without a suffix; written as PNG and SVG.
        values: (C,) per model; NaN is shown as n/a.
        class_names: C names, from top to bottom.
        title: heading.
        subtitle: smaller line below it.
        unit: what the axis measures.
        means: of the models, as one more group at the bottom.
        mean_name: of that group.
        colors: of the models; their own in the order given by default.
        reference: where a line is drawn ("1 = as the reference").
        signed: write the sign of positive numbers.
        digits: behind the point.

    Raises:
        InputError: more models than can be told apart.
    """
    colors = colors or model_colors(list(values))
    groups = [*map(shorten, class_names), *([mean_name] if means else [])]
    rows = {name: [*own, *([means[name]] if means else [])] for name, own in values.items()}
    # A gap of one and a half bars between groups; the mean stands a little apart.
    step = len(rows) + 1.5
    tops = [step * index + (0.8 if means and index == len(groups) - 1 else 0) for index in range(len(groups))]
    height = _BAR_IN * max(1.0, 2.6 / step) * (tops[-1] + step) + 1.5
    with chart(path, (_WIDTH_IN, height), title, subtitle) as (figure, ((axes,),)):
        known = [value for row in rows.values() for value in row if math.isfinite(value)]
        low, high = min([0.0, *known]), max([0.0, *known])
        room = 0.11 * ((high - low) or 1.0)
        axes.set_xlim(low - (room if low < 0 else 0), high + room)
        for number, (name, row) in enumerate(rows.items()):
            places = [top + number + 0.5 for top in tops]
            lengths = [value if math.isfinite(value) else (0.0 if value != value else high) for value in row]
            axes.barh(places, lengths, height=0.86, color=colors[name], label=legend_name(name))
            for place, value, length in zip(places, row, lengths, strict=True):
                _write(axes, place, value, length, signed, digits)
        middles = [top + len(rows) / 2 for top in tops]
        axes.set_yticks(middles, groups)
        axes.tick_params(axis="y", length=0)
        if means:
            axes.get_yticklabels()[-1].set_fontweight("bold")
            axes.axhline(tops[-1] - 0.9, color=MUTED, linewidth=0.6)
        axes.set_ylim(tops[-1] + len(rows) + 0.8, -0.8)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.axvline(0, color=MUTED, linewidth=0.8)
        if reference is not None:
            axes.axvline(reference, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
        axes.set_xlabel(one_line(unit))
        if len(rows) > 1:
            figure.legend(loc="outside lower center", ncols=min(4, len(rows)))


def _write(axes: Axes, place: float, value: float, length: float, signed: bool, digits: int) -> None:
    """The number at the end of its bar, or n/a at the axis."""
    known = not math.isnan(value)
    text = (f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}") if known else "n/a"
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
