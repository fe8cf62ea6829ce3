"""The data doctor: looks at every file of a data set and lists everything that is wrong with it."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from segshift.data.check_sample import Findings, inspect_sample
from segshift.data.decoder import UNMAPPED, LabelDecoder
from segshift.data.finder import Sample, left_out
from segshift.data.labels import ClassSet
from segshift.data.list_files import invisible
from segshift.data.problems import Problem, class_problems, equal_images, unmapped_problems
from segshift.data.resolve import locate
from segshift.data.spec import Dataset, Found, Split
from segshift.data.survey import converted_in_words
from segshift.errors import InputError
from segshift.plain import counted
from segshift.progress import Done
from segshift.train_ids import IGNORE

Result = TypeVar("Result")


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
    progress: Done | None = None,
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
    digests: dict[str, dict[str, list[str]]] = {}
    for name in [chosen] if chosen else dataset.spec.splits:
        report, found, digests[name] = _check_split(dataset, name, workers, progress, maps)
        reports.append(report)
        problems += found
    problems += equal_images(digests)
    problems += _left_out(dataset)
    problems.sort(key=lambda problem: problem.severity != "error")
    return CheckReport(argument, dataset.spec.name, dataset.classes, tuple(reports), tuple(problems))


@dataclass
class _Tally:
    """What the samples of a split hold together."""

    classes: int
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    conversions: Counter[str] = field(default_factory=Counter)
    digests: dict[str, list[str]] = field(default_factory=dict)
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(UNMAPPED + 1, np.int64))
    images_with: NDArray[np.int64] = field(default_factory=lambda: np.zeros(UNMAPPED + 1, np.int64))
    cells: NDArray[np.int64] | None = None
    labels: int = 0
    pairs: int = 0
    unmapped: Counter[int] = field(default_factory=Counter)
    files_with: Counter[int] = field(default_factory=Counter)

    def add(self, sample: Sample, finding: Findings) -> None:
        if finding.size is not None:
            self.sizes[finding.size] += 1
            self.digests.setdefault(finding.digest, []).append(str(sample.image))
        if finding.converted:
            self.conversions[finding.converted] += 1
        if finding.counts is not None:
            self.counts += finding.counts
            self.images_with += finding.counts > 0
            self.labels += 1
        if finding.cells is not None:
            self.cells = finding.cells + (0 if self.cells is None else self.cells)
        self.pairs += finding.readable_pair
        self.unmapped.update(finding.unmapped)
        self.files_with.update(finding.unmapped.keys())


def _check_split(
    dataset: Dataset, name: str, workers: int | None, progress: Done | None, maps: bool
) -> tuple[SplitReport, list[Problem], dict[str, list[str]]]:
    """The report and problems of a split, and the files of each digest of its images' pixels."""
    try:
        found = dataset.find(name)
    except InputError as error:
        return SplitReport(name, 0, 0, {}, {}, None, None), [Problem("error", name, None, str(error))], {}
    split, problems = _incomplete(dataset, found)
    tally = _Tally(split.classes.count)
    map_classes = split.classes.count if maps else 0
    findings = _parallel(
        lambda sample: inspect_sample(sample, split.decoder, map_classes), split.samples, workers
    )
    for done, (sample, finding) in enumerate(zip(split.samples, findings, strict=True), start=1):
        tally.add(sample, finding)
        problems += [Problem(severity, name, file, message) for severity, file, message in finding.problems]
        if progress:
            progress(done, len(split.samples))
    report = _report(split, tally, found.split.labelled, maps)
    problems += _of_split(dataset, report, split.decoder, tally)
    return report, problems, tally.digests


def _incomplete(dataset: Dataset, found: Found) -> tuple[Split, list[Problem]]:
    """The split with every image that is there, and problems about files that are not."""
    split, name = found.split, found.split.name
    problems = [
        Problem(
            "error",
            name,
            str(sample.image),
            f"{sample.image}: no such image{invisible(sample.stem)}, though the list of split {name!r} names "
            f"it; correct either",
        )
        for sample in found.without_image
    ]
    without_label = tuple(replace(sample, label=None) for sample in found.without_label)
    if without_label and not split.samples:
        # One line instead of thousands: the rule is wrong, or the labels were never unpacked.
        message = (
            f"{dataset.where}: none of the {counted(len(without_label), 'image')} of split {name!r} has its "
            f"label, the first expected at {found.without_label[0].label}; add the labels or correct "
            f"`splits.{name}.labels` (a target needs none)"
        )
        problems.append(Problem("error", name, None, message))
    else:
        for sample in found.without_label:
            message = f"{sample.image}: has no label, expected {sample.label}; add it or remove the image"
            problems.append(Problem("error", name, str(sample.image), message))
    return replace(split, samples=(*split.samples, *without_label)), problems


def _report(split: Split, tally: _Tally, labelled: bool, maps: bool) -> SplitReport:
    pixels = max(1, int(tally.counts.sum()))
    names = split.classes.names
    frequencies = class_images = None
    if labelled and tally.counts.any():
        shares = _shares(tally.counts[: split.classes.count])
        frequencies = {one: float(share) for one, share in zip(names, shares, strict=True)}
        class_images = {one: int(tally.images_with[index]) / tally.labels for index, one in enumerate(names)}
    ignored = float((tally.counts[IGNORE] + tally.counts[UNMAPPED]) / pixels)
    return SplitReport(
        split.name,
        images=len(split.samples),
        pairs=tally.pairs,
        sizes=dict(tally.sizes.most_common()),
        unmapped={
            split.decoder.name_of(value): number / pixels for value, number in tally.unmapped.most_common()
        },
        class_frequencies=frequencies,
        ignored_share=None if frequencies is None else ignored,
        class_images=class_images,
        maps=None if frequencies is None or tally.cells is None else _maps(tally.cells),
        split=split,
    )


def _of_split(dataset: Dataset, report: SplitReport, decoder: LabelDecoder, tally: _Tally) -> list[Problem]:
    """Problems of all the samples of a split together."""
    problems = []
    if decoder.other == "ignore":
        files = {decoder.name_of(value): number for value, number in tally.files_with.items()}
        problems += unmapped_problems(dataset.where, report.name, report.unmapped, files)
    if report.class_frequencies is not None:
        problems += class_problems(
            dataset.where, report.name, decoder.kind, report.class_frequencies, report.ignored_share or 0.0
        )
    if tally.conversions:
        message = f"split {report.name!r}: {converted_in_words(tally.conversions, report.images)}"
        problems.append(Problem("warning", report.name, None, message))
    return problems


def _left_out(dataset: Dataset) -> list[Problem]:
    """One warning about image files that lie beside those of the splits and belong to none."""
    samples: list[Sample] = []
    for name in dataset.spec.splits:
        with suppress(InputError):
            found = dataset.find(name)
            samples += (*found.split.samples, *found.without_image, *found.without_label)
    unused = left_out(dataset.root, tuple(samples))
    if not unused:
        return []
    message = (
        f"{dataset.where}: {counted(len(unused), 'image')} beside those of the splits belong to none, "
        f"first {unused[0]}; correct `images:` if they should"
    )
    return [Problem("warning", "", None, message)]


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
