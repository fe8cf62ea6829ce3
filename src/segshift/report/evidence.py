"""What a report measures: every run's score on all images, and the papers' analyses on some of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from segshift.analysis.class_centers import ClassCenters, clan_distance
from segshift.analysis.embedding import Granularity, embed
from segshift.analysis.measure import Observed, Values, known_items, observe, spread_evenly, stems
from segshift.analysis.retrieval import Retrieval
from segshift.analysis.strips import Shown, show
from segshift.config import did_you_mean
from segshift.data.labels import ClassSet
from segshift.data.sampling import evenly
from segshift.data.spec import Split
from segshift.errors import InputError
from segshift.evaluation import EvaluationResult
from segshift.evaluation.items import LabelledItems
from segshift.models.inference_config import Inference
from segshift.models.segmenter import Segmenter
from segshift.progress import NamedDone
from segshift.report.content import EmbeddedPoints, Evidence
from segshift.sizes import WidthHeight

ANALYSES = ("centres", "retrieval", "embedding", "entropy", "strips")
_OF_FEATURES = ("centres", "retrieval", "embedding", "entropy")


@dataclass(frozen=True)
class ReportSettings:
    """What a report measures, and with how many images.

    Attributes:
        only: some of `ANALYSES`; None makes all that the data allow.
        without: those of them that are left out.
        images: of each domain in the analyses, spread evenly; scores are always those of all images.
        pictures: that are shown.
        points: of every class and domain in the t-SNE of patches and of classes; images: 5 times as many of
            every domain.
        perplexity: of the t-SNE.
        classes: whose points the t-SNE shows; None shows all, and whole images.
        input_size: (width, height) in px at which all networks see images, for scores, too; None takes the
            size at which each run was judged.
        seed: of everything random.
        device: where the networks run.
    """

    only: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    images: int = 200
    pictures: int = 6
    points: int = 40
    perplexity: float = 30.0
    classes: tuple[str, ...] | None = None
    input_size: WidthHeight | None = None
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for option, names in (("--only", self.only or ()), ("--without", self.without)):
            for name in names:
                if name not in ANALYSES:
                    hint = did_you_mean(name, ANALYSES)
                    raise InputError(f"{option} {name or 'without a name'}: no analysis of a report{hint}")

    @property
    def chosen(self) -> tuple[str, ...]:
        """The analyses that are asked for."""
        wanted = ANALYSES if self.only is None else self.only
        return tuple(name for name in ANALYSES if name in wanted and name not in self.without)

    @property
    def inference(self) -> Inference:
        """How networks see images whose features are taken."""
        return Inference(input_size=self.input_size)

    @property
    def needs_source(self) -> bool:
        """Whether any of them looks at the source."""
        return bool(set(_OF_FEATURES) & set(self.chosen))


@dataclass(frozen=True)
class Network:
    """A network of a row: loaded when its turn comes, and judged as it was trained to be.

    Attributes:
        load: onto a device.
        judge: its result on labelled images.
    """

    load: Callable[[str], Segmenter]
    judge: Callable[[Segmenter, LabelledItems, Callable[[int, int], None]], EvaluationResult]


Rows = Mapping[str, Sequence[Network]]


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured.

    Attributes:
        results: of every row's runs, on all images of the target; empty for an unlabelled one.
        evidence: the analyses.
        shown: some of the target's images.
    """

    results: Mapping[str, tuple[EvaluationResult, ...]]
    evidence: Evidence
    shown: tuple[Shown, ...]


@dataclass(eq=False)
class _Gathered:
    """What grows run by run; no network stays."""

    results: dict[str, tuple[EvaluationResult, ...]] = field(default_factory=dict)
    centers: dict[str, tuple[ClassCenters, ClassCenters]] = field(default_factory=dict)
    fada: dict[str, Values] = field(default_factory=dict)
    retrieval: dict[str, Retrieval] = field(default_factory=dict)
    embedding: dict[str, Mapping[Granularity, EmbeddedPoints]] = field(default_factory=dict)
    entropy: dict[str, tuple[float, float]] = field(default_factory=dict)
    shown: dict[str, Shown] = field(default_factory=dict)


