"""The data doctor: looks at every file of a data set and lists everything that is wrong with it."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from segshift.data.containers import read_header
from segshift.data.dataset import check_same_size
from segshift.data.decoder import UNMAPPED, LabelDecoder
from segshift.data.finder import Sample
from segshift.data.images import read_image
from segshift.data.labels import IGNORE, ClassSet
from segshift.data.resolve import locate
from segshift.data.spec import Dataset, Split
from segshift.errors import InputError

Severity = Literal["error", "warning"]
Progress = Callable[[int, int], None]
Result = TypeVar("Result")
MAP_SIZE = (32, 24)
"""Columns and rows of the maps that say where in the pictures a class lies."""
_POINTS_PER_CELL = 4


@dataclass(frozen=True)
class Problem:
    """One finding: an `error` stops a training sooner or later, a `warning` may be meant."""

    severity: Severity
    split: str
    file: str | None
    message: str


@dataclass(frozen=True)
class SplitReport:
    """What one split holds.

    `sizes` counts images by (width, height); `unmapped` gives the share of all label pixels of each raw
    value that the label rule does not map; `class_frequencies` the share of each class among the labelled
    pixels (None without labels), `ignored_share` the share of ignored pixels among all label pixels,
    `class_images` the share of the labels that have each class somewhere. `maps` (C, rows, columns) in 0..1,
    made if asked for, is the share of the labels' pixels in each cell of a grid that are of the class.
    """

    name: str
    images: int
    pairs: int
    sizes: dict[tuple[int, int], int]
    unmapped: dict[str, float]
    class_frequencies: dict[str, float] | None
    ignored_share: float | None
    class_images: dict[str, float] | None = None
    maps: NDArray[np.float64] | None = field(default=None, repr=False)
    split: Split | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The report without the file list, ready for JSON."""
        return {
            "name": self.name,
            "images": self.images,
            "pairs": self.pairs,
            "sizes": {f"{width}x{height}": count for (width, height), count in self.sizes.items()},
            "unmapped": self.unmapped,
            "class_frequencies": self.class_frequencies,
            "ignored_share": self.ignored_share,
            "class_images": self.class_images,
        }


@dataclass(frozen=True)
class CheckReport:
    """What a data set holds and what is wrong with it; `problems` has the errors first."""

    argument: str
    dataset: str
    classes: ClassSet
    splits: tuple[SplitReport, ...]
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop a training."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems that may be meant."""
        return tuple(problem for problem in self.problems if problem.severity == "warning")

    def to_dict(self) -> dict[str, Any]:
        """The report, ready for JSON."""
        return {
            "argument": self.argument,
            "dataset": self.dataset,
            "classes": list(self.classes.names),
            "splits": [split.to_dict() for split in self.splits],
            "problems": [vars(problem) for problem in self.problems],
            "errors": len(self.errors),
            "warnings": len(self.warnings),
        }


def check(
    argument: str,
    split: str | None = None,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    maps: bool = False,
) -> CheckReport:
    """Read every image and label of a data set; bad files are listed, they do not end the check.

    Args:
        argument: as `resolve` takes it.
        split: the split to look at; all splits when neither this nor the argument names one.
        workers: threads; by default one per core, at most 8.
        progress: called with (samples done, samples in all) of the current split.
        maps: also make the maps of where each class lies.

    Raises:
        InputError: the argument or the YAML is wrong, so that there is nothing to look at.
    """
    dataset, named = locate(argument)
    chosen = named or split
    reports, problems = [], []
    for name in [chosen] if chosen else dataset.spec.splits:
        report, found = _check_split(dataset, name, workers, progress, maps)
        reports.append(report)
        problems += found
    problems.sort(key=lambda problem: problem.severity != "error")
    return CheckReport(argument, dataset.spec.name, dataset.classes, tuple(reports), tuple(problems))


@dataclass(frozen=True)
class _Findings:
    """What one sample's files hold."""

    size: tuple[int, int] | None
    readable_pair: bool
    counts: NDArray[np.int64] | None
    cells: NDArray[np.uint8] | None
    unmapped: dict[int, int]
    problems: tuple[tuple[Severity, str, str], ...]


def _inspect(sample: Sample, decoder: LabelDecoder, map_classes: int) -> _Findings:
    problems: list[tuple[Severity, str, str]] = []
    shape = None
    try:
        shape = read_image(sample.image).shape[:2]
        turned = read_header(sample.image).orientation
        if turned != 1:
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
    return _Findings(size, fits, counts, cells, unmapped, tuple(problems))


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


