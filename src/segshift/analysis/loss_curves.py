"""The curves of runs from their metrics.jsonl: losses, discriminators beside chance, label-free scores."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from segshift.analysis.chart_style import MODEL_COLORS, MUTED, chart, hex_color, shorten
from segshift.errors import InputError
from segshift.methods.roles import logged_roles, role_of_loss
from segshift.pictures import INK

Record = Mapping[str, Any]
Curves = dict[str, list[tuple[int, float]]]

_CHANCE = ((0.5 * math.log(2), "0.5 log 2"), (math.log(2), "log 2"))
_CHANCE_OF_FOUR = (math.log(4), "log 4")
# A network's first loss lies this near its chance level, where it has one of these.
_STARTS_WITHIN = 0.1
MIOU = "mIoU (target labels, for information)"
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


def curves(records: Sequence[Record], key: str) -> Curves:
    """(step, value) of everything that the lines of a log hold under `key`, by name; null is left out."""
    found: Curves = {}
    for record in records:
        for name, value in (record.get(key) or {}).items():
            if value is not None:
                found.setdefault(name, []).append((int(record["step"]), float(value)))
    return found


def loss_curves(records: Sequence[Record]) -> tuple[Curves, Curves]:
    """The losses of the networks that learn a task of their own, and of the adversaries that judge them."""
    losses, roles = curves(records, "losses"), logged_roles(records)
    against = {key: line for key, line in losses.items() if role_of_loss(key, roles) == "adversary"}
    return {key: line for key, line in losses.items() if key not in against}, against


def score_curves(records: Sequence[Record]) -> Curves:
    """The label-free scores, one that is no share as a share of its largest value, and the true mIoU."""
    found: Curves = {}
    for name, line in logged_scores(records).items():
        divisor = share_divisor([value for _, value in line])
        if divisor != 1:
            name, line = f"{name} / {divisor:.2f}", [(step, value / divisor) for step, value in line]
        found[name] = line
    return found


def logged_scores(records: Sequence[Record]) -> Curves:
    """The label-free scores as they were logged, and the true mIoU."""
    return curves(records, "unsupervised") | _target_miou(records)


def share_divisor(values: Sequence[float]) -> float:
    """What a score that is no share is divided by to stand beside shares: its largest value; else 1."""
    return max([1.0, *(value for value in values if math.isfinite(value))])


def _target_miou(records: Sequence[Record]) -> Curves:
    line = [
        (int(record["step"]), float(record["evaluation"]["miou"]))
        for record in records
        if record.get("evaluation") and record["evaluation"].get("miou") is not None
    ]
    return {MIOU: line} if line else {}


def _draw(axes: Axes, lines: Curves, smooth: bool) -> None:
    if not lines:
        axes.text(0.5, 0.5, "none", ha="center", va="center", color=MUTED, transform=axes.transAxes)
        axes.set_axis_off()
        return
    for number, (name, line) in enumerate(lines.items()):
        steps, values = [step for step, _ in line], [value for _, value in line]
        round_, place = divmod(number, len(MODEL_COLORS) - 1)
        color = hex_color(INK) if name == MIOU else MODEL_COLORS[1 + place]
        if smooth:
            axes.plot(steps, values, color=color, alpha=0.3, linewidth=1)
            values = _running_mean(values)
        # A single evaluation is a point, not a line.
        mark = _MARKS[round_ % len(_MARKS)] if len(line) == 1 or not smooth else None
        label = shorten(name.replace("_", " "), 60)
        axes.plot(steps, values, color=color, marker=mark, markersize=3.5, label=label)
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


def chance_levels(first: Mapping[str, float]) -> list[tuple[float, str]]:
    """The losses of discriminators that cannot tell the domains apart, and their names, where they apply.

    Args:
        first: by the loss's name its first value; a level belongs to networks that start near it.
    """
    if any(name.endswith(("_real", "_fake")) for name in first):
        return [_CHANCE_OF_FOUR]
    return [
        (level, name)
        for level, name in _CHANCE
        if any(abs(value / level - 1) < _STARTS_WITHIN for value in first.values())
    ]


def _chance_lines(axes: Axes, lines: Curves) -> None:
    for level, name in chance_levels({key: line[0][1] for key, line in lines.items()}):
        axes.axhline(level, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            name, (1, level), xycoords=("axes fraction", "data"), color=MUTED, fontsize=7,
            ha="right", va="bottom",
        )  # fmt: skip
