"""A picture of the patch modes: for each of the largest, label patches that belong to it."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from segshift.analysis.patch_modes import ModesReport
from segshift.files import atomic_path
from segshift.pictures import INK, PAPER, colorize, legend, present_ids, strip
from segshift.plain import one_line

_PER_ROW, _ROWS = 4, 2
_LONGER_SIDE_PX = 80
_GAP_PX = 4
_FONT_PX = 16
_CARDS_PER_ROW = 4
_NAMED_CLASSES, _NAMED_SHARE = 3, 0.05


def draw_modes(report: ModesReport, path: Path, shown: int = 24) -> None:
    """Write the picture: a card for each of the largest modes with its share, main classes and examples."""
    number = min(shown, len(report.examples))
    cards = [(_caption(report, mode), _card(report, mode)) for mode in range(number)]
    rows = [cards[first : first + _CARDS_PER_ROW] for first in range(0, number, _CARDS_PER_ROW)]
    present = present_ids(
        [patch for patches in report.examples[:number] for patch in patches], report.classes
    )
    width = cards[0][1].width
    total = _CARDS_PER_ROW * (width + _FONT_PX)
    footer = legend(report.classes, present, width=total, font_px=_FONT_PX)
    sheet = strip(rows, cell_width=width, font_px=_FONT_PX, footer=footer)
    with atomic_path(path) as temporary:
        _titled(sheet, _title(report, number)).save(temporary, format="PNG")


def _caption(report: ModesReport, mode: int) -> str:
    shares = list(report.class_shares(mode).items())
    named = [pair for pair in shares[:_NAMED_CLASSES] if pair[1] >= _NAMED_SHARE] or shares[:1]
    listed = ", ".join(f"{name} {100 * share:.0f}" for name, share in named)
    return f"mode {mode}:  {100 * report.modes.shares[mode]:.1f} % of the patches\n{listed} %"


def _card(report: ModesReport, mode: int) -> Image.Image:
    """The examples of a mode, row by row, with some paper at the right that keeps cards apart."""
    scale = _LONGER_SIDE_PX / max(report.patches.size)
    width, height = (
        max(1, round(scale * side)) for side in (report.patches.width_px, report.patches.height_px)
    )
    across, down = _PER_ROW * (width + _GAP_PX), _ROWS * (height + _GAP_PX)
    card = Image.new("RGB", (across + _FONT_PX // 2, down - _GAP_PX), PAPER)
    for place, patch in enumerate(report.examples[mode]):
        row, column = divmod(place, _PER_ROW)
        picture = Image.fromarray(colorize(patch, report.classes))
        corner = (column * (width + _GAP_PX), row * (height + _GAP_PX))
        card.paste(picture.resize((width, height), Image.Resampling.NEAREST), corner)
    return card


def _title(report: ModesReport, number: int) -> Sequence[str]:
    size = f"{report.patches.width_px} x {report.patches.height_px} px"
    share = 100 * float(report.modes.shares[:number].sum())
    return (
        f"Patch modes of {report.title}",
        f"the {number} largest of {len(report.examples)} modes, {share:.0f} % of {report.sampled} patches "
        f"of {size}; typical ones first in each; black: no label",
    )


def _titled(sheet: Image.Image, lines: Sequence[str]) -> Image.Image:
    """The sheet below a heading and a smaller line."""
    margin, heading = round(1.25 * _FONT_PX), round(1.4 * _FONT_PX)
    height = margin + 2 * heading + _FONT_PX
    canvas = Image.new("RGB", (sheet.width, height + sheet.height - margin), PAPER)
    canvas.paste(sheet, (0, height - margin))
    draw = ImageDraw.Draw(canvas)
    draw.text((margin, margin), one_line(lines[0]), fill=INK, font=ImageFont.load_default(size=heading))
    draw.text(
        (margin, margin + round(1.4 * heading)),
        lines[1],
        fill=INK,
        font=ImageFont.load_default(size=_FONT_PX),
    )
    return canvas
