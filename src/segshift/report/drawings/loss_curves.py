"""The curves of runs from their metrics.jsonl: losses, discriminators beside chance, label-free scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from segshift.analysis.loss_curves import MIOU, Curves, Record, chance_levels, loss_curves, score_curves
from segshift.errors import InputError
from segshift.pictures import INK, hex_color
from segshift.report.drawings.style import DASHES, MODEL_COLORS, MUTED, chart, shorten

_MARKS = ("o", "s")
# The running mean that is drawn over the single lines of the log.
_SMOOTHED_LINES = 5
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
        for (name, records), (own, others, scores) in zip(runs.items(), grid, strict=True):
            losses, against = loss_curves(records)
            _draw(own, losses, smooth=True)
            own.set_title(f"{shorten(name)}: losses")
            _draw(others, against, smooth=True)
            _chance_lines(others, against)
            others.set_title("discriminators")
            _draw(scores, score_curves(records), smooth=False)
            scores.set_title("scores on the target")
            scores.set(ylim=(0, 1.02), xlim=own.get_xlim())


def _draw(axes: Axes, lines: Curves, smooth: bool) -> None:
    if not lines:
        axes.text(0.5, 0.5, "none", ha="center", va="center", color=MUTED, transform=axes.transAxes)
        axes.set_axis_off()
        return
    for number, (name, line) in enumerate(lines.items()):
        steps, values = [step for step, _ in line], [value for _, value in line]
        round_, place = divmod(number, len(MODEL_COLORS) - 1)
        color = hex_color(INK) if name == MIOU else MODEL_COLORS[1 + place]
        # Colors that come again have another dash.
        dash = DASHES[round_ % len(DASHES)]
        if smooth:
            axes.plot(steps, values, color=color, alpha=0.3, linewidth=1)
            values = _running_mean(values)
        # A single evaluation is a point, not a line.
        mark = _MARKS[round_ % len(_MARKS)] if len(line) == 1 or not smooth else None
        label = shorten(name.replace("_", " "), 60)
        axes.plot(steps, values, color=color, linestyle=dash, marker=mark, markersize=3.5, label=label)
    axes.set_xlabel("step")
    axes.grid(axis="y")
    if smooth:
        axes.legend(fontsize=7, loc="best")
    else:  # ten lines leave no room for their names
        axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.02))


def _running_mean(values: Sequence[float]) -> list[float]:
    reach = _SMOOTHED_LINES // 2
    windows = (values[max(0, place - reach) : place + reach + 1] for place in range(len(values)))
    return [sum(window) / len(window) for window in windows]


def _chance_lines(axes: Axes, lines: Curves) -> None:
    for level, name in chance_levels({key: line[0][1] for key, line in lines.items()}):
        axes.axhline(level, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            name, (1, level), xycoords=("axes fraction", "data"), color=MUTED, fontsize=7,
            ha="right", va="bottom",
        )  # fmt: skip
