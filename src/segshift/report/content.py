"""All that a report shows, measured and ready: what `evidence` gathers and `page` draws."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from segshift.analysis.embedding import Granularity
from segshift.analysis.retrieval import Retrieval
from segshift.analysis.strips import Shown
from segshift.data.labels import ClassSet
from segshift.engine.comparison import spread
from segshift.evaluation import EvaluationResult
from segshift.evaluation.paired import PairedComparison, compare_paired

Values = NDArray[np.float64]
CurveGroup = Literal["loss", "discriminator", "score", "observed", "learning_rate"]


@dataclass(frozen=True)
class Curve:
    """One line of a run's log over its steps.

    Attributes:
        group: which chart it belongs to.
        name: what was logged, such as `advent/source`.
        steps: of training, ascending.
        values: as logged.
    """

    group: CurveGroup
    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


class Logged(Protocol):
    """A run that has a log: one of a report, or one that is still going on."""

    @property
    def name(self) -> str:
        """Short and unique among those that are shown."""

    @property
    def curves(self) -> Sequence[Curve]:
        """The lines of its log."""


@dataclass(frozen=True)
class SeedRun:
    """One training of a row.

    Attributes:
        seed: of everything random in it.
        folder: of the run.
        result: on the evaluation set; None without target labels.
        gain: over the reference's training of the same seed on the same images; None where there is none.
    """

    seed: int
    folder: str
    result: EvaluationResult | None
    gain: PairedComparison | None


@dataclass(frozen=True)
class ReportedRun:
    """A row: one run, or an arm of a comparison with a run per seed; how it was made and what it scored.

    Of a model file alone, only its name and scores are known.

    Attributes:
        name: short and unique in the report; with the stage or seed where the folder's name is not enough.
        folder: of the run, or of the first seed's.
        method: what was trained, in a few words, such as `align: advent, mean_teacher`.
        steps: optimizer steps of its last training stage.
        source_images_per_step: labelled source images in each of them.
        uses_target_labels: whether labels of the target domain took part; None where nobody knows.
        selected: which checkpoint it stands for, in words.
        unfair: why a gain over the reference is not the method's alone (other steps, batch size, network
            or start); empty for a fair comparison.
        result: of the (first) run on the evaluation set; None without target labels.
        gain: over the reference on the same images, the mean over the seeds; None for the reference itself
            and without target labels.
        recipe: the resolved recipe as YAML.
        provenance: of the preset: paper, table, row, reported numbers, deviations; empty without one.
        environment: versions and device; empty where none was recorded.
        data: which data sets it saw, by role.
        curves: of the log.
        advice: what looked sick in its curves, and what to try, one line each.
        notes: what else has to be known about its score, one line each.
        seeds: the runs behind the row, one per seed; empty for a row that is one run without more to say.
        gap_share: the gain as a share of the way from the reference to an oracle; None where there is none.
    """

    name: str
    result: EvaluationResult | None
    gain: PairedComparison | None
    folder: str = ""
    method: str = ""
    steps: int = 0
    source_images_per_step: int = 0
    uses_target_labels: bool | None = None
    selected: str = ""
    unfair: tuple[str, ...] = ()
    recipe: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    curves: tuple[Curve, ...] = ()
    advice: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seeds: tuple[SeedRun, ...] = ()
    gap_share: float | None = None

    @property
    def results(self) -> tuple[EvaluationResult, ...]:
        """Of all seeds; empty without target labels."""
        listed = [one.result for one in self.seeds] or [self.result]
        return tuple(result for result in listed if result is not None)

    @property
    def miou(self) -> float:
        """Mean over the seeds, in [0, 1]; NaN without a score."""
        return self.mean(lambda result: result.miou)

    @property
    def miou_spread(self) -> float | None:
        """Standard deviation over the seeds (n - 1 in the denominator); None for one."""
        return spread([result.miou for result in self.results])

    @property
    def gain_spread(self) -> float | None:
        """The same of the gain."""
        return spread([one.gain.difference for one in self.seeds if one.gain is not None])

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(C, C) or (C, C + 1) pixel counts of all seeds together. Raises IndexError without a score."""
        first, *others = (result.confusion for result in self.results)
        return sum(others, first)

    @property
    def is_fair(self) -> bool:
        """Whether the gain says something about the method: measured, like for like, without labels."""
        return self.gain is not None and not self.unfair and self.uses_target_labels is not True

    def class_iou(self, name: str) -> float:
        """A class's IoU, the mean over the seeds, in [0, 1]; NaN where it has none."""
        return self.mean(lambda result: float(result.iou[result.class_names.index(name)]))

    def mean(self, score: Callable[[EvaluationResult], float]) -> float:
        """A score's mean over the seeds that have it; NaN without any."""
        values = [value for value in map(score, self.results) if not math.isnan(value)]
        return statistics.fmean(values) if values else math.nan


