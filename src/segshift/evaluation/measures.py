"""Measures: what is counted of predictions and labels, image by image. They compose, in one pass."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

import numpy as np
from torch import Tensor

from segshift.errors import InputError
from segshift.evaluation.boundary import DILATION_RATIO, boundary_counts
from segshift.evaluation.confusion import check_maps, of_pairs
from segshift.evaluation.counts import CountsBuilder
from segshift.evaluation.pair_counts import pair_counts
from segshift.evaluation.protocol import versions
from segshift.evaluation.result import EvaluationResult
from segshift.shared_batch import of_all, processes

# Half a megabyte each.
_READ_AT_ONCE = 64


class Tally(Protocol):
    """A measure while it counts."""

    def add(self, image: str, prediction: Tensor, label: Tensor) -> None:
        """Count an image: (H, W) uint8 train ids each, 255 for a prediction of no class and for ignore."""

    def append(self, other: Self) -> None:
        """Count what another process has counted, too: its images follow this one's. Tallies are pickled for
        it; where there is only one process, none is asked to.
        """

    def result(self) -> dict[str, Any]:
        """The fields of `EvaluationResult` that the measure fills; one of its own goes into `further`."""


class Measure(Protocol):
    """Something to measure; a value, which one evaluation after the other may use."""

    def tally(self, classes: int) -> Tally:
        """A new count over that many classes."""


@dataclass(frozen=True)
class Iou:
    """One confusion matrix over all images, and the counts of every image: IoU and accuracies."""

    def tally(self, classes: int) -> Tally:
        """See `Measure`."""
        return _IouTally(np.zeros((classes, classes + 1), np.int64))


@dataclass(frozen=True)
class BoundaryIou:
    """The counts of `boundary_counts`; takes time on large images.

    Attributes:
        dilation_ratio: the width of the boundary as a share of the image's diagonal.
    """

    dilation_ratio: float = DILATION_RATIO

    def tally(self, classes: int) -> Tally:
        """See `Measure`."""
        return _BoundaryTally(classes, self.dilation_ratio)


@dataclass
class _IouTally:
    confusion: np.ndarray[Any, np.dtype[np.int64]]
    per_image: CountsBuilder = field(default_factory=CountsBuilder)
    # Counted on an accelerator and not read yet: the host would wait for each.
    waiting: list[tuple[str, Tensor]] = field(default_factory=list)

    def add(self, image: str, prediction: Tensor, label: Tensor) -> None:
        check_maps(prediction, label)
        self.waiting.append((image, pair_counts(label, prediction)))
        if label.device.type == "cpu" or len(self.waiting) == _READ_AT_ONCE:
            self._read()

    def _read(self) -> None:
        for image, pairs in self.waiting:
            counted = of_pairs(pairs.cpu(), len(self.confusion), unpredicted=True).numpy()
            self.confusion += counted
            self.per_image.add_confusion(image, counted)
        self.waiting.clear()

    def __getstate__(self) -> dict[str, Any]:
        # An accelerator's tensors stay where they are.
        self._read()
        return self.__dict__

    def append(self, other: Self) -> None:
        self._read()
        self.confusion += other.confusion
        self.per_image.append(other.per_image)

    def result(self) -> dict[str, Any]:
        self._read()
        return {"confusion": self.confusion, "per_image": self.per_image.build()}


@dataclass
class _BoundaryTally:
    classes: int
    dilation_ratio: float
    counts: CountsBuilder = field(default_factory=CountsBuilder)

    def add(self, image: str, prediction: Tensor, label: Tensor) -> None:
        ids, truth = prediction.cpu().numpy(), label.cpu().numpy()
        ratio = self.dilation_ratio
        self.counts.add(image, boundary_counts(ids, truth, self.classes, dilation_ratio=ratio))

    def append(self, other: Self) -> None:
        self.counts.append(other.counts)

    def result(self) -> dict[str, Any]:
        return {"boundary": self.counts.build()}


def judge(
    pairs: Iterable[tuple[str, Tensor, Tensor]],
    class_names: Sequence[str],
    measures: Sequence[Measure] = (Iou(),),
    *,
    complete: bool = True,
    protocol: dict[str, Any] | None = None,
) -> EvaluationResult:
    """The scores of predictions, wherever they come from: networks, files, pseudo labels.

    Inside of `sharing` each process gives the pairs of its own images, and all get the scores of all.

    Args:
        pairs: at least one in all: an image's name, its prediction and its label as `Tally.add` takes them.
        class_names: C names in the order of the train ids.
        measures: what to count. Without `Iou`, the scores of the confusion matrix are NaN.
        complete: whether every pixel is predicted as a class; else the confusion matrix gets a last column
            for those that are not.
        protocol: how the predictions came about; the number of images and the versions are added.

    Raises:
        InputError: ids outside the classes, or a prediction of another size than its label; in any process.
        ProcessLostError: another process ended.
    """
    classes = len(class_names)
    images, tallies = _counted(pairs, classes, measures)
    result = EvaluationResult(
        np.zeros((classes, classes + 1), np.int64),
        tuple(class_names),
        protocol={**(protocol or {}), "images": images, "versions": versions()},
    )
    for tally in tallies:
        result = result.extended(tally.result())
    return replace(result, confusion=result.confusion[:, :classes]) if complete else result


def _counted(
    pairs: Iterable[tuple[str, Tensor, Tensor]], classes: int, measures: Sequence[Measure]
) -> tuple[int, list[Tally]]:
    """The number of images and what the measures counted, of all processes together."""
    tallies = [measure.tally(classes) for measure in measures]
    images, refused = 0, None
    try:
        for name, prediction, label in pairs:
            for tally in tallies:
                tally.add(name, prediction, label)
            images += 1
    except InputError as error:
        if processes() == 1:
            raise
        refused = error
    # A process that left here would leave the others waiting.
    for one in of_all(refused):
        if one is not None:
            raise one
    ((images, tallies), *others) = of_all((images, tallies))
    for more, theirs in others:
        images += more
        for tally, their in zip(tallies, theirs, strict=True):
            tally.append(their)
    return images, tallies
