"""The report's charts of scores and analyses: gains, confusions, entropy, distances, retrieval."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from segshift.evaluation.confusion import ratio
from segshift.report.content import Report, ReportedRun, Values
from segshift.report.figures import (
    DOMAIN_VARIABLES,
    Chart,
    axis,
    class_axis,
    layout,
    rounded,
    run_color,
    run_dash,
    safe,
)

FAINTEST = 1e-4
"""The share of a class's pixels at which the logarithmic scale of the confusions begins."""

SCALES = {
    "linear": ("0", "25 %", "50 %", "75 %", "100 %"),
    "log": ("≤ 0.01 %", "0.1 %", "1 %", "10 %", "100 %"),
}
"""What the colors of the confusions mean, at equal distances, by view."""

_HEAT = [[place, f"var(--heat-{number})"] for number, place in enumerate((0, 0.25, 0.5, 0.75, 1))]
_BAR_PX = 9
_MOST_RANKS = 150
_LEAST_FOR_NUMBER = 0.005


def gains_chart(runs: Sequence[ReportedRun]) -> Chart | None:
    """Bars of every class's gain over the reference with its interval; None without gains."""
    measured = [(index, run, run.gain) for index, run in enumerate(runs) if run.gain is not None]
    if not measured:
        return None
    names = measured[0][2].class_names
    figure = go.Figure()
    for index, run, gain in measured:
        difference = 100 * gain.class_difference
        low, high = 100 * gain.class_interval[:, 0], 100 * gain.class_interval[:, 1]
        unfair = " †" if run.unfair else ""
        figure.add_bar(
            x=list(range(len(names))),
            y=rounded(difference),
            name=safe(run.name) + unfair,
            marker_color=run_color(index),
            error_y={
                "type": "data",
                "symmetric": False,
                "array": rounded(np.maximum(high - difference, 0)),
                "arrayminus": rounded(np.maximum(difference - low, 0)),
                "color": "var(--ink)",
                "thickness": 1,
                "width": 2,
            },
            text=[safe(name) for name in names],
            textposition="none",
            customdata=[
                f"{a:+.1f} to {b:+.1f}" if np.isfinite([a, b]).all() else "no interval"
                for a, b in zip(low, high, strict=True)
            ],
            hovertemplate="%{text}: %{y:+.1f} points (%{customdata})",
        )
    figure.update_layout(
        layout(
            420,
            barmode="group",
            bargap=0.25,
            xaxis=class_axis(names, tickangle=-45),
            yaxis=axis("gain in IoU, points"),
        )
    )
    return Chart(
        "gains", "", f"Bars: gain of every class over {runs[0].name}, in points of IoU", 420,
        {"bars": figure}, _bars_px(len(names), len(measured)),
    )  # fmt: skip


def confusion_charts(runs: Sequence[ReportedRun]) -> list[Chart]:
    """A heat map for every scored run: where the pixels of every true class go."""
    charts = []
    for index, run in enumerate(runs):
        if run.result is None:
            continue
        confusion, names = run.confusion, run.result.class_names
        shares = ratio(confusion, confusion.sum(axis=1, keepdims=True))
        columns = [*names, *(["none"] if shares.shape[1] > len(names) else [])]
        height = 140 + max(17 * len(names), 240)
        views = {
            "linear": _heat_map(shares, names, columns, height, linear=True),
            "log": _heat_map(shares, names, columns, height, linear=False),
        }
        charts.append(
            Chart(
                f"confusion-{index}",
                run.name,
                f"Heat map: confusions of {run.name}",
                height,
                views,
                120 + 17 * len(columns),
                "scale",
            )
        )
    return charts


def _heat_map(
    shares: Values, rows: Sequence[str], columns: Sequence[str], height_px: int, linear: bool
) -> go.Figure:
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
    return f"{100 * share:.0f}" if share >= _LEAST_FOR_NUMBER else ""


