"""How the charts look: one style, colors of models and domains, and saving as PNG and SVG."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segshift.analysis.class_centers import DOMAINS
from segshift.files import atomic_path
from segshift.pictures import FAINT, INK, PAPER, hex_color
from segshift.plain import one_line, visible
from segshift.report.colors import DOMAIN_COLORS, MODEL_COLORS, color_number
from segshift.report.plots import Hue

SUFFIXES = (".png", ".svg")
_DASHES = ("-", "--", ":", "-.")
_DPI = 160


_INK, _FAINT, _PAPER = hex_color(INK), hex_color(FAINT), hex_color(PAPER)
MUTED = "#59636e"
_STYLE: Any = {
    "figure.facecolor": _PAPER,
    "savefig.facecolor": _PAPER,
    "axes.facecolor": _PAPER,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.axisbelow": True,
    "grid.color": _FAINT,
    "grid.linewidth": 0.7,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": _INK,
    "xtick.color": _FAINT,
    "xtick.labelcolor": _INK,
    "ytick.color": _FAINT,
    "ytick.labelcolor": _INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    # A dollar in a name is a dollar.
    "text.parse_math": False,
    # Equal data give equal SVG files.
    "svg.hashsalt": "segshift",
}


@contextmanager
def chart(
    path: Path,
    size_in: tuple[float, float],
    title: str,
    subtitle: str = "",
    rows: int = 1,
    columns: int = 1,
    **subplots: Any,
) -> Iterator[tuple[Figure, list[list[Axes]]]]:
    """A figure in the style, written as `path`.png and `path`.svg when the block ends well.

    Args:
        path: without a suffix.
        size_in: width and height in inches.
        title: heading of the whole figure.
        subtitle: a smaller line below it: what was measured on what.
        rows: of axes.
        columns: of axes.
        subplots: further arguments of `Figure.subplots`.

    Yields:
        The figure, and its axes by row and column.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size_in, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **subplots)
        # Inches from the top, so that a tall figure has the same heading as a flat one.
        lines = 1 + (subtitle.count("\n") + 1 if subtitle else 0)
        figure.get_layout_engine().set(  # type: ignore[union-attr,call-arg]
            rect=(0, 0, 1, 1 - (0.28 + 0.2 * lines) / size_in[1]), w_pad=0.08, h_pad=0.08
        )
        place = 0.1 / size_in[0], 1 - 0.1 / size_in[1]
        figure.text(*place, one_line(title), size=12.5, weight="bold", va="top")
        if subtitle:
            figure.text(
                0.1 / size_in[0], 1 - 0.36 / size_in[1], visible(subtitle), size=9, color=MUTED, va="top",
                linespacing=1.4,
            )  # fmt: skip
        yield figure, [list(row) for row in axes]
        # The layout of axes with equal aspects is only found the second time.
        figure.draw_without_rendering()
        for suffix in SUFFIXES:
            # The date would make every file another one.
            metadata = {"Date": None} if suffix == ".svg" else None
            with atomic_path(path.with_name(path.name + suffix)) as temporary:
                figure.savefig(temporary, dpi=_DPI, metadata=metadata)


def hue_color(hue: Hue | None) -> str:
    """The color of a row, of a domain, or of text."""
    if hue is None:
        return _INK
    return MODEL_COLORS[color_number(hue)] if isinstance(hue, int) else DOMAIN_COLORS[DOMAINS.index(hue)]


def dash(place: int) -> str:
    """What lines whose colors come again are told apart by."""
    return _DASHES[place % len(_DASHES)]


def shorten(name: str, length: int = 34) -> str:
    """A name for a title or a tick, in one line; the end of a long one stays, because it is what differs."""
    name = one_line(name)
    return name if len(name) <= length else "…" + name[1 - length :]


def legend_name(name: str, length: int = 34) -> str:
    """`shorten` for a legend, out of which matplotlib leaves what begins with an underscore."""
    shown = shorten(name, length)
    return f"\N{ZERO WIDTH SPACE}{shown}" if shown.startswith("_") else shown
