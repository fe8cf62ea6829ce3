"""What the charts show, read off a report once: plotly draws it in the page, matplotlib as PNG and SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segshift.analysis.class_centers import DOMAINS
from segshift.analysis.embedding import GRANULARITIES, NO_CLASS, Granularity
from segshift.data.labels import ClassSet
from segshift.evaluation.confusion import mean_of_known, ratio
from segshift.losses.adversarial import Domain
from segshift.pictures import hex_color
from segshift.report.content import EmbeddedPoints, Evidence, Report, ReportedRun, Values

Hue = int | Domain
"""Whose color: that of a row, by its place in the report (0, the reference, is gray), or a domain's."""

FAINTEST = 1e-4
"""The share of a class's pixels at which the logarithmic scale of the confusions begins."""
LEAST_FOR_NUMBER = 0.005
"""The share from which a cell of a confusion has its number written in it."""


@dataclass(frozen=True, eq=False)
class Bars:
    """One row's, or domain's, bars of all classes.

    Attributes:
        name: of the row.
        hue: whose color.
        values: (C,); NaN where there is none.
        interval: (C, 2) their ends; None where none was measured.
        mean: of them; None for none.
        remark: behind the name.
    """

    name: str
    hue: Hue
    values: Values
    interval: Values | None = None
    mean: float | None = None
    remark: str = ""


@dataclass(frozen=True, eq=False)
class ClassBars:
    """A group of bars for every class.

    Attributes:
        title: heading.
        unit: what the axis measures, in a few words.
        class_names: C names.
        rows: the bars of each.
        meaning: the unit where there is room for all of it.
        mean_name: what `Bars.mean` is called.
        level: where a line is drawn; None for none.
        signed: whether positive numbers have a sign.
        digits: behind the point.
    """

    title: str
    unit: str
    class_names: Sequence[str]
    rows: Sequence[Bars]
    meaning: str = ""
    mean_name: str = "mean"
    level: float | None = None
    signed: bool = False
    digits: int = 1


@dataclass(frozen=True, eq=False)
class Confusion:
    """Where the pixels of every true class go.

    Attributes:
        name: of the row of the report.
        place: in the report.
        shares: (C, C) or (C, C + 1) of each true class's pixels, NaN for a class without any.
        class_names: C names.
    """

    name: str
    place: int
    shares: Values
    class_names: Sequence[str]

    @property
    def columns(self) -> list[str]:
        """The predicted classes; the last may be none of them."""
        return [*self.class_names, *(["none"] if self.shares.shape[1] > len(self.class_names) else [])]


@dataclass(frozen=True, eq=False)
class Line:
    """A line of a chart.

    Attributes:
        name: in the legend.
        hue: the place whose color it has; None is the color of text.
        dash: the place whose dash it has.
        xs: ascending.
        ys: as many values.
        remark: behind the name.
    """

    name: str
    hue: int | None
    dash: int
    xs: Sequence[float]
    ys: Sequence[float]
    remark: str = ""


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines over one axis.

    Attributes:
        key: unique among the charts of a page.
        title: heading.
        x_unit: of the horizontal axis.
        y_unit: of the vertical one.
        lines: from back to front.
        levels: heights of thin lines with their names.
        guide: a thin line to compare with; None for none.
    """

    key: str
    title: str
    x_unit: str
    y_unit: str
    lines: Sequence[Line]
    levels: Sequence[tuple[float, str]] = ()
    guide: Line | None = None


@dataclass(frozen=True, eq=False)
class Cloud:
    """The points of one class and domain in a t-SNE: filled marks for the source, open ones for the target.

    Attributes:
        class_name: empty for whole images.
        domain: 0 = source, 1 = target.
        color: of the class, as #rrggbb; None for the domain's.
        places: (P, 2).
        images: P names.
    """

    class_name: str
    domain: int
    color: str | None
    places: NDArray[np.float32]
    images: Sequence[str]


def gains(runs: Sequence[ReportedRun]) -> ClassBars | None:
    """Every class's gain over the reference with its interval, in points; None without gains."""
    measured = [(place, run, run.gain) for place, run in enumerate(runs) if run.gain is not None]
    if not measured:
        return None
    rows = [
        Bars(
            run.name,
            place,
            100 * gain.class_difference,
            100 * gain.class_interval,
            100 * gain.difference,
            " †" if run.unfair else "",
        )
        for place, run, gain in measured
    ]
    title, unit = f"Gain over {runs[0].name}", "gain in IoU, points"
    return ClassBars(title, unit, measured[0][2].class_names, rows, mean_name="mIoU", signed=True)


