"""The report's charts of lines as plotly draws them: training curves, and retrieval over k."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from segshift.report.content import Logged, Report
from segshift.report.curve_plots import curves_by_name as named_curves
from segshift.report.curve_plots import curves_of_run
from segshift.report.figures import Chart, axis, hue_color, layout, rounded, run_dash, safe
from segshift.report.plots import Line, Lines, retrieval

MOST_POINTS = 400
"""Longer curves are thinned to about so many points."""

_HEIGHT_PX, _RETRIEVAL_PX = 290, 420
# A legend may be as tall as half of its chart; what is longer would scroll out of sight.
_LEGEND_ROW_PX, _LEGEND_RIM_PX = 19, 15
_MARKED_POINTS = 12


def curves_by_run(runs: Sequence[Logged]) -> list[tuple[str, list[Chart]]]:
    """For every run that has curves its name and a chart per group."""
    found = []
    for index, run in enumerate(runs):
        groups = curves_of_run(run.curves, index).values()
        charts = [_curves(one) for one in groups if any(len(line.xs) > 1 for line in one.lines)]
        if charts:
            found.append((run.name, charts))
    return found


def curves_by_name(runs: Sequence[Logged]) -> list[tuple[str, list[Chart]]]:
    """For every group its heading and a chart per curve that two or more runs have."""
    return [(title, [_curves(one) for one in charts]) for title, charts in named_curves(runs)]


def retrieval_charts(report: Report) -> list[Chart]:
    """|A_k| and |B_k| over k for every run, beside domains that cannot be told apart."""
    return [
        Chart(one.key, one.title, f"Curves: {one.title}", _RETRIEVAL_PX, {"curves": _retrieval(one)})
        for one in retrieval(report)
    ]


def _retrieval(lines: Lines) -> go.Figure:
    figure = go.Figure()
    for line in lines.lines:
        figure.add_scatter(
            **_trace(line, 20, width=2), mode="lines", hovertemplate=f"{lines.x_unit} = %{{x}}: %{{y:.1f}}"
        )
    if lines.guide is not None:
        soft = {"color": "var(--soft)", "width": 1}
        figure.add_scatter(
            **{**_trace(lines.guide, 20, width=1), "line": soft}, mode="lines", hoverinfo="skip"
        )
    figure.update_layout(layout(_RETRIEVAL_PX, xaxis=axis(lines.x_unit), yaxis=axis(lines.y_unit)))
    return figure


def _curves(lines: Lines) -> Chart:
    figure = go.Figure()
    for line in lines.lines:
        # A single evaluation is a point, not a line.
        mode = "lines" if len(line.xs) > _MARKED_POINTS else "lines+markers"
        figure.add_scatter(
            **_trace(line, 40, width=1.8), mode=mode, marker={"size": 5}, hovertemplate="step %{x}: %{y:.4g}"
        )
    for level, name in lines.levels:
        figure.add_hline(
            y=level,
            line={"color": "var(--soft)", "width": 1, "dash": "dash"},
            annotation={"text": f"chance, {name}", "font": {"size": 11, "color": "var(--soft)"}},
            annotation_position="top right",
        )
    height = max(_HEIGHT_PX, 2 * (_LEGEND_ROW_PX * len(lines.lines) + _LEGEND_RIM_PX))
    figure.update_layout(
        layout(
            height,
            xaxis=axis(lines.x_unit, nticks=5, tickangle=0),
            yaxis=axis(lines.y_unit, exponentformat="power"),
            legend={
                "orientation": "h", "x": 0, "xanchor": "left", "y": -0.22, "yanchor": "top",
                "font": {"size": 11}, "bgcolor": "rgba(0,0,0,0)",
            },
            margin={"l": 52, "r": 14, "t": 12, "b": 44},
        )
    )  # fmt: skip
    label = f"Curves over the steps: {lines.title}"
    return Chart(lines.key, lines.title, label, height, {"curves": figure})


def _trace(line: Line, name_length: int, width: float) -> dict[str, Any]:
    xs, ys = thinned(line.xs, line.ys)
    return {
        "x": xs,
        "y": rounded(ys),
        "name": safe(line.name, name_length) + line.remark,
        "line": {"color": hue_color(line.hue), "width": width, "dash": run_dash(line.dash)},
    }


def thinned(xs: Sequence[float], ys: Sequence[float]) -> tuple[list[float], list[float]]:
    """Points of a line; of a long one the lowest and highest of equal parts, so that no peak is lost."""
    steps, values = np.asarray(xs), np.asarray(ys, np.float64)
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
