"""t-SNE pictures: filled marks for the source, open ones for the target, colors for the classes."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from segshift.analysis.class_centers import DOMAINS
from segshift.analysis.embedding import GRANULARITIES, NO_CLASS, Granularity
from segshift.pictures import Palette, hex_color
from segshift.report.content import EmbeddedPoints
from segshift.report.drawings.style import (
    DOMAIN_COLORS,
    MUTED,
    chart,
    legend_name,
    shorten,
)

Embedded = Mapping[Granularity, EmbeddedPoints]
_HEADINGS = {"patch": "patches", "class": "classes of images", "image": "whole images"}
_CELL_IN = 3.3


def draw_embedding(path: Path, found: Mapping[str, Embedded], classes: Palette, subtitle: str) -> None:
    """A row for every model, a column for patches, classes and images.

    Args:
        path: without a suffix; written as PNG and SVG.
        found: by model.
        classes: names and colors.
        subtitle: what was measured on what.
    """
    levels = [level for level in GRANULARITIES if any(level in embedded for embedded in found.values())]
    shown = sorted({int(c) for e in found.values() for p in e.values() for c in p.classes if c != NO_CLASS})
    columns = 6 if len(levels) == 3 else 4
    legend_rows = -(-(len(shown) + 4) // columns)
    height = 0.9 + (_CELL_IN + 0.15) * len(found) + 0.24 * legend_rows
    width = 0.35 + _CELL_IN * len(levels)
    with chart(path, (width, height), "t-SNE of the features", subtitle, len(found), len(levels)) as (
        figure,
        grid,
    ):
        for row, (name, embedded) in zip(grid, found.items(), strict=True):
            row[0].set_ylabel(shorten(name), fontweight="bold")
            for axes, level in zip(row, levels, strict=True):
                if row is grid[0]:
                    axes.set_title(_HEADINGS[level])
                if level in embedded:
                    _scatter(axes, embedded[level], classes)
                else:
                    axes.text(0.5, 0.5, "too few points", transform=axes.transAxes, ha="center", color=MUTED)
                axes.set_xticks([])
                axes.set_yticks([])
                for spine in axes.spines.values():
                    spine.set_visible(True)
        handles = [
            _handle(f"{domain} ({'filled' if domain == 'source' else 'open'})", MUTED, index == 0)
            for index, domain in enumerate(DOMAINS)
        ]
        if "image" in levels:
            handles += [
                _handle(f"{domain} image", color, index == 0)
                for index, (domain, color) in enumerate(zip(DOMAINS, DOMAIN_COLORS, strict=True))
            ]
        handles += [
            _handle(legend_name(classes.names[c]), hex_color(classes.palette[c]), True) for c in shown
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, handletextpad=0.2)


def _handle(label: str, color: str, filled: bool) -> Line2D:
    return Line2D(
        [], [], linestyle="", marker="o", markersize=6, label=label, markeredgecolor=color,
        markerfacecolor=color if filled else "none", markeredgewidth=1.1,
    )  # fmt: skip


def _scatter(axes: Axes, points: EmbeddedPoints, classes: Palette) -> None:
    """The target's open marks above the source's filled ones, so that neither hides the other."""
    plane = points.places
    few = len(plane) < 200
    for domain in range(len(DOMAINS)):
        own = points.domains == domain
        if int(points.classes[0]) == NO_CLASS:
            colors = [DOMAIN_COLORS[domain]] * int(own.sum())
        else:
            colors = [hex_color(classes.palette[train_id]) for train_id in points.classes[own]]
        axes.scatter(
            plane[own, 0],
            plane[own, 1],
            s=22 if few else 14,
            facecolors=colors if domain == 0 else "none",
            edgecolors=colors,
            linewidths=0.4 if domain == 0 else 1.0,
            alpha=0.85,
        )
    axes.margins(0.06)
