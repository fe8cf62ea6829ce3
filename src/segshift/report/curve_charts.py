"""The report's training curves: all curves of a run, or one curve of all runs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go

from segshift.analysis.loss_curves import chance_levels, share_divisor
from segshift.report.content import Curve, CurveGroup, ReportedRun
from segshift.report.figures import COLORS, Chart, axis, layout, rounded, run_color, run_dash, safe

GROUPS: dict[CurveGroup, str] = {
    "loss": "losses",
    "discriminator": "discriminators",
    "score": "scores",
    "observed": "observed values",
    "learning_rate": "learning rates",
}
MOST_POINTS = 400
"""Longer curves are thinned to about so many points."""

_HEIGHT_PX = 290
# A legend may be as tall as half of its chart; what is longer would scroll out of sight.
_LEGEND_ROW_PX, _LEGEND_RIM_PX = 19, 15


def curves_by_run(runs: Sequence[ReportedRun]) -> list[tuple[str, list[Chart]]]:
    """For every run that has curves its name and a chart per group."""
    found = []
    for index, run in enumerate(runs):
        charts = []
        for group, title in GROUPS.items():
            curves = [curve for curve in run.curves if curve.group == group]
            if _is_line(curves):
                shares = [_as_share(curve) for curve in curves]
                lines = [(name, place, curve) for place, (name, curve) in enumerate(shares)]
                charts.append(_chart(f"curves-{index}-{group.replace('_', '-')}", title, lines, by_run=False))
        if charts:
            found.append((run.name, charts))
    return found


def curves_by_name(runs: Sequence[ReportedRun]) -> list[tuple[str, list[Chart]]]:
    """For every group its heading and a chart per curve that two or more runs have."""
    found = []
    for group, title in GROUPS.items():
        names = dict.fromkeys(curve.name for run in runs for curve in run.curves if curve.group == group)
        charts = []
        for place, name in enumerate(names):
            lines = [
                (run.name, index, curve)
                for index, run in enumerate(runs)
                for curve in run.curves
                if (curve.group, curve.name) == (group, name)
            ]
            if len(lines) > 1 and _is_line([curve for _, _, curve in lines]):
                charts.append(_chart(f"curve-{group.replace('_', '-')}-{place}", name, lines, by_run=True))
        if charts:
            found.append((title, charts))
    return found


def _as_share(curve: Curve) -> tuple[str, Curve]:
    """A score that is no share as a share of its largest value, so that one axis serves all of a run's."""
    divisor = share_divisor(curve.values) if curve.group == "score" else 1.0
    if divisor == 1:
        return curve.name, curve
    values = tuple(value / divisor for value in curve.values)
    return f"{curve.name} / {divisor:.2f}", replace(curve, values=values)


def _is_line(curves: Sequence[Curve]) -> bool:
    """Whether there is more to see than one evaluation, whose number the table has."""
    return any(len(curve.steps) > 1 for curve in curves)


def thinned(curve: Curve) -> tuple[list[int], list[float]]:
    """Steps and values; of a long curve the lowest and highest points of equal parts, so no peak is lost."""
    steps, values = np.asarray(curve.steps), np.asarray(curve.values, np.float64)
    if len(steps) <= MOST_POINTS:
        return steps.tolist(), values.tolist()
    kept: set[int] = {0, len(steps) - 1}
    for part in np.array_split(np.arange(len(steps)), MOST_POINTS // 2):
        known = part[np.isfinite(values[part])]
        # A part without any number stays a gap.
        kept |= (
            {int(known[values[known].argmin()]), int(known[values[known].argmax()])}
            if len(known)
            else {int(part[0])}
        )
    order = sorted(kept)
    return steps[order].tolist(), values[order].tolist()


def _chart(key: str, title: str, lines: Sequence[tuple[str, int, Curve]], by_run: bool) -> Chart:
    """Lines with their names and places; `by_run`: the place is the run's, which has a color of its own."""
    figure = go.Figure()
    for name, place, curve in lines:
        steps, values = thinned(curve)
        figure.add_scatter(
            x=steps,
            y=rounded(values),
            # A single evaluation is a point, not a line.
            mode="lines" if len(steps) > 12 else "lines+markers",
            name=safe(name) if by_run else safe(name.replace("_", " "), 40),
            line={
                # Gray is the reference run's; colors that come again have another dash.
                "color": run_color(place if by_run else 1 + place % (COLORS - 1)),
                "width": 1.8,
                "dash": run_dash(place if by_run else place // (COLORS - 1)),
            },
            marker={"size": 5},
            hovertemplate="step %{x}: %{y:.4g}",
        )
    if lines[0][2].group == "discriminator":
        first = {curve.name: curve.values[0] for _, _, curve in lines if curve.values}
        for level, name in chance_levels(first):
            figure.add_hline(
                y=level,
                line={"color": "var(--soft)", "width": 1, "dash": "dash"},
                annotation={"text": f"chance, {name}", "font": {"size": 11, "color": "var(--soft)"}},
                annotation_position="top right",
            )
    height = max(_HEIGHT_PX, 2 * (_LEGEND_ROW_PX * len(lines) + _LEGEND_RIM_PX))
    figure.update_layout(
        layout(
            height,
            xaxis=axis("step", nticks=5, tickangle=0),
            yaxis=axis("", exponentformat="power"),
            legend={
                "orientation": "h", "x": 0, "xanchor": "left", "y": -0.22, "yanchor": "top",
                "font": {"size": 11}, "bgcolor": "rgba(0,0,0,0)",
            },
            margin={"l": 52, "r": 14, "t": 12, "b": 44},
        )
    )  # fmt: skip
    return Chart(key, title, f"Curves over the steps: {title}", height, {"curves": figure})
