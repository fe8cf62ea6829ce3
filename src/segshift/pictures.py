"""Label maps as pictures: colors, overlays, legends and captioned strips, with Pillow alone."""

from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from segshift.errors import InputError
from segshift.plain import one_line, visible
from segshift.train_ids import IGNORE

Pixels = NDArray[np.uint8]

_MIXED_AT_ONCE = 2**20

PAPER = (255, 255, 255)
INK = (31, 35, 40)
FAINT = (208, 215, 222)


def hex_color(color: Sequence[int] | Pixels) -> str:
    """An 8-bit RGB color as `#rrggbb`."""
    return "#" + "".join(f"{int(part):02x}" for part in color)


class Palette(Protocol):
    """What a picture needs to know of a class set: the classes' names and their colors."""

    @property
    def names(self) -> tuple[str, ...]:
        """The class names; the train id is the position."""

    @property
    def palette(self) -> Pixels:
        """(256, 3) uint8 RGB: the color of every train id."""


def colorize(label: Pixels, classes: Palette) -> Pixels:
    """The label map in its classes' colors.

    Args:
        label: (H, W) uint8 train ids; 255 is ignored.
        classes: the names and colors.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: `label` is not a uint8 map with two axes.
    """
    if label.ndim != 2 or label.dtype != np.uint8:
        raise InputError(
            f"a label map must be (H, W) uint8, not {label.shape} {label.dtype}; pass train ids, not colors"
        )
    colors: Pixels = classes.palette[label]
    return colors


