"""t-SNE pictures: filled marks for the source, open ones for the target, colors for the classes."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from segshift.analysis.class_centers import DOMAINS
from segshift.pictures import hex_color
from segshift.report.content import Report
from segshift.report.drawings.style import MUTED, chart, hue_color, legend_name, shorten
from segshift.report.plots import Cloud, clouds, embedded_classes, embedding_levels

_HEADINGS = {"patch": "patches", "class": "classes of images", "image": "whole images"}
_CELL_IN = 3.3


def draw_embedding(path: Path, report: Report, subtitle: str) -> None:
    """A row for every model, a column for patches, classes and images.

    Args:
        path: without a suffix; written as PNG and SVG.
        report: what was measured.
        subtitle: how.
    """
    found, classes = report.evidence.embedding, report.classes
    levels, shown = embedding_levels(report.evidence), embedded_classes(report.evidence)
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
                    _scatter(axes, clouds(embedded[level], classes))
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
                _handle(f"{domain} image", hue_color(domain), index == 0)
                for index, domain in enumerate(DOMAINS)
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


def _scatter(axes: Axes, shown: list[Cloud]) -> None:
    few = sum(len(cloud.places) for cloud in shown) < 200
    for cloud in shown:
        color = hue_color(DOMAINS[cloud.domain]) if cloud.color is None else cloud.color
        filled = cloud.domain == 0
        axes.scatter(
            cloud.places[:, 0],
            cloud.places[:, 1],
            s=22 if few else 14,
            facecolors=color if filled else "none",
            edgecolors=color,
            linewidths=0.4 if filled else 1.0,
            alpha=0.85,
        )
    axes.margins(0.06)
