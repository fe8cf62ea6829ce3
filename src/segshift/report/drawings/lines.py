"""Curves: retrieval over the number of neighbors, and mIoU over a hyper-parameter."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, PercentFormatter

from segshift.analysis.retrieval import Retrieval
from segshift.report.drawings.style import MODEL_COLORS, MUTED, chart, legend_name, model_colors, shorten

_MARKS = ("o", "s", "^", "D")
_LOG_FROM_RATIO = 20.0


def draw_retrieval(path: Path, found: Mapping[str, Retrieval], subtitle: str) -> None:
    """|B_k| and |A_k| over k as in figure 4 of the LSD paper, with the line of domains that are one.

    Args:
        path: without a suffix; written as PNG and SVG.
        found: by model; all with pools of the same size.
        subtitle: what was measured on what.
    """
    colors = model_colors(list(found))
    first = next(iter(found.values()))
    pool = first.pool_source + first.pool_target
    ks = np.arange(1, pool + 1)
    sides = (
        ("target query → source images, |Bₖ|", "target_to_source", "target_map", first.pool_source / pool),
        ("source query → target images, |Aₖ|", "source_to_target", "source_map", first.pool_target / pool),
    )
    title = "Cross-domain retrieval: neighbors from the other domain"
    # A line for every legend entry below its axes.
    height = 4.2 + 0.22 * len(found)
    with chart(path, (9.4, height), title, subtitle, 1, 2) as (_, (row,)):
        for axes, (heading, curve, score, share) in zip(row, sides, strict=True):
            axes.plot(
                [0, pool], [0, share * pool], color=MUTED, linewidth=1, linestyle=(0, (4, 3)),
                label="domains that cannot be told apart",
            )  # fmt: skip
            for name, one in found.items():
                label = f"{legend_name(name)}  (mAP {100 * getattr(one, score):.1f} %)"
                axes.plot(ks, getattr(one, curve), color=colors[name], label=label, clip_on=False)
            axes.set_title(heading)
            axes.set_xlabel("k, neighbors in the pool of both domains")
            axes.set_ylabel("of them from the other domain, mean")
            axes.set_xlim(0, pool)
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
            color = MODEL_COLORS[(1 + number) % len(MODEL_COLORS)]
            mark = _MARKS[number // len(MODEL_COLORS) % len(_MARKS)]
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
            color=MODEL_COLORS[(1 + number) % len(MODEL_COLORS)], alpha=0.6, linewidth=1.2,
            linestyle=(0, (4, 3)), marker=".", markersize=5,
        )  # fmt: skip
    axes.set_ylabel("discriminators' loss at the end (dashed)", color=MUTED)
    axes.set_ylim(0, None)
    axes.spines["right"].set_visible(True)


def draw_over_training(
    path: Path, runs: Mapping[str, tuple[Sequence[int], Sequence[float], Sequence[float]]], subtitle: str
) -> None:
    """Class center distances over the steps of training, a line per run, as in figure 4 of the CLAN paper.

    Args:
        path: without a suffix; written as PNG and SVG.
        runs: by name the steps, FADA's distances and CLAN's over those of step 0.
        subtitle: what was measured on what.
    """
    colors = model_colors(list(runs))
    headings = ("between the domains (CLAN), step 0 = 1", "between the classes (FADA)")
    with chart(path, (9.4, 4.2 + 0.22 * len(runs)), "Class center distance", subtitle, 1, 2) as (_, (row,)):
        for axes, heading, place in zip(row, headings, (1, 0), strict=True):
            for name, (steps, *distances) in runs.items():
                axes.plot(
                    steps, distances[place], color=colors[name], marker="o", markersize=3.5,
                    label=legend_name(name),
                )  # fmt: skip
            axes.set_title(heading)
            axes.set_xlabel("step")
            axes.set_ylim(0, None)
            axes.grid(axis="y")
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14))


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