def overlay(
    image: Pixels, label: Pixels, classes: Palette, alpha: float = 0.5, *, out: Pixels | None = None
) -> Pixels:
    """The label's colors laid over the image; ignored pixels show the image unchanged.

    Args:
        image: (H, W, 3) uint8 RGB.
        label: (H, W) uint8 train ids of the same size.
        classes: the names and colors.
        alpha: share of the color, 0 (image alone) to 1 (color alone).
        out: where the result goes; may be `image`.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: the sizes differ or `alpha` lies outside 0 to 1.
    """
    if image.shape != (*label.shape, 3):
        raise InputError(
            f"the image is {image.shape}, the label {label.shape}; resize one to the other's height and width"
        )
    if not 0.0 <= alpha <= 1.0:
        raise InputError(f"alpha = {alpha}: must lie between 0 and 1")
    result = np.empty_like(image) if out is None else out
    # Some rows at a time: the mixture takes eight bytes a value.
    step = max(1, _MIXED_AT_ONCE // max(1, image.shape[1]))
    for first in range(0, len(image), step):
        rows = slice(first, first + step)
        mixed = (1.0 - alpha) * image[rows] + alpha * colorize(label[rows], classes)
        ignored = (label[rows] == IGNORE)[..., None]
        result[rows] = np.where(ignored, image[rows], np.rint(mixed).astype(np.uint8))
    return result


def present_ids(labels: Sequence[Pixels], classes: Palette) -> tuple[int, ...]:
    """The train ids that occur in the label maps, the one with most pixels first.

    Ids without a class (ignored pixels among them) are left out; equal shares stay in the order of the ids.
    """
    counts = np.zeros(256, dtype=np.int64)
    for label in labels:
        counts += np.bincount(label.reshape(-1), minlength=256)
    order = np.argsort(-counts[: len(classes.names)], kind="stable")
    return tuple(int(index) for index in order if counts[index] > 0)


def legend(classes: Palette, present: Collection[int], *, width: int = 960, font_px: int = 16) -> Image.Image:
    """One swatch and name for each class in `present`, in the given order, flowing over rows of `width`.

    Args:
        classes: the names and colors.
        present: train ids, usually from `present_ids`; none gives a legend that says so.
        width: width of the picture in pixels.
        font_px: size of the names.

    Returns:
        An RGB picture, dark on light, as high as its rows need.

    Raises:
        InputError: an id that has no class.
    """
    names = [one_line(name) for name in classes.names]
    unknown = [index for index in present if not 0 <= index < len(classes.names)]
    if unknown:
        raise InputError(f"legend: the train id {unknown[0]} has no class among {len(classes.names)}")
    font = _font(font_px)
    swatch, gap, margin = round(font_px * 1.1), round(font_px * 0.5), round(font_px * 1.25)
    row_height = round(font_px * 2.0)
    places: list[tuple[int, int, int]] = []
    x, y = margin, round(font_px * 0.5)
    for index in present:
        needed = swatch + gap + _text_width(font, names[index])
        if x > margin and x + needed > width - margin:
            x, y = margin, y + row_height
        places.append((index, x, y))
        x += needed + 2 * font_px
    canvas = Image.new("RGB", (width, y + row_height + round(font_px * 0.5)), PAPER)
    draw = ImageDraw.Draw(canvas)
    if not places:
        draw.text((margin, y + row_height // 2), "no labelled pixels", fill=INK, font=font, anchor="lm")
    for index, left, top in places:
        middle = top + row_height // 2
        corner = middle - swatch // 2
        red, green, blue = (int(value) for value in classes.palette[index])
        # The outline keeps a light color apart from the paper.
        draw.rounded_rectangle(
            (left, corner, left + swatch, corner + swatch),
            radius=swatch // 5,
            fill=(red, green, blue),
            outline=FAINT,
        )
        draw.text((left + swatch + gap, middle), names[index], fill=INK, font=font, anchor="lm")
    return canvas


def strip(
    rows: Sequence[Sequence[tuple[str, Pixels | Image.Image]]],
    *,
    cell_width: int = 320,
    font_px: int = 16,
    footer: Image.Image | None = None,
) -> Image.Image:
    """A grid of pictures with a caption above each.

    Args:
        rows: for each row its (caption, picture) pairs; a picture is (H, W, 3) uint8 RGB or a Pillow image.
            Rows may differ in length. A caption may hold several lines; too long ones end in an ellipsis.
        cell_width: width of every picture in the grid in pixels; heights keep the pictures' proportions.
        font_px: size of the captions.
        footer: a picture below the grid, such as a `legend`; scaled down when it is wider than the grid.

    Returns:
        An RGB picture, dark on light.

    Raises:
        InputError: there is no picture at all.
    """
    if not any(rows):
        raise InputError("strip: there is no picture to show; pass at least one row with one picture")
    font = _font(font_px)
    gap, margin, line = round(font_px * 0.75), round(font_px * 1.25), round(font_px * 1.4)
    scaled = [
        [(visible(caption), _fit(picture, cell_width)) for caption, picture in row] for row in rows if row
    ]
    columns = max(len(row) for row in scaled)
    width = 2 * margin + columns * cell_width + (columns - 1) * gap
    if footer is not None and footer.width > width:
        footer = _fit(footer, width)
    caption_heights = [line * max(caption.count("\n") + 1 for caption, _ in row) for row in scaled]
    picture_heights = [max(picture.height for _, picture in row) for row in scaled]
    row_heights = [
        caption + picture + gap for caption, picture in zip(caption_heights, picture_heights, strict=True)
    ]
    height = 2 * margin + sum(row_heights) + (len(scaled) - 1) * gap
    canvas = Image.new("RGB", (width, height + (footer.height if footer is not None else 0)), PAPER)
    draw = ImageDraw.Draw(canvas)
    y = margin
    for row, caption_height, row_height in zip(scaled, caption_heights, row_heights, strict=True):
        for column, (caption, picture) in enumerate(row):
            x = margin + column * (cell_width + gap)
            lines = caption.split("\n")
            # Captions stand on their pictures, also when a neighbor has more lines.
            top = y + caption_height - len(lines) * line
            for number, text in enumerate(lines):
                middle = top + number * line + line // 2
                draw.text((x, middle), _shorten(text, font, cell_width), fill=INK, font=font, anchor="lm")
            canvas.paste(picture, (x, y + caption_height + gap // 2))
        y += row_height + gap
    if footer is not None:
        # A legend brings the same margin of its own.
        canvas.paste(footer, (0, height - margin))
    return canvas


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def _text_width(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, text: str) -> int:
    return int(np.ceil(font.getlength(text)))


def _shorten(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _fit(picture: Pixels | Image.Image, width: int) -> Image.Image:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image = image.convert("RGB")
    size = (width, max(1, round(image.height * width / image.width)))
    if size == image.size:
        return image
    # Color maps must not get in-between colors; few colors is what tells them from photographs.
    few_colors = image.getcolors(maxcolors=64) is not None
    return image.resize(size, Image.Resampling.NEAREST if few_colors else Image.Resampling.LANCZOS)
