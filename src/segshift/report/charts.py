"""The report's charts of scores and analyses as plotly draws them: gains, confusions, entropy, distances."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from segshift.analysis.class_centers import DOMAINS
from segshift.report.content import Report, ReportedRun
from segshift.report.figures import (
    Chart,
    axis,
    class_axis,
    hue_color,
    layout,
    rounded,
    safe,
)
from segshift.report.plots import (
    FAINTEST,
    LEAST_FOR_NUMBER,
    Bars,
    ClassBars,
    Confusion,
    confusions,
    distances,
    gains,
)

SCALES = {
    "linear": ("0", "25 %", "50 %", "75 %", "100 %"),
    "log": ("≤ 0.01 %", "0.1 %", "1 %", "10 %", "100 %"),
}
"""What the colors of the confusions mean, at equal distances, by view."""

_HEAT = [[place, f"var(--heat-{number})"] for number, place in enumerate((0, 0.25, 0.5, 0.75, 1))]
_BAR_PX = 9


def gains_chart(runs: Sequence[ReportedRun]) -> Chart | None:
    """Bars of every class's gain over the reference with its interval; None without gains."""
    described = gains(runs)
    label = f"Bars: gain of every class over {runs[0].name}, in points of IoU"
    return None if described is None else _bars_chart("gains", "", label, 420, described)


def distance_charts(report: Report) -> list[Chart]:
    """Bars of FADA's and of CLAN's class center distances, as far as they were measured."""
    return [
        _bars_chart(key, one.title, f"Bars by class: {one.title}", 380, one)
        for key, one in distances(report).items()
    ]


def _bars_chart(key: str, caption: str, label: str, height_px: int, bars: ClassBars) -> Chart:
    figure = go.Figure()
    for row in bars.rows:
        figure.add_bar(**_bars(row, bars))
    figure.update_layout(
        layout(
            height_px,
            barmode="group",
            bargap=0.25,
            xaxis=class_axis(bars.class_names, tickangle=-45),
            yaxis=axis(bars.unit),
        )
    )
    if bars.level is not None:
        figure.add_hline(y=bars.level, line={"color": "var(--ink)", "width": 1, "dash": "dash"})
    # Narrower, grouped bars could not be told apart.
    width = 80 + len(bars.class_names) * max(24, _BAR_PX * len(bars.rows) + 8)
    return Chart(key, caption, label, height_px, {"bars": figure}, width)


def _bars(row: Bars, of: ClassBars) -> dict[str, Any]:
    number = f"%{{y:{'+' if of.signed else ''}.{1 if of.signed else 3}f}}"
    trace: dict[str, Any] = {
        "x": list(range(len(of.class_names))),
        "y": rounded(row.values),
        "name": safe(row.name) + row.remark,
        "marker_color": hue_color(row.hue),
        "text": [safe(name) for name in of.class_names],
        "textposition": "none",
        "hovertemplate": f"%{{text}}: {number}",
    }
    if row.interval is None:
        return trace
    low, high = row.interval[:, 0], row.interval[:, 1]
    return {
        **trace,
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": rounded(np.maximum(high - row.values, 0)),
            "arrayminus": rounded(np.maximum(row.values - low, 0)),
            "color": "var(--ink)",
            "thickness": 1,
            "width": 2,
        },
        "customdata": [
            f"{a:+.1f} to {b:+.1f}" if np.isfinite([a, b]).all() else "no interval"
            for a, b in zip(low, high, strict=True)
        ],
        "hovertemplate": f"%{{text}}: {number} points (%{{customdata}})",
    }


def confusion_charts(runs: Sequence[ReportedRun]) -> list[Chart]:
    """A heat map for every scored run: where the pixels of every true class go."""
    charts = []
    for one in confusions(runs):
        height = 140 + max(17 * len(one.class_names), 240)
        views = {
            "linear": _heat_map(one, height, linear=True),
            "log": _heat_map(one, height, linear=False),
        }
        label = f"Heat map: confusions of {one.name}"
        width = 120 + 17 * len(one.columns)
        charts.append(Chart(f"confusion-{one.place}", one.name, label, height, views, width, "scale"))
    return charts


def _heat_map(confusion: Confusion, height_px: int, linear: bool) -> go.Figure:
    shares, rows, columns = confusion.shares, confusion.class_names, confusion.columns
    # A logarithm has no place for 0, which is not the same as a class without pixels.
    z = shares if linear else np.log10(np.maximum(shares, FAINTEST))
    hover = [
        [
            f"true {safe(row)}: {_share(share)} as {safe(column)}"
            for column, share in zip(columns, line, strict=True)
        ]
        for row, line in zip(rows, shares, strict=True)
    ]
    figure = go.Figure(
        go.Heatmap(
            z=[rounded(line) for line in z],
            zmin=0 if linear else np.log10(FAINTEST),
            zmax=1 if linear else 0,
            colorscale=_HEAT,
            xgap=1,
            ygap=1,
            text=[[_number(share) if linear else "" for share in line] for line in shares],
            texttemplate="%{text}",
            textfont={"size": 9},
            customdata=hover,
            hovertemplate="%{customdata}<extra></extra>",
            hoverongaps=False,
            # One scale stands above all of them.
            showscale=False,
        )
    )
    small = {"size": 11}
    figure.update_layout(
        layout(
            height_px,
            with_legend=False,
            plot_bgcolor="var(--gap)",
            xaxis={
                **class_axis(columns, tickangle=-90, tickfont=small),
                "title": {"text": "predicted", "standoff": 12, "font": {"size": 12}},
            },
            yaxis={
                **class_axis(rows, tickfont=small),
                "title": {"text": "true", "standoff": 4, "font": {"size": 12}},
                # The first class on top.
                "range": [len(rows) - 0.5, -0.5],
            },
        )
    )
    return figure


def _share(share: float) -> str:
    if np.isnan(share):
        return "no pixels"
    return f"{100 * share:.1f} %" if share == 0 or share >= 0.01 else f"{100 * share:.3g} %"


def _number(share: float) -> str:
    return f"{100 * share:.0f}" if share >= LEAST_FOR_NUMBER else ""


def entropy_chart(report: Report) -> Chart | None:
    """Mean entropy of every run's predictions on both domains; None where it was not measured."""
    measured = [run.name for run in report.runs if run.name in report.evidence.entropy]
    if not measured:
        return None
    figure = go.Figure()
    for domain, name in enumerate(DOMAINS):
        values = [report.evidence.entropy[run][domain] for run in measured]
        figure.add_bar(
            x=list(range(len(measured))),
            y=rounded(values),
            name=name,
            marker_color=hue_color(name),
            # Told apart without colors, too.
            marker_pattern={
                "shape": "/" if domain else "",
                "fillmode": "overlay",
                "fgcolor": "var(--card)",
                "size": 7,
            },
            text=[f"{value:.3f}" for value in values],
            textposition="outside",
            cliponaxis=False,
            customdata=[safe(run) for run in measured],
            hovertemplate="%{customdata}: %{text}",
        )
    figure.update_layout(
        layout(340, barmode="group", bargap=0.35, xaxis=class_axis(measured), yaxis=axis("entropy / log C"))
    )
    return Chart(
        "entropy", "", "Bars: mean entropy of the predictions on source and target", 340, {"bars": figure},
        90 + 90 * len(measured),
    )  # fmt: skip
