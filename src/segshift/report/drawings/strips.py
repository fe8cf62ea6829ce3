"""Images beside their truth, the models' answers, and where the models are unsure: one PNG each."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from segshift.analysis.strips import Shown
from segshift.files import atomic_path
from segshift.pictures import FAINT, INK, PAPER, Palette, Pixels, colorize, legend, present_ids, strip
from segshift.report.content import Report, best_row, highest_row
from segshift.report.drawings.style import shorten

ENTROPY_COLORS = "magma"
_CELL_PX = 360


def draw_strips(path: Path, shown: Sequence[Shown], classes: Palette) -> None:
    """Rows of image, truth and predictions, above the legend of the classes that occur; one PNG."""
    rows = []
    for one in shown:
        row: list[tuple[str, Pixels | Image.Image]] = [(shorten(one.name), one.image)]
        row += [] if one.label is None else [("truth", colorize(one.label, classes))]
        row += [(shorten(name), colorize(label, classes)) for name, label in one.predicted.items()]
        rows.append(row)
    labels = [label for one in shown for label in (one.label, *one.predicted.values()) if label is not None]
    footer = legend(classes, present_ids(labels, classes), width=_width(len(rows[0])))
    _save(path, strip(rows, cell_width=_CELL_PX, footer=footer))


def draw_before_after(path: Path, report: Report, rows: int = 3) -> None:
    """The first pictures of a report as the reference and its best row see them; nothing without pictures.

    Where no row gains, the caption says so over the one that loses least.
    """
    named = {report.runs[0].name: "before"}
    if (row := highest_row(report.runs)) is not None:
        named[row.name] = "after" if row is best_row(report.runs) else "no gain"
    shown = [
        replace(
            one,
            predicted={f"{word}: {name}": one.predicted[name] for name, word in named.items()},
        )
        for one in report.shown[:rows]
    ]
    if shown:
        draw_strips(path, shown, report.classes)


def draw_entropy(path: Path, shown: Sequence[Shown]) -> None:
    """Rows of image and entropy maps, with each map's mean in its caption, above the scale; one PNG."""
    rows = []
    for one in shown:
        row: list[tuple[str, Pixels | Image.Image]] = [(shorten(one.name), one.image)]
        for name, entropy in one.entropy.items():
            row.append((f"{shorten(name)}: mean {entropy.mean():.3f}", entropy_colors(entropy)))
        rows.append(row)
    _save(path, strip(rows, cell_width=_CELL_PX, footer=_scale(_width(len(rows[0])))))


def entropy_colors(entropy: NDArray[Any]) -> Pixels:
    """(..., 3) uint8 RGB of entropies in [0, 1], or of uint8 ones in 0..255."""
    colors: Pixels = np.round(255 * matplotlib.colormaps[ENTROPY_COLORS](entropy)[..., :3]).astype(np.uint8)
    return colors


def _width(cells: int) -> int:
    """Of a strip with so many cells, which its footer fills."""
    return cells * _CELL_PX + (cells - 1) * 12 + 40


def _scale(width: int) -> Image.Image:
    """The colors of the entropy from 0 to 1."""
    margin, height, font = 20, 18, ImageFont.load_default(size=16)
    length = min(420, width - 2 * margin)
    bar = np.repeat(entropy_colors(np.linspace(0, 1, length))[None], height, axis=0)
    canvas = Image.new("RGB", (width, 84), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((margin, 4), "entropy of the prediction / log C", fill=INK, font=font)
    canvas.paste(Image.fromarray(bar), (margin, 30))
    draw.rectangle((margin - 1, 29, margin + length, 30 + height), outline=FAINT)
    draw.text((margin, 52), "0, sure", fill=INK, font=font)
    draw.text((margin + length, 52), "1, no idea", fill=INK, font=font, anchor="ra")
    return canvas


def _save(path: Path, picture: Image.Image) -> None:
    with atomic_path(path) as temporary:
        picture.save(temporary)
