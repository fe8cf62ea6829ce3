"""What the report's charts share: their style, and how they get into the page.

Colors are CSS variables: the page's script puts in what they mean in light, dark and print, so that one
figure serves all three. Names are escaped, because plotly reads some HTML in texts.
"""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from segshift.errors import InputError
from segshift.files import json_ready
from segshift.report.base_page import script_json
from segshift.report.colors import MOST_RUNS
from segshift.report.drawings.style import shorten
from segshift.report.plots import Hue

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "5px 2px", "2px 5px")
DOMAIN_VARIABLES = ("var(--source)", "var(--target)")
CLEAR = "rgba(0,0,0,0)"
_DIGITS = 5
_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", Arial, sans-serif'


@dataclass(frozen=True, eq=False)
class Chart:
    """One place of the page that draws a figure, or one of several that a switch chooses among.

    Attributes:
        key: unique in the page; letters, digits and dashes.
        caption: above the chart; may be empty.
        label: what it shows, for those who cannot see it.
        height_px: of the figure.
        views: the figures by the name of the view.
        least_width_px: narrower places scroll.
        switch: the name of the switch that chooses the view; empty with a single one.
    """

    key: str
    caption: str
    label: str
    height_px: int
    views: Mapping[str, go.Figure]
    least_width_px: int = 0
    switch: str = ""

    def to_json(self) -> str:
        """The figures for the page."""
        return script_json({name: _plain(figure) for name, figure in self.views.items()})


def _plain(figure: go.Figure) -> dict[str, Any]:
    parts = figure.to_plotly_json()
    parts["layout"].pop("template", None)
    return dict(json_ready({"data": parts["data"], "layout": parts["layout"]}))


def run_color(index: int) -> str:
    """The color of a run. Raises InputError when there are more runs than can be told apart."""
    if index >= MOST_RUNS:
        raise InputError(f"a report holds at most {MOST_RUNS} runs, which can be told apart; give fewer")
    return f"var(--run-{index})"


def hue_color(hue: Hue | None) -> str:
    """The color of a row, of a domain, or of text."""
    if hue is None:
        return "var(--ink)"
    return run_color(hue) if isinstance(hue, int) else f"var(--{hue})"


def run_dash(index: int) -> str:
    """The dash of a run's lines: the next for every run."""
    return DASHES[index % len(DASHES)]


def safe(name: str, length: int = 28) -> str:
    """A name as a text of plotly: its end if it is too long, and no markup."""
    return html.escape(shorten(name, length), quote=False)


def rounded(values: Sequence[float] | NDArray[Any]) -> list[float | None]:
    """Five significant digits, which no chart shows more of; None where there is no finite number."""
    return [
        float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
        for value in np.asarray(values, np.float64)
    ]


def layout(height_px: int, *, with_legend: bool = True, **more: Any) -> dict[str, Any]:
    """The style of every chart."""
    return {
        "height": height_px,
        "margin": {"l": 52, "r": 14, "t": 34 if with_legend else 12, "b": 44},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"family": _FONT, "size": 13, "color": "var(--ink)"},
        "hoverlabel": {
            "bgcolor": "var(--card)",
            "bordercolor": "var(--soft)",
            "font": {"color": "var(--ink)"},
            "align": "left",
            "namelength": -1,
        },
        "showlegend": with_legend,
        "legend": {
            "orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "bgcolor": CLEAR,
        },
        # Keeps what the reader zoomed and switched off when the colors change.
        "uirevision": "keep",
        **more,
    }  # fmt: skip


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """The style of every axis."""
    return {
        "title": {"text": title, "standoff": 8, "font": {"size": 13}},
        "gridcolor": "var(--line)",
        "linecolor": "var(--line)",
        "zerolinecolor": "var(--soft)",
        "zerolinewidth": 1,
        "automargin": True,
        **more,
    }


def class_axis(names: Sequence[str], **more: Any) -> dict[str, Any]:
    """Classes at 0, 1, 2 ...; their names are only ticks, so that equal shortened ones stay apart."""
    return axis(
        tickmode="array",
        tickvals=list(range(len(names))),
        ticktext=[safe(name, 18) for name in names],
        range=[-0.5, len(names) - 0.5],
        showgrid=False,
        zeroline=False,
        ticks="",
        **more,
    )
