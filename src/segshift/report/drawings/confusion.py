"""Confusion matrices as heat maps, on a linear and on a logarithmic scale."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize

from segshift.report.drawings.style import chart, shorten
from segshift.report.plots import FAINTEST, LEAST_FOR_NUMBER, Confusion

Scale = Literal["linear", "log"]
_COLORS = LinearSegmentedColormap.from_list(
    "paper_to_blue", ["#ffffff", "#cfe1f7", "#6aa5e3", "#1f6fd6", "#0b2f66"]
).with_extremes(bad="#e4e8ec", under="#ffffff")


def draw_confusion(path: Path, confusions: Sequence[Confusion], scale: Scale, subtitle: str) -> None:
    """Where the pixels of every true class go: shares of each row, a panel for every model.

    The linear scale shows, with numbers, what is right and the large confusions. The logarithmic one, from
    0.01 % to 100 %, shows the rare ones, too; white is less than that, a gray row a class without pixels.

    Args:
        path: without a suffix; written as PNG and SVG.
        confusions: a panel each.
        scale: of the colors.
        subtitle: what was measured on what.

    Source: the logarithmic matrices are figure 7 of Cicek et al. (local alignment), ACCV 2020.
    """
    count = len(confusions[0].class_names)
    across = min(2, len(confusions))
    down = -(-len(confusions) // across)
    panel = max(3.6, 0.34 * count + 1.3)
    norm = LogNorm(FAINTEST, 1) if scale == "log" else Normalize(0, 1)
    size = (panel * across + 1.2, panel * down + 0.75)
    title = f"Confusion matrix, {'logarithmic' if scale == 'log' else 'linear'} scale"
    with chart(path, size, title, subtitle, down, across) as (figure, grid):
        cells = [axes for row in grid for axes in row]
        for axes, confusion in zip(cells, confusions, strict=False):
            _heat_map(axes, confusion, norm, numbers=scale == "linear")
            axes.set_title(shorten(confusion.name))
        for axes in cells[len(confusions) :]:
            axes.set_visible(False)
        bar = figure.colorbar(
            cells[0].images[0],
            ax=cells,
            shrink=0.7,
            aspect=30,
            pad=0.02,
            extend="min" if scale == "log" else None,
        )
        bar.set_label("share of the true class's pixels")
        ticks = [1e-4, 1e-3, 1e-2, 0.1, 1] if scale == "log" else [0, 0.25, 0.5, 0.75, 1]
        bar.set_ticks(ticks, labels=[f"{100 * tick:g} %" for tick in ticks])
        bar.ax.minorticks_off()


def _heat_map(axes: Axes, confusion: Confusion, norm: Normalize, numbers: bool) -> None:
    shares, rows, columns = confusion.shares, confusion.class_names, confusion.columns
    # A logarithm has no place for 0, which is not the same as a class without pixels.
    axes.imshow(np.maximum(shares, FAINTEST / 10), cmap=_COLORS, norm=norm, aspect="equal")
    axes.set_xticks(range(len(columns)), list(map(shorten, columns)), rotation=90)
    axes.set_yticks(range(len(rows)), list(map(shorten, rows)))
    axes.tick_params(length=0, labelsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_xticks(np.arange(len(columns) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) - 1) + 0.5, minor=True)
    axes.grid(which="minor", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    for spine in axes.spines.values():
        spine.set_visible(True)
    if numbers:
        for (row, column), share in np.ndenumerate(shares):
            if share >= LEAST_FOR_NUMBER:
                dark = share > 0.55
                axes.text(
                    column, row, f"{100 * share:.0f}", ha="center", va="center_baseline", size=6.5,
                    color="#ffffff" if dark else "#1f2328",
                )  # fmt: skip