def entropy_chart(report: Report) -> Chart | None:
    """Mean entropy of every run's predictions on both domains; None where it was not measured."""
    measured = [run.name for run in report.runs if run.name in report.evidence.entropy]
    if not measured:
        return None
    figure = go.Figure()
    for domain, (name, color) in enumerate(zip(("source", "target"), DOMAIN_VARIABLES, strict=True)):
        values = [report.evidence.entropy[run][domain] for run in measured]
        figure.add_bar(
            x=list(range(len(measured))),
            y=rounded(values),
            name=name,
            marker_color=color,
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


def distance_charts(report: Report) -> list[Chart]:
    """Bars of FADA's and of CLAN's class center distances, as far as they were measured."""
    reference = report.runs[0].name
    charts = []
    for key, values, title, unit, line in (
        ("fada", report.evidence.fada_distance, "FADA: class center distance", "distance", None),
        (
            "clan",
            report.evidence.clan_distance,
            f"CLAN: center distance over that of {reference}",
            "ratio",
            1.0,
        ),
    ):
        if values:
            figure = _class_bars(report, values, unit, line)
            width = _bars_px(report.classes.count, len(values))
            charts.append(Chart(key, title, f"Bars by class: {title}", 380, {"bars": figure}, width))
    return charts


def _class_bars(
    report: Report, values: Mapping[str, NDArray[np.float64]], unit: str, line: float | None
) -> go.Figure:
    names = report.classes.names
    figure = go.Figure()
    for index, run in enumerate(report.runs):
        if run.name not in values:
            continue
        figure.add_bar(
            x=list(range(len(names))),
            y=rounded(values[run.name]),
            name=safe(run.name),
            marker_color=run_color(index),
            text=[safe(name) for name in names],
            textposition="none",
            hovertemplate="%{text}: %{y:.3f}",
        )
    figure.update_layout(
        layout(380, barmode="group", bargap=0.25, xaxis=class_axis(names, tickangle=-45), yaxis=axis(unit))
    )
    if line is not None:
        figure.add_hline(y=line, line={"color": "var(--ink)", "width": 1, "dash": "dash"})
    return figure


def retrieval_charts(report: Report) -> list[Chart]:
    """|A_k| and |B_k| over k for every run, beside domains that cannot be told apart."""
    found = [
        (index, run.name, report.evidence.retrieval[run.name])
        for index, run in enumerate(report.runs)
        if run.name in report.evidence.retrieval
    ]
    if not found:
        return []
    charts = []
    for key, title, letter in (
        ("retrieval-a", "Source queries: target images among the k nearest", "A"),
        ("retrieval-b", "Target queries: source images among the k nearest", "B"),
    ):
        figure = go.Figure()
        for index, name, retrieval in found:
            counts = retrieval.source_to_target if letter == "A" else retrieval.target_to_source
            precision = retrieval.source_map if letter == "A" else retrieval.target_map
            ks = np.unique(np.linspace(1, len(counts), min(_MOST_RANKS, len(counts))).round().astype(int))
            figure.add_scatter(
                x=ks.tolist(),
                y=rounded(counts[ks - 1]),
                mode="lines",
                name=f"{safe(name, 20)} (mAP {100 * precision:.1f})",
                line={"color": run_color(index), "width": 2, "dash": run_dash(index)},
                hovertemplate="k = %{x}: %{y:.1f}",
            )
        pool_source, pool_target = found[0][2].pool_source, found[0][2].pool_target
        pool = pool_source + pool_target
        figure.add_scatter(
            x=[1, pool],
            y=rounded([share := (pool_target if letter == "A" else pool_source) / pool, share * pool]),
            mode="lines",
            name="domains alike",
            line={"color": "var(--soft)", "width": 1},
            hoverinfo="skip",
        )
        figure.update_layout(layout(420, xaxis=axis("k"), yaxis=axis(f"|{letter}<sub>k</sub>|")))
        charts.append(Chart(key, title, f"Curves: {title}", 420, {"curves": figure}))
    return charts


def _bars_px(classes: int, runs: int) -> int:
    """Width at which grouped bars can still be told apart."""
    return 80 + classes * max(24, _BAR_PX * runs + 8)
