"""What one sample's image and label hold, and what is wrong with them."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segshift.data.containers import read_header
from segshift.data.dataset import check_same_size
from segshift.data.decoder import UNMAPPED, LabelDecoder
from segshift.data.finder import Sample
from segshift.data.images import conversion, read_image, used_bits
from segshift.data.problems import Severity
from segshift.errors import InputError

MAP_SIZE = (32, 24)
"""Columns and rows of the maps that say where in the pictures a class lies."""
_POINTS_PER_CELL = 4


@dataclass(frozen=True)
class Findings:
    """What one sample's files hold.

    Attributes:
        size: (width, height) of the image; None if it cannot be read.
        converted: what the image is converted to 8-bit RGB from, in words; empty if it is.
        digest: of the image's pixels.
        readable_pair: whether image and label can be used together.
        counts: pixels of each train id and of `UNMAPPED`; None without a readable label.
        cells: numbers of points of each class in each cell of the map, if asked for.
        unmapped: pixels of each raw value outside the map.
        problems: (severity, file, message).
    """

    size: tuple[int, int] | None
    converted: str
    digest: str
    readable_pair: bool
    counts: NDArray[np.int64] | None
    cells: NDArray[np.uint8] | None
    unmapped: dict[int, int]
    problems: tuple[tuple[Severity, str, str], ...]


def inspect_sample(sample: Sample, decoder: LabelDecoder, map_classes: int) -> Findings:
    """Read a sample's files; `map_classes` is the number of classes of the map, 0 for none."""
    problems: list[tuple[Severity, str, str]] = []
    shape, converted, digest = None, "", ""
    try:
        pixels = read_image(sample.image, upright=sample.upright)
        shape, digest = pixels.shape[:2], _digest(pixels)
        header = read_header(sample.image)
        converted, turned = conversion(header), header.orientation
        if header.bits > 8 and not header.top_is_told:
            # Files of one set that are taken for different ranges are brightened differently.
            converted += f" of which {used_bits(sample.image)} are used"
        if turned != 1 and not sample.upright:
            message = (
                f"{sample.image}: carries the EXIF orientation {turned}, which is not applied: pixels are "
                f"used as stored, like the label's; rotate the file if the label fits the rotated picture"
            )
            problems.append(("warning", str(sample.image), message))
    except InputError as error:
        problems.append(("error", str(sample.image), str(error)))
    counts, cells, unmapped, fits = None, None, {}, False
    if sample.label is not None:
        try:
            raw = decoder.read_raw(sample.label)
            if shape is not None:
                check_same_size(sample, shape, decoder.fitted(raw, shape).shape)
                fits = True
                if raw.shape != shape:
                    message = (
                        f"{sample.label}: the label is {raw.shape[1]} x {raw.shape[0]} pixels, its image "
                        f"{shape[1]} x {shape[0]}; it is stretched to that, as `labels.unequal_sizes` says"
                    )
                    problems.append(("warning", str(sample.label), message))
            found = decoder.look_up(raw)
            counts = np.bincount(found.ravel(), minlength=UNMAPPED + 1)
            if map_classes:
                cells = _cells(found, map_classes)
            if counts[UNMAPPED]:
                unmapped = decoder.unmapped(raw)
                decoder.decode(raw, str(sample.label))
        except InputError as error:
            problems.append(("error", str(sample.label), str(error)))
    size = None if shape is None else (shape[1], shape[0])
    return Findings(size, converted, digest, fits, counts, cells, unmapped, tuple(problems))


def _cells(label: NDArray[np.uint16], classes: int) -> NDArray[np.uint8]:
    """(rows, columns, classes + 1) numbers of points of each class, and of none, in each cell of the map.

    A few points of every cell, evenly spread, take a fraction of a millisecond where all pixels would take
    longer than decoding; what a label misses, the next ones have.
    """
    columns, rows = MAP_SIZE
    y, x = (
        ((np.arange(_POINTS_PER_CELL * cells) + 0.5) * size / (_POINTS_PER_CELL * cells)).astype(np.int64)
        for cells, size in ((rows, label.shape[0]), (columns, label.shape[1]))
    )
    places = np.arange(rows)[:, None] * columns + np.arange(columns)
    places = places.repeat(_POINTS_PER_CELL, 0).repeat(_POINTS_PER_CELL, 1) * (classes + 1)
    points = np.minimum(label[np.ix_(y, x)], classes)
    flat = np.bincount((places + points).ravel(), minlength=rows * columns * (classes + 1))
    return flat.reshape(rows, columns, classes + 1).astype(np.uint8)


def _digest(pixels: NDArray[np.uint8]) -> str:
    """Equal for equal pictures, whatever the format of their files."""
    return hashlib.blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=16).hexdigest()
