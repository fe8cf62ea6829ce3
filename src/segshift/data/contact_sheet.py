"""A contact sheet: some samples of a data set as image, label colors and overlay, in one PNG."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segshift.data.check import CheckReport
from segshift.data.images import read_image
from segshift.data.sampling import evenly
from segshift.data.spec import Split
from segshift.errors import InputError
from segshift.files import atomic_path
from segshift.pictures import colorize, legend, overlay, present_ids, strip

_Cell = tuple[str, NDArray[np.uint8] | Image.Image]
_PER_ROW = 3  # cells, the number that a labelled sample takes


def contact_sheet(source: CheckReport | Split, out: Path, *, count: int = 6) -> Path:
    """Write a PNG of up to `count` samples per split, evenly spread; files that cannot be read are left out.

    A labelled sample takes a row (image, label, overlay), of unlabelled ones three share a row. Below
    stands the legend of the classes that occur.

    Args:
        source: a split, or a report, whose splits are all shown.
        out: the file to write.
        count: the largest number of samples per split.

    Returns:
        `out`.

    Raises:
        InputError: there is no readable sample.
    """
    if isinstance(source, Split):
        splits = [source]
    else:
        splits = [report.split for report in source.splits if report.split is not None]
    rows: list[list[_Cell]] = []
    labels: list[NDArray[np.uint8]] = []
    for split in splits:
        rows += _rows(split, count, labels)
    if not rows:
        raise InputError(
            f"{out}: no sample could be read, so there is nothing to show; correct the data first"
        )
    classes = splits[0].classes
    footer = legend(classes, present_ids(labels, classes)) if labels else None
    with atomic_path(out) as temporary:
        strip(rows, footer=footer).save(temporary, format="PNG")
    return out


def _rows(split: Split, count: int, labels: list[NDArray[np.uint8]]) -> list[list[_Cell]]:
    rows: list[list[_Cell]] = []
    unlabelled: list[_Cell] = []
    for sample in (split.samples[index] for index in evenly(len(split.samples), count)):
        caption = f"{split.name}: {sample.stem}"
        try:
            image = read_image(sample.image, upright=sample.upright)
            if sample.label is None:
                unlabelled.append((caption, image))
                continue
            label = split.decoder.read(sample.label, image.shape[:2])
            rows.append(
                [
                    (caption, image),
                    ("label", colorize(label, split.classes)),
                    ("overlay", overlay(image, label, split.classes)),
                ]
            )
            labels.append(label)
        except InputError:
            # `check` has listed the file; the sheet shows what can be seen.
            continue
    return rows + [unlabelled[start : start + _PER_ROW] for start in range(0, len(unlabelled), _PER_ROW)]