@dataclass(frozen=True, eq=False)
class EmbeddedPoints:
    """A t-SNE of one level of one run's features.

    Attributes:
        places: (P, 2) float32.
        classes: (P,) int64 train ids; -1 for whole images.
        domains: (P,) int64, 0 = source, 1 = target.
        images: P names of the images that the points come from.
    """

    places: NDArray[np.float32]
    classes: NDArray[np.int64]
    domains: NDArray[np.int64]
    images: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the papers' analyses give, by run. Empty mappings for what was left out; `skipped` says why.

    Attributes:
        fada_distance: (C,) FADA's class center distance, NaN where a class is missing.
        clan_distance: (C,) CLAN's center distance over the reference's, of the other rows.
        clan_absolute: (C,) CLAN's center distance, in the units of each network's features.
        retrieval: between the two domains.
        embedding: t-SNE of every level.
        entropy: mean entropy over log C on the source and on the target.
        skipped: the reason, by what was left out.
    """

    fada_distance: Mapping[str, Values] = field(default_factory=dict)
    clan_distance: Mapping[str, Values] = field(default_factory=dict)
    retrieval: Mapping[str, Retrieval] = field(default_factory=dict)
    embedding: Mapping[str, Mapping[Granularity, EmbeddedPoints]] = field(default_factory=dict)
    entropy: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    clan_absolute: Mapping[str, Values] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Report:
    """A whole report.

    Attributes:
        title: heading.
        runs: the reference first.
        classes: names and colors of the train ids.
        source: what the source is and how many of its images were looked at.
        target: the same for the target.
        target_labelled: whether the target's images have labels; else classes are predictions.
        shown: images with truth, predictions and entropy by run name.
        evidence: the analyses.
        command: that makes this report again.
        version: of segshift.
    """

    title: str
    runs: tuple[ReportedRun, ...]
    classes: ClassSet
    source: str
    target: str
    target_labelled: bool
    shown: tuple[Shown, ...]
    evidence: Evidence
    command: str
    version: str

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the row that has most of them; one or none means that nothing is said about seeds."""
        longest = max((run.seeds for run in self.runs), key=len, default=())
        return tuple(one.seed for one in longest)


def scored_rows(results: Mapping[str, EvaluationResult], seed: int = 0) -> tuple[ReportedRun, ...]:
    """Rows of results alone, such as those of model files; gains are over the first.

    Raises:
        InputError: results that are not of the same images and classes.
    """
    (name, first), *others = results.items()
    rows = [
        ReportedRun(name=other, result=one, gain=compare_paired(first, one, seed=seed))
        for other, one in others
    ]
    return (ReportedRun(name=name, result=first, gain=None), *rows)


def best_row(runs: Sequence[ReportedRun]) -> ReportedRun | None:
    """The fair row with the highest gain, if it is one."""
    best = highest_row(runs)
    return best if best is not None and best.gain is not None and best.gain.difference > 0 else None


def highest_row(runs: Sequence[ReportedRun]) -> ReportedRun | None:
    """The fair row with the highest difference from the reference, be it a loss; None without fair rows."""
    fair = [run for run in runs if run.is_fair and run.gain is not None]
    return max(fair, key=lambda run: run.gain.difference if run.gain else -math.inf, default=None)