def measure(
    rows: Rows,
    classes: ClassSet,
    source: Split | None,
    target: Split,
    settings: ReportSettings,
    progress: NamedDone = lambda what, done, total: None,
    *,
    scoring: bool = True,
) -> Measured:
    """Measure rows side by side; the first is the reference that CLAN's distances relate to.

    Long, so that the order in which networks come and go is seen at once.

    All networks are scored; what else is measured is measured of each row's first. One network is in memory
    at a time, and the features of one image.

    Args:
        rows: networks for the same classes, by the row's name.
        classes: of their models.
        source: labelled; None where no chosen analysis looks at it.
        target: labelled, or not: then there are no scores, and the classes of its features are each network's
            own predictions.
        settings: see `ReportSettings`.
        progress: called with what is being done and how many of how many images are.
        scoring: whether scores are wanted.

    Raises:
        InputError: a source without labels, or data that lack all of the classes.
    """
    some = spread_evenly(target, settings.images)
    domains = None
    if source is not None and settings.needs_source:
        if not source.labelled:
            raise InputError(f"{source.title} has no labels; the source of a report needs them")
        domains = spread_evenly(source, settings.images), some
    skipped = _skipped(rows, domains, target, settings)
    chosen = [name for name in settings.chosen if name not in skipped]
    items, scored = known_items(target, classes)
    some_items, _ = known_items(some, classes)
    source_items = None if domains is None else known_items(domains[0], classes)[0]
    points_of = None if settings.classes is None else chosen_classes(settings, classes.names)
    found = _Gathered()
    for name, (first, *others) in rows.items():
        segmenter = first.load(settings.device)
        if target.labelled and scoring:
            counted = partial(progress, f"score of {name}")
            results = [first.judge(segmenter, items, counted)]
            results += [one.judge(one.load(settings.device), items, counted) for one in others]
            found.results[name] = tuple(result.scored(scored) for result in results)
        if domains is not None and source_items is not None and set(_OF_FEATURES) & set(chosen):
            observed = observe(
                segmenter,
                source_items,
                some_items,
                (stems(domains[0]), stems(domains[1])),
                points=settings.points,
                inference=settings.inference,
                seed=settings.seed,
                progress=partial(progress, f"features of {name}"),
            )
            _analyze(name, observed, chosen, points_of, found, skipped, settings, progress)
        if "strips" in chosen:
            progress(f"pictures of {name}", 0, settings.pictures)
            places = evenly(len(some.samples), settings.pictures)
            shown = show({name: segmenter}, some_items, places, stems(some), inference=settings.inference)
            _join(found.shown, shown, with_entropy="entropy" in chosen)
    evidence = Evidence(
        fada_distance=found.fada,
        clan_distance=_clan(found.centers),
        clan_absolute={name: clan_distance(*one) for name, one in found.centers.items()},
        retrieval=found.retrieval,
        embedding=found.embedding,
        entropy=found.entropy,
        skipped=skipped,
    )
    return Measured(found.results, evidence, tuple(found.shown.values()))


def chosen_classes(settings: ReportSettings, names: Sequence[str]) -> list[int]:
    """The train ids of `settings.classes`, all without. Raises InputError for a class that is not there."""
    for name in settings.classes or ():
        if name not in names:
            raise InputError(f"--classes {name}: the networks have no such class{did_you_mean(name, names)}")
    return [names.index(name) for name in settings.classes or names]


def _skipped(
    rows: Rows,
    domains: tuple[Split, Split] | None,
    target: Split,
    settings: ReportSettings,
) -> dict[str, str]:
    """What is left out from the start, and why."""
    reasons = {}
    if len(rows) < 2:
        reasons["gains"] = "a gain is over a reference; give two or more runs, the reference first"
        reasons["clan_distance"] = "CLAN's distance is over a reference's; give two or more runs"
    if not target.labelled:
        for name in ("gains", "confusion"):
            reasons[name] = f"{target.title} has no labels to compare with; give a labelled --target"
    if domains is None:
        for name in _OF_FEATURES:
            reasons[name] = "needs labelled source images, and the runs have none; give --source"
    elif min(len(split.samples) for split in domains) < 2:
        reasons["retrieval"] = "retrieval takes two or more images of each domain, a pool and queries"
    for name in ANALYSES:
        if name not in settings.chosen:
            option = "with --without" if name in settings.without else "by --only"
            reasons[name] = f"left out {option}"
    return reasons


def _analyze(
    name: str,
    observed: Observed,
    chosen: Sequence[str],
    shown: Sequence[int] | None,
    found: _Gathered,
    skipped: dict[str, str],
    settings: ReportSettings,
    progress: NamedDone,
) -> None:
    if "centres" in chosen:
        found.centers[name] = observed.centers
        found.fada[name] = observed.fada_distance()
    if "retrieval" in chosen:
        found.retrieval[name] = observed.retrieval(settings.seed)
    if "entropy" in chosen:
        found.entropy[name] = observed.mean_entropy()
    if "embedding" in chosen:
        progress(f"t-SNE of {name}", 0, 1)
        try:
            embedded = embed(observed.sampler, settings.perplexity, settings.seed, classes=shown)
        except InputError as error:
            # A network that has diverged has no such picture; the rest of the report tells why.
            skipped[f"embedding of {name}"] = str(error)
            return
        if not embedded:
            skipped[f"embedding of {name}"] = "too few points; give more --images"
            return
        found.embedding[name] = {
            level: EmbeddedPoints(plane, points.classes, points.domains, points.images)
            for level, (points, plane) in embedded.items()
        }


def _clan(centers: Mapping[str, tuple[ClassCenters, ClassCenters]]) -> dict[str, Values]:
    """By run its distances over the reference's, which are 1 and therefore left out."""
    if not centers:
        return {}
    (_, first), *others = centers.items()
    reference = clan_distance(*first)
    return {name: clan_distance(*one, reference) for name, one in others}


def _join(shown: dict[str, Shown], of_run: Sequence[Shown], with_entropy: bool) -> None:
    """Add one run's pictures to those of the runs before it."""
    for one in of_run:
        before = shown.get(one.name, replace(one, predicted={}, entropy={}))
        shown[one.name] = replace(
            before,
            predicted=before.predicted | one.predicted,
            entropy=before.entropy | (one.entropy if with_entropy else {}),
        )
