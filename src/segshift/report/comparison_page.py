"""The comparison of training arms as one HTML file that needs nothing beside itself."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segshift import files
from segshift.errors import InputError
from segshift.pictures import present_ids
from segshift.report.base_page import at_most, data_uri, hex_color, render_template

Pixels = NDArray[np.uint8]

PICTURE_PX = 640
"""Wider pictures are scaled down to this width: what a wide screen shows of four side by side, twice over."""

FULL_TINT = 0.20
"""The difference in IoU at which a cell of the class table has its full tint."""

MISSING = "n/a"


@dataclass(frozen=True)
class ArmRow:
    """One arm of a comparison: a row of the tables. All scores are fractions from 0 to 1.

    Attributes:
        name: the arm's key, such as `adaptsegnet`.
        label: what readers see, such as `AdaptSegNet`.
        miou_mean: mean over the seeds.
        miou_spread: spread over the seeds; None with a single seed.
        gain: mIoU over the control's; None where it means nothing (the control itself).
        gap_share: gain as a share of the way from control to oracle; None where there is none.
        class_iou: IoU of every class, NaN where the class has no pixels.
        steps: training steps after the common start.
        source_images_per_step: labelled source images in each step.
        uses_target_labels: whether labels of the target domain were used, as the oracle's are.
        is_control: whether this is the arm that the gains are measured against.
        is_best: whether this is the best method; its row is highlighted.
    """

    name: str
    label: str
    miou_mean: float
    miou_spread: float | None
    gain: float | None
    gap_share: float | None
    class_iou: tuple[float, ...]
    steps: int
    source_images_per_step: int
    uses_target_labels: bool
    is_control: bool
    is_best: bool


@dataclass(frozen=True, eq=False)
class PictureRow:
    """Pictures side by side: image (H, W, 3) uint8 RGB, truth and predictions (H, W) uint8 train ids."""

    caption: str
    image: Pixels
    truth: Pixels | None
    predictions: tuple[tuple[str, Pixels], ...]


@dataclass(frozen=True, eq=False)
class ComparisonPage:
    """All that the page shows.

    Attributes:
        title: heading of the page.
        verdict: one sentence that says what came out.
        class_names: names in the order of the train ids.
        arms: rows of the tables, in the order to show.
        pictures: rows of pictures; may be empty.
        palette: (256, 3) uint8 RGB colour of every train id.
        settings: what the runs had in common, as text.
        command: the command line that repeats the comparison.
    """

    title: str
    verdict: str
    class_names: tuple[str, ...]
    arms: tuple[ArmRow, ...]
    pictures: tuple[PictureRow, ...]
    palette: Pixels
    settings: dict[str, str]
    command: str


@dataclass(frozen=True, eq=False)
class _Classes:
    names: tuple[str, ...]
    palette: Pixels


def write_comparison_page(path: Path, comparison: ComparisonPage) -> None:
    """Write the page to `path`, atomically: one file, its style and pictures inside, no script, no network.

    Raises:
        InputError: a row's class scores or pictures do not fit the classes or each other.
    """
    files.write_text(path, render(comparison))


def render(comparison: ComparisonPage) -> str:
    """The page as HTML text; raises InputError as `write_comparison_page` does."""
    _check(comparison)
    control = next((arm for arm in comparison.arms if arm.is_control), None)
    best_score = max((arm.miou_mean for arm in comparison.arms if not math.isnan(arm.miou_mean)), default=0.0)
    arms = [_arm_view(arm, control, best_score) for arm in comparison.arms]
    return render_template(
        "comparison_page.html.j2",
        title=comparison.title,
        verdict=comparison.verdict,
        classes=[
            {"name": name, "color": hex_color(comparison.palette, index)}
            for index, name in enumerate(comparison.class_names)
        ],
        arms=arms,
        has_control=control is not None,
        has_spread=any(arm.miou_spread is not None for arm in comparison.arms),
        has_other_budget=any(arm["other_budget"] for arm in arms),
        has_target_labels=any(arm.uses_target_labels for arm in comparison.arms),
        legend=_legend(comparison),
        pictures=[_picture_view(row, comparison.palette) for row in comparison.pictures],
        settings=comparison.settings,
        command=comparison.command,
    )


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction in percent, such as `41.5`; `–` for None (means nothing here), `n/a` for NaN (no value)."""
    if value is None:
        return "–"
    if math.isnan(value):
        return MISSING
    # Adding zero turns the negative zero that rounding may leave into a plain one.
    return f"{round(100 * value, digits) + 0.0:.{digits}f}".replace("-", "−")


def signed(value: float | None) -> str:
    """A difference of fractions in percentage points with its sign, such as `+3.2` or `−0.4`."""
    text = percent(value)
    return f"+{text}" if _sign(value) == "up" else text


