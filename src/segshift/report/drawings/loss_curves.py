"""The curves of runs from their metrics.jsonl: losses, discriminators beside chance, label-free scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from segshift.analysis.loss_curves import Record
from segshift.errors import InputError
from segshift.report.content import CurveGroup
from segshift.report.curve_plots import GROUPS, curves_of_run
from segshift.report.drawings.style import MUTED, chart, dash, hue_color, shorten
from segshift.report.plots import Lines
from segshift.report.runs import log_curves

_MARKS = ("o", "s")
# The running mean that is drawn over the single lines of the log.
_SMOOTHED_LINES = 5
_SHOWN: tuple[CurveGroup, ...] = ("loss", "discriminator", "score")
_ROW_IN, _MARGIN_IN = 2.9, 0.9


def draw_loss_curves(path: Path, runs: Mapping[str, Sequence[Record]]) -> None:
    """One row per run: losses of the trained networks, losses of the discriminators, label-free scores.

    Losses are drawn as logged, faint, under their running mean over 5 lines of the log. Dashed lines are the
    cross-entropies of a discriminator that cannot tell the domains apart, for those that start there.

    Args:
        path: without a suffix; written as PNG and SVG.
        runs: the lines of metrics.jsonl by the run's name.

    Raises:
        InputError: runs without a logged loss.
    """
    if not any("losses" in record for records in runs.values() for record in records):
        raise InputError("curves: no loss was logged; give runs that have trained")
    size = (14.6, _MARGIN_IN + _ROW_IN * len(runs))
    subtitle = "as logged, and the running mean over 5 lines of the log"
    with chart(path, size, "Training curves", subtitle, len(runs), 3) as (_, grid):
        for (name, records), row in zip(runs.items(), grid, strict=True):
            found = curves_of_run(log_curves(records), 0)
            for group, axes in zip(_SHOWN, row, strict=True):
                _draw(axes, found.get(group), smooth=group != "score")
                axes.set_title(GROUPS[group])
            row[0].set_title(f"{shorten(name)}: losses")
            row[2].set_title("scores on the target")
            row[2].set(ylim=(0, 1.02), xlim=row[0].get_xlim())


def _draw(axes: Axes, lines: Lines | None, smooth: bool) -> None:
    if lines is None:
        axes.text(0.5, 0.5, "none", ha="center", va="center", color=MUTED, transform=axes.transAxes)
        axes.set_axis_off()
        return
    for line in lines.lines:
        color, values = hue_color(line.hue), line.ys
        if smooth:
            axes.plot(line.xs, values, color=color, alpha=0.3, linewidth=1)
            values = _running_mean(values)
        # A single evaluation is a point, not a line.
        mark = _MARKS[line.dash % len(_MARKS)] if len(line.xs) == 1 or not smooth else None
        label = shorten(line.name, 60)
        axes.plot(
            line.xs, values, color=color, linestyle=dash(line.dash), marker=mark, markersize=3.5, label=label
        )
    axes.set_xlabel(lines.x_unit)
    axes.grid(axis="y")
    if smooth:
        axes.legend(fontsize=7, loc="best")
    else:  # ten lines leave no room for their names
        axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.02))
    for level, name in lines.levels:
        axes.axhline(level, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            name, (1, level), xycoords=("axes fraction", "data"), color=MUTED, fontsize=7,
            ha="right", va="bottom",
        )  # fmt: skip


def _running_mean(values: Sequence[float]) -> list[float]:
    reach = _SMOOTHED_LINES // 2
    windows = (values[max(0, place - reach) : place + reach + 1] for place in range(len(values)))
    return [sum(window) / len(window) for window in windows]
