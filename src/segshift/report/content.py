"""All that a report shows, measured and ready: what `evidence` gathers and `page` draws."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segshift.analysis.embedding import Level
from segshift.analysis.retrieval import Retrieval
from segshift.analysis.strips import Shown
from segshift.data.labels import ClassSet
from segshift.evaluation import EvaluationResult
from segshift.evaluation.paired import PairedComparison

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


@dataclass(frozen=True)
class ReportedRun:
    """One run: what it is, how it was made and what it scored.

    Attributes:
        name: short and unique in the report; with the stage or seed where the folder's name is not enough.
        folder: as the user gave it.
        method: what was trained, in a few words, such as `align: advent, mean_teacher`.
        steps: optimizer steps of its last training stage.
        source_images_per_step: labelled source images in each of them.
        uses_target_labels: whether labels of the target domain took part; None where nobody knows.
        selected: which checkpoint it stands for, in words.
        unfair: why a gain over the reference is not the method's alone (other steps, batch size, network
            or start); empty for a fair comparison.
        result: on the evaluation set; None without target labels.
        gain: over the reference on the same images; None for the reference itself and without target labels.
        recipe: the resolved recipe as YAML.
        provenance: of the preset: paper, table, row, reported numbers, deviations; empty without one.
        environment: versions and device; empty where none was recorded.
        data: which data sets it saw, by role.
        curves: of the log.
        advice: what looked sick in its curves, and what to try, one line each.
        notes: what else has to be known about its score, one line each.
    """

    name: str
    folder: str
    method: str
    steps: int
    source_images_per_step: int
    uses_target_labels: bool | None
    selected: str
    unfair: tuple[str, ...]
    result: EvaluationResult | None
    gain: PairedComparison | None
    recipe: str
    provenance: Mapping[str, Any]
    environment: Mapping[str, Any]
    data: Mapping[str, str]
    curves: tuple[Curve, ...]
    advice: tuple[str, ...]
    notes: tuple[str, ...] = ()


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
        clan_distance: (C,) CLAN's center distance over the reference's.
        retrieval: between the two domains.
        embedding: t-SNE of every level.
        entropy: mean entropy over log C on the source and on the target.
        skipped: the reason, by what was left out.
    """

    fada_distance: Mapping[str, Values] = field(default_factory=dict)
    clan_distance: Mapping[str, Values] = field(default_factory=dict)
    retrieval: Mapping[str, Retrieval] = field(default_factory=dict)
    embedding: Mapping[str, Mapping[Level, EmbeddedPoints]] = field(default_factory=dict)
    entropy: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)


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