def _check(comparison: ComparisonPage) -> None:
    for arm in comparison.arms:
        if len(arm.class_iou) != len(comparison.class_names):
            raise InputError(
                f"comparison page: the arm {arm.name} has {len(arm.class_iou)} class scores for "
                f"{len(comparison.class_names)} classes; give one per class, NaN where there is none"
            )
    for row in comparison.pictures:
        maps = [("truth", row.truth)] if row.truth is not None else []
        for name, label in [*maps, *row.predictions]:
            if label.shape != row.image.shape[:2] or label.dtype != np.uint8:
                raise InputError(
                    f"comparison page: {row.caption}: {name} is {label.shape} {label.dtype}, the image "
                    f"{row.image.shape}; give (H, W) uint8 maps of the image's size"
                )


def _arm_view(arm: ArmRow, control: ArmRow | None, best_score: float) -> dict[str, Any]:
    budget = (arm.steps, arm.source_images_per_step)
    trained_like_control = control is None or budget == (control.steps, control.source_images_per_step)
    share = 0.0 if math.isnan(arm.miou_mean) or best_score <= 0 else 100 * arm.miou_mean / best_score
    reference = control.class_iou if control is not None and not arm.is_control else None
    return {
        "label": arm.label,
        "miou": percent(arm.miou_mean),
        "spread": None if arm.miou_spread is None else percent(arm.miou_spread),
        "bar": f"{share:.1f}",
        "gain": signed(arm.gain),
        "gain_sign": _sign(arm.gain),
        "gap_share": "–" if arm.gap_share is None else percent(arm.gap_share, digits=0) + " %",
        "steps": f"{arm.steps:,}".replace(",", " "),
        "source_images": str(arm.source_images_per_step),
        # An arm without training has no budget to compare, and the oracle is a bound, not a competitor.
        "other_budget": arm.steps > 0 and not arm.uses_target_labels and not trained_like_control,
        "class_cells": [
            _class_cell(iou, None if reference is None else reference[index])
            for index, iou in enumerate(arm.class_iou)
        ],
        "uses_target_labels": arm.uses_target_labels,
        "is_control": arm.is_control,
        "is_best": arm.is_best,
    }


def _class_cell(iou: float, reference: float | None) -> dict[str, str]:
    difference = math.nan if reference is None else iou - reference
    sign = _sign(difference)
    tint = 0.0 if math.isnan(difference) else min(1.0, abs(difference) / FULL_TINT)
    return {
        "text": percent(iou),
        "sign": sign,
        "tint": f"{55 * tint:.0f}",
        "hint": f"{signed(difference)} points against the control" if sign else "",
    }


def _sign(value: float | None) -> str:
    """`up` or `down` when the difference, as it is shown, is not zero; else nothing."""
    text = percent(value)
    if value is None or math.isnan(value) or text == percent(0.0):
        return ""
    return "up" if value > 0 else "down"


def _legend(comparison: ComparisonPage) -> list[dict[str, str]]:
    classes = _Classes(comparison.class_names, comparison.palette)
    labels: list[Pixels] = []
    for row in comparison.pictures:
        labels += [row.truth] if row.truth is not None else [label for _, label in row.predictions]
    shown = present_ids(labels, classes)
    # A class that only a prediction shows comes last: it is a mistake that readers want to name, too.
    predicted = present_ids([label for row in comparison.pictures for _, label in row.predictions], classes)
    return [
        {"name": comparison.class_names[index], "color": hex_color(comparison.palette, index)}
        for index in (*shown, *(index for index in predicted if index not in shown))
    ]


def _picture_view(row: PictureRow, palette: Pixels) -> dict[str, Any]:
    height, width = row.image.shape[:2]
    cells = [{"name": "image", "uri": _photo(row.image), "kind": "photo"}]
    maps: Sequence[tuple[str, Pixels]] = [("truth", row.truth)] if row.truth is not None else []
    for name, label in [*maps, *row.predictions]:
        cells.append({"name": name, "uri": _label_map(label, palette), "kind": "map"})
    return {"caption": row.caption, "cells": cells, "width": width, "height": height}


def _photo(image: Pixels) -> str:
    picture = at_most(Image.fromarray(image), PICTURE_PX, Image.Resampling.LANCZOS)
    return data_uri(picture, "JPEG", quality=88)


def _label_map(label: Pixels, palette: Pixels) -> str:
    picture = at_most(Image.fromarray(label), PICTURE_PX, Image.Resampling.NEAREST)
    # An indexed PNG is a few kilobytes and keeps the colours exact.
    picture.putpalette(palette.astype(np.uint8).tobytes())
    return data_uri(picture, "PNG", optimize=True)
