"""The report's t-SNE pictures: filled marks for the source, open ones for the target."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from segshift.analysis.class_centers import DOMAINS
from segshift.analysis.embedding import GRANULARITIES, NO_CLASS, Granularity
from segshift.pictures import hex_color
from segshift.report.content import EmbeddedPoints, Report
from segshift.report.figures import DOMAIN_VARIABLES, Chart, axis, layout, safe

_HEIGHT_PX = 390


def embedding_charts(report: Report) -> list[Chart]:
    """A chart for every run that has an embedding, with a view per level."""
    levels = embedding_levels(report)
    charts = []
    for index, run in enumerate(report.runs):
        found = report.evidence.embedding.get(run.name)
        if not found:
            continue
        views: dict[str, go.Figure] = {
            level: _scatter(found[level], report) if level in found else _empty("too few points")
            for level in levels
        }
        label = f"Points: t-SNE of the features of {run.name}"
        charts.append(Chart(f"embedding-{index}", run.name, label, _HEIGHT_PX, views, switch="level"))
    return charts


def embedding_levels(report: Report) -> list[Granularity]:
    """The levels that any run has, in order."""
    return [
        level
        for level in GRANULARITIES
        if any(level in found for found in report.evidence.embedding.values())
    ]


def embedded_classes(report: Report) -> list[int]:
    """The train ids that occur among the points."""
    found = {
        int(train_id)
        for levels in report.evidence.embedding.values()
        for points in levels.values()
        for train_id in np.unique(points.classes)
    }
    return sorted(train_id for train_id in found if train_id != NO_CLASS)


def _scatter(points: EmbeddedPoints, report: Report) -> go.Figure:
    """The target's open marks above the source's filled ones, so that neither hides the other."""
    figure = go.Figure()
    names = report.classes.names
    for domain, domain_name in enumerate(DOMAINS):
        for train_id in np.unique(points.classes[points.domains == domain]):
            own = np.flatnonzero((points.domains == domain) & (points.classes == train_id))
            is_image = int(train_id) == NO_CLASS
            color = DOMAIN_VARIABLES[domain] if is_image else hex_color(report.classes.palette[int(train_id)])
            what = "" if is_image else f"{safe(names[int(train_id)])}, "
            figure.add_scatter(
                x=_places(points.places[own, 0]),
                y=_places(points.places[own, 1]),
                mode="markers",
                name=f"{what}{domain_name}",
                marker={
                    "color": color,
                    "size": 7,
                    "symbol": "circle-open" if domain else "circle",
                    "line": {"width": 1.6 if domain else 0.5, "color": color if domain else "var(--rim)"},
                },
                customdata=[safe(points.images[place], 60) for place in own],
                hovertemplate="%{fullData.name}<br>%{customdata}<extra></extra>",
            )
    figure.update_layout(_style())
    return figure


def _places(values: NDArray[np.float32]) -> list[float]:
    """Two digits, which are finer than a screen's pixels: t-SNE spreads over some tens of units."""
    return [round(float(value), 2) for value in values]


def _empty(text: str) -> go.Figure:
    figure = go.Figure(layout=_style())
    figure.add_annotation(
        text=text, xref="paper", yref="paper", x=0.5, y=0.5, showarrow=False, font={"color": "#5b6673"}
    )
    return figure


def _style() -> dict[str, object]:
    # The scale and the direction of t-SNE's axes mean nothing.
    bare = axis(showline=False, showticklabels=False, showgrid=False, zeroline=False, ticks="")
    return layout(
        _HEIGHT_PX,
        with_legend=False,
        plot_bgcolor="var(--map-paper)",
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        xaxis=bare,
        yaxis={**bare, "scaleanchor": "x"},
    )


def class_colors(report: Report, ids: Sequence[int]) -> list[dict[str, str]]:
    """Names and colors for a legend."""
    palette = report.classes.palette
    return [{"name": report.classes.names[index], "color": hex_color(palette[index])} for index in ids]