def distances(report: Report) -> dict[str, ClassBars]:
    """FADA's and CLAN's class center distances by their names, as far as they were measured."""
    evidence, names, reference = report.evidence, report.classes.names, report.runs[0].name
    found = {}
    if fada := _rows(report, evidence.fada_distance):
        meaning = "scatter of the class / squared distance from other classes, mean (lower is better)"
        title = "Class center distance (FADA)"
        found["fada"] = ClassBars(title, "distance", names, fada, meaning, digits=2)
    if clan := _rows(report, evidence.clan_distance):
        meaning = f"distance of source and target center, {reference} = 1 (lower is better)"
        title = "Cluster center distance between the domains (CLAN)"
        found["clan"] = ClassBars(title, "ratio", names, clan, meaning, level=1.0, digits=2)
    return found


def _rows(report: Report, values: Mapping[str, Values]) -> list[Bars]:
    return [
        Bars(run.name, place, values[run.name], mean=mean_of_known(values[run.name]))
        for place, run in enumerate(report.runs)
        if run.name in values
    ]


def confusions(runs: Sequence[ReportedRun]) -> list[Confusion]:
    """Of every scored row, over all its seeds."""
    return [
        confusion(run.name, place, run.confusion, run.result.class_names)
        for place, run in enumerate(runs)
        if run.result is not None
    ]


def confusion(name: str, place: int, counts: NDArray[Any], class_names: Sequence[str]) -> Confusion:
    """The shares of (C, C) or (C, C + 1) pixel counts, rows = truth."""
    return Confusion(name, place, ratio(counts, counts.sum(axis=1, keepdims=True)), class_names)


def retrieval(report: Report) -> list[Lines]:
    """|A_k| and |B_k| over k for every row, as in figure 4 of the LSD paper, beside domains that are one."""
    found = [
        (place, run.name, report.evidence.retrieval[run.name])
        for place, run in enumerate(report.runs)
        if run.name in report.evidence.retrieval
    ]
    if not found:
        return []
    first = found[0][2]
    pool = first.pool_source + first.pool_target
    sides: tuple[tuple[str, str, str, int], ...] = (
        ("a", "Source queries: target images among the k nearest", "Aₖ", first.pool_target),
        ("b", "Target queries: source images among the k nearest", "Bₖ", first.pool_source),
    )
    charts = []
    for key, title, letter, others in sides:
        lines = []
        for place, name, one in found:
            counts = one.source_to_target if key == "a" else one.target_to_source
            score = one.source_map if key == "a" else one.target_map
            ks = range(1, len(counts) + 1)
            lines.append(Line(name, place, place, ks, counts.tolist(), f" (mAP {100 * score:.1f})"))
        guide = Line("domains alike", None, 0, (1, pool), (others / pool, others))
        charts.append(Lines(f"retrieval-{key}", title, "k", f"|{letter}|", lines, guide=guide))
    return charts


def clouds(points: EmbeddedPoints, classes: ClassSet) -> list[Cloud]:
    """The target's points above the source's, so that neither hides the other."""
    found = []
    for domain in range(len(DOMAINS)):
        for train_id in np.unique(points.classes[points.domains == domain]).tolist():
            own = np.flatnonzero((points.domains == domain) & (points.classes == train_id))
            is_image = train_id == NO_CLASS
            found.append(
                Cloud(
                    "" if is_image else classes.names[train_id],
                    domain,
                    None if is_image else hex_color(classes.palette[train_id]),
                    points.places[own],
                    [points.images[place] for place in own],
                )
            )
    return found


def embedding_levels(evidence: Evidence) -> list[Granularity]:
    """The levels of which any run has a t-SNE, in order."""
    return [level for level in GRANULARITIES if any(level in found for found in evidence.embedding.values())]


def embedded_classes(evidence: Evidence) -> list[int]:
    """The train ids that occur among the points."""
    found = {
        int(train_id)
        for levels in evidence.embedding.values()
        for points in levels.values()
        for train_id in np.unique(points.classes)
    }
    return sorted(train_id for train_id in found if train_id != NO_CLASS)
