"""The report's t-SNE pictures as plotly draws them: filled marks for the source, open ones for the target."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from segshift.analysis.class_centers import DOMAINS
from segshift.pictures import hex_color
from segshift.report.content import Report
from segshift.report.figures import Chart, axis, hue_color, layout, safe
from segshift.report.plots import Cloud, clouds, embedding_levels

_HEIGHT_PX = 390


def embedding_charts(report: Report) -> list[Chart]:
    """A chart for every run that has an embedding, with a view per level."""
    levels = embedding_levels(report.evidence)
    charts = []
    for index, run in enumerate(report.runs):
        found = report.evidence.embedding.get(run.name)
        if not found:
            continue
        views: dict[str, go.Figure] = {
            level: _scatter(clouds(found[level], report.classes))
            if level in found
            else _empty("too few points")
            for level in levels
        }
        label = f"Points: t-SNE of the features of {run.name}"
        charts.append(Chart(f"embedding-{index}", run.name, label, _HEIGHT_PX, views, switch="level"))
    return charts


def _scatter(shown: Sequence[Cloud]) -> go.Figure:
    figure = go.Figure()
    for cloud in shown:
        domain = DOMAINS[cloud.domain]
        color = hue_color(domain) if cloud.color is None else cloud.color
        is_open = domain == "target"
        figure.add_scatter(
            x=_places(cloud.places[:, 0]),
            y=_places(cloud.places[:, 1]),
            mode="markers",
            name=f"{safe(cloud.class_name)}, {domain}" if cloud.class_name else domain,
            marker={
                "color": color,
                "size": 7,
                "symbol": "circle-open" if is_open else "circle",
                "line": {"width": 1.6 if is_open else 0.5, "color": color if is_open else "var(--rim)"},
            },
            customdata=[safe(image, 60) for image in cloud.images],
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
