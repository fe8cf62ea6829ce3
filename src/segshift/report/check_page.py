"""What `segshift data check` found, as one HTML file that needs nothing beside itself."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segshift import files
from segshift.data.check import CheckReport, SplitReport
from segshift.data.images import read_image
from segshift.data.problems import Problem
from segshift.data.sampling import evenly
from segshift.data.spec import Split
from segshift.errors import InputError
from segshift.evaluation import percent
from segshift.pictures import Pixels, hex_color, overlay
from segshift.plain import share_in_words
from segshift.report.base_page import at_most, data_uri, render_template

THUMBNAIL_PX = 300
"""Width of the pictures: sharp enough beside each other on a wide screen, some 12 kB each."""

MOST_PICTURES = 40
"""Samples shown in all; their number per split falls with the number of splits, for a page below 3 MB."""

_MOST_PER_SPLIT, _LEAST_PER_SPLIT = 9, 3
_MOST_PROBLEMS = 200
_MOST_SIZES = 12

# Dark to bright and even in lightness, so that it reads in print and by the color blind.
_HEAT = ((22, 16, 60), (62, 40, 120), (45, 102, 142), (33, 158, 133), (122, 205, 84), (250, 228, 60))


def write_check_page(path: Path, report: CheckReport) -> None:
    """Write the page of a report to `path`, atomically: style and pictures inside, no script, no network.

    The report should have been made with `maps=True`; without maps the page leaves them out.
    """
    files.write_text(path, render(report))


def render(report: CheckReport) -> str:
    """The page as HTML text."""
    problems = _problems(report)
    labelled = [split for split in report.splits if split.class_frequencies is not None]
    shown = [split for split in report.splits if split.images]
    per_split = max(_LEAST_PER_SPLIT, min(_MOST_PER_SPLIT, MOST_PICTURES // max(1, len(shown))))
    palette = report.classes.palette
    return render_template(
        "check_page.html.j2",
        title=f"Data check: {report.dataset}",
        verdict=_verdict(report, problems),
        clean=not problems,
        problems=[_problem_view(one) for one in problems[:_MOST_PROBLEMS]],
        more_problems=max(0, len(problems) - _MOST_PROBLEMS),
        splits=[_split_view(split) for split in report.splits],
        several_sizes=len({size for split in report.splits for size in split.sizes}) > 1,
        unmapped=[
            {"split": split.name, "value": value, "share": share_in_words(share)}
            for split in report.splits
            for value, share in split.unmapped.items()
        ],
        classes=[
            {"name": name, "color": hex_color(palette[index])}
            for index, name in enumerate(report.classes.names)
        ],
        bars=[_bars(report, split) for split in labelled],
        maps=[view for view in (_maps(report, split) for split in labelled) if view is not None],
        sheets=[_sheet(split, per_split) for split in shown],
        command=f"segshift data check {report.argument} --html FILE.html",
    )


def _problems(report: CheckReport) -> list[Problem]:
    """Errors before warnings; what is wrong with the whole set is found once per split and said once."""
    unique = {(one.severity, one.message): one for one in report.problems}
    return sorted(unique.values(), key=lambda one: one.severity != "error")


def _verdict(report: CheckReport, problems: Sequence[Problem]) -> str:
    errors = sum(one.severity == "error" for one in problems)
    found = [sample.image for one in report.splits if one.split for sample in one.split.samples]
    # Lists may overlap: an image of two splits counts once.
    images = sum(one.images for one in report.splits) - (len(found) - len(set(found)))
    counts = f"{_plural(images, 'image')} in {_plural(len(report.splits), 'split')}"
    if not problems:
        return f"No problems found. {counts}."
    listed = [
        _plural(number, kind)
        for number, kind in ((errors, "error"), (len(problems) - errors, "warning"))
        if number
    ]
    meaning = "errors stop a training sooner or later" if errors else "warnings may be meant; have a look"
    return f"{' and '.join(listed).capitalize()}: {meaning}. {counts}."


def _problem_view(problem: Problem) -> dict[str, Any]:
    text = problem.message
    if problem.file is not None:
        text = text.removeprefix(f"{problem.file}: ")
    # Messages say what is wrong, and after the last semicolon what to do.
    what, _, remedy = text.rpartition("; ")
    return {
        "severity": problem.severity,
        "split": problem.split,
        "file": problem.file,
        "what": what or remedy,
        "remedy": remedy if what else "",
    }


def _split_view(split: SplitReport) -> dict[str, Any]:
    sizes = sorted(split.sizes.items(), key=lambda item: -item[1])
    most = sizes[0][1] if sizes else 1
    shown = [
        {"size": f"{width} × {height}", "count": _number(count), "bar": f"{100 * count / most:.1f}"}
        for (width, height), count in sizes[:_MOST_SIZES]
    ]
    rest = sum(count for _, count in sizes[_MOST_SIZES:])
    return {
        "name": split.name,
        "images": _number(split.images),
        "pairs": _number(split.pairs) if split.class_frequencies is not None else "–",
        "ignored": "–" if split.ignored_share is None else f"{percent(split.ignored_share, 2)} %",
        "size": shown[0]["size"] if len(sizes) == 1 else f"{len(sizes)} sizes" if sizes else "–",
        "sizes": shown,
        "more_sizes": f"{len(sizes) - _MOST_SIZES} more sizes, {_number(rest)} images" if rest else "",
    }


def _bars(report: CheckReport, split: SplitReport) -> dict[str, Any]:
    frequencies, images = split.class_frequencies or {}, split.class_images or {}
    most = max(frequencies.values(), default=0.0) or 1.0
    return {
        "split": split.name,
        "rows": [
            {
                "name": name,
                "color": hex_color(report.classes.palette[index]),
                "pixels": share_in_words(frequencies[name]),
                "pixel_bar": f"{100 * frequencies[name] / most:.1f}",
                "images": share_in_words(images[name], digits=0),
                "image_bar": f"{100 * images[name]:.1f}",
                "absent": images[name] == 0,
            }
            for index, name in enumerate(report.classes.names)
        ],
    }


def _maps(report: CheckReport, split: SplitReport) -> dict[str, Any] | None:
    if split.maps is None:
        return None
    # Stretched to the proportions of the pictures.
    width, height = next(iter(split.sizes), (4, 3))
    views = []
    for index, name in enumerate(report.classes.names):
        shares = split.maps[index]
        if not shares.any():
            continue
        views.append(
            {
                "name": name,
                "color": hex_color(report.classes.palette[index]),
                "uri": data_uri(heat_map(shares), "PNG", optimize=True),
                "most": share_in_words(float(shares.max()), digits=0),
            }
        )
    return {"split": split.name, "maps": views, "ratio": f"{width} / {height}"}


def heat_map(shares: NDArray[np.float64]) -> Image.Image:
    """Shares (rows, columns) as an indexed picture, dark for zero, bright for the largest share."""
    steps = np.linspace(0, len(_HEAT) - 1, 64)
    colors = np.stack(
        [np.interp(steps, range(len(_HEAT)), channel) for channel in zip(*_HEAT, strict=True)], -1
    )
    scaled = np.rint(63 * shares / max(float(shares.max()), 1e-12)).astype(np.uint8)
    picture = Image.fromarray(scaled)
    picture.putpalette(np.rint(colors).astype(np.uint8).tobytes())
    return picture


def _sheet(report: SplitReport, count: int) -> dict[str, Any]:
    split = report.split
    cells = [] if split is None else list(_cells(split, count))
    return {"split": report.name, "cells": cells, "labelled": split is not None and split.labelled}


def _cells(split: Split, count: int) -> Iterator[dict[str, Any]]:
    for index in evenly(len(split.samples), count):
        sample = split.samples[index]
        try:
            image = read_image(sample.image, upright=sample.upright)
            pictures, remark = [("image", image)], ""
            if sample.label is not None:
                label = split.decoder.read(sample.label, image.shape[:2])
                if label.shape == image.shape[:2]:
                    pictures.append(("overlay", overlay(image, label, split.classes, alpha=0.6)))
                else:
                    remark = "the label has another size"
        except InputError:
            # Listed among the problems; the sheet shows what can be seen.
            continue
        yield {
            "name": sample.stem,
            "remark": remark,
            "pictures": [
                {"kind": kind, "uri": _thumbnail(pixels), "width": image.shape[1], "height": image.shape[0]}
                for kind, pixels in pictures
            ],
        }


def _thumbnail(pixels: Pixels) -> str:
    return data_uri(
        at_most(Image.fromarray(pixels), THUMBNAIL_PX, Image.Resampling.BILINEAR), "JPEG", quality=78
    )


def _number(value: int) -> str:
    return f"{value:,}".replace(",", "\u202f")


def _plural(count: int, noun: str) -> str:
    return f"{_number(count)} {noun}{'' if count == 1 else 's'}"