def _check_split(
    dataset: Dataset, name: str, workers: int | None, progress: Progress | None, maps: bool
) -> tuple[SplitReport, list[Problem]]:
    try:
        found = dataset.find(name)
    except InputError as error:
        return SplitReport(name, 0, 0, {}, {}, None, None), [Problem("error", name, None, str(error))]
    problems = []
    for sample in found.without_image:
        message = f"{sample.image}: no such image, though the list of split {name!r} names it; correct either"
        problems.append(Problem("error", name, str(sample.image), message))
    split = found.split
    without_label = tuple(replace(sample, label=None) for sample in found.without_label)
    if without_label and not split.samples:
        # One line instead of thousands: the rule is wrong, or the labels were never unpacked.
        message = (
            f"{dataset.where}: none of the {len(without_label)} images of split {name!r} has its label, the "
            f"first expected at {found.without_label[0].label}; add the labels or correct "
            f"`splits.{name}.labels` (a target needs none)"
        )
        problems.append(Problem("error", name, None, message))
        split, without_label = replace(split, samples=without_label), ()
    for sample in found.without_label if without_label else ():
        message = f"{sample.image}: has no label, expected {sample.label}; add it or remove the image"
        problems.append(Problem("error", name, str(sample.image), message))
    sizes: Counter[tuple[int, int]] = Counter()
    counts = np.zeros(UNMAPPED + 1, np.int64)
    images_with = np.zeros(UNMAPPED + 1, np.int64)
    map_classes = split.classes.count if maps else 0
    cells = np.zeros((*MAP_SIZE[::-1], split.classes.count + 1), np.int64)
    labels = 0
    unmapped: Counter[int] = Counter()
    files_with: Counter[int] = Counter()
    pairs = 0
    samples = (*split.samples, *without_label)
    findings = _parallel(lambda sample: _inspect(sample, split.decoder, map_classes), samples, workers)
    for done, finding in enumerate(findings, start=1):
        if finding.size is not None:
            sizes[finding.size] += 1
        if finding.counts is not None:
            counts += finding.counts
            images_with += finding.counts > 0
            labels += 1
        if finding.cells is not None:
            cells += finding.cells
        pairs += finding.readable_pair
        unmapped.update(finding.unmapped)
        files_with.update(finding.unmapped.keys())
        problems += [Problem(severity, name, file, message) for severity, file, message in finding.problems]
        if progress:
            progress(done, len(samples))
    pixels = max(1, int(counts.sum()))
    if split.decoder.other == "ignore":
        for value, number in unmapped.most_common():
            message = (
                f"{dataset.where}: {split.decoder.name_of(value)} is never mapped and becomes ignore: "
                f"{number / pixels:.3%} of the pixels of split {name!r}, in {files_with[value]} file(s); add "
                f"it to `labels.map`, or to `labels.ignore` if that is meant"
            )
            problems.append(Problem("warning", name, None, message))
    frequencies = None
    if split.labelled and counts.any():
        shares = _shares(counts[: split.classes.count])
        frequencies = {one: float(share) for one, share in zip(split.classes.names, shares, strict=True)}
        absent = [one for one, share in frequencies.items() if share == 0]
        if absent:
            message = (
                f"{dataset.where}: split {name!r} has no pixel of {', '.join(absent)}; correct the label "
                f"rule if they should occur"
            )
            problems.append(Problem("warning", name, None, message))
    report = SplitReport(
        name,
        images=len(samples),
        pairs=pairs,
        sizes=dict(sizes.most_common()),
        unmapped={split.decoder.name_of(value): number / pixels for value, number in unmapped.most_common()},
        class_frequencies=frequencies,
        ignored_share=None if frequencies is None else float((counts[IGNORE] + counts[UNMAPPED]) / pixels),
        class_images=None
        if frequencies is None
        else {one: int(images_with[index]) / labels for index, one in enumerate(split.classes.names)},
        maps=None if frequencies is None or not maps else _maps(cells),
        split=split,
    )
    return report, problems


def _maps(cells: NDArray[np.int64]) -> NDArray[np.float64]:
    shares = cells[..., :-1] / np.maximum(1, cells.sum(axis=-1, keepdims=True))
    return np.moveaxis(shares, -1, 0)


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return counts / max(1, int(counts.sum()))


def _parallel(
    work: Callable[[Sample], Result], samples: Iterable[Sample], workers: int | None
) -> Iterator[Result]:
    # Threads suffice: decoding, where the time goes, releases the interpreter's lock.
    with ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:
        yield from pool.map(work, samples)
