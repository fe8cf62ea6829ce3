"""All analyses of one or more models on a source and a target: numbers in one document, and pictures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segshift.analysis.embedding import embed
from segshift.analysis.measure import Observed, evenly, known_items, observe, spread_evenly, stems
from segshift.analysis.strips import show
from segshift.config import did_you_mean
from segshift.data.labels import ClassSet
from segshift.data.spec import Split
from segshift.errors import InputError
from segshift.evaluation import EvaluationResult, Inference, evaluate
from segshift.evaluation.evaluate import LabelledItems
from segshift.models.segmenter import Segmenter
from segshift.report.drawings import analyses as draw

ANALYSES = ("gains", "confusion", "centres", "retrieval", "embedding", "entropy", "strips", "unseen")
_OF_FEATURES = ("centres", "retrieval", "embedding", "entropy")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class AnalysisSettings:
    """What is analyzed, and with how many images.

    Attributes:
        only: some of `ANALYSES`; None makes all that are possible and says what was left out, and why.
        images: of each domain, spread evenly over its split; fewer where there are fewer.
        pictures: images in strips and entropy maps.
        points: of every class and domain in the t-SNE of patches and of classes; images: 5 times as many of
            every domain.
        perplexity: of the t-SNE.
        classes: whose points the t-SNE shows; None shows all, and whole images.
        input_size: (width, height) in px at which the networks see images; None takes each network's own.
        seed: of everything random.
        device: where the networks run.
    """

    only: tuple[str, ...] | None = None
    images: int = 200
    pictures: int = 4
    points: int = 40
    perplexity: float = 30.0
    classes: tuple[str, ...] | None = None
    input_size: tuple[int, int] | None = None
    seed: int = 0
    device: str = "cpu"


def analyze(
    models: Mapping[str, Segmenter],
    source: Split,
    target: Split,
    out: Path,
    settings: AnalysisSettings | None = None,
    *,
    unseen: Split | None = None,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Any]:
    """Analyze models side by side; the first is the reference that gains and CLAN's distances relate to.

    Features are never kept for more than one image; what stays are sums per class, one descriptor per image
    and a bounded random sample of points.

    Args:
        models: by name, for the same classes.
        source: labelled.
        target: labelled, or not: then the classes of its features are each network's own predictions, and
            what needs its truth is left out.
        out: folder of the pictures.
        settings: see `AnalysisSettings`.
        unseen: a labelled split of a third domain that no model was trained on.
        progress: called with what is being done and how many of how many images are.

    Returns:
        A document for JSON: `analyses` by name, `pictures` (file names in `out`), `skipped` with reasons.

    Raises:
        InputError: models for different classes, an unlabelled source, an unknown analysis, or one of
            `settings.only` that these data do not allow.
    """
    settings = settings or AnalysisSettings()
    classes = _common_classes(models)
    if not source.labelled:
        raise InputError(f"{source.title} has no labels; the source of an analysis needs them")
    source, target = spread_evenly(source, settings.images), spread_evenly(target, settings.images)
    reasons = _impossible(models, source, target, unseen)
    for name in settings.only or ():
        if name not in ANALYSES:
            raise InputError(f"--only {name}: no such analysis{did_you_mean(name, ANALYSES)}")
        if name in reasons:
            raise InputError(f"--only {name}: {reasons[name]}")
    chosen = [name for name in settings.only or ANALYSES if name not in reasons]
    shown = None if settings.classes is None else chosen_classes(settings, classes.names)
    for segmenter in models.values():
        segmenter.to(settings.device)
    source_items, _ = known_items(source, classes)
    target_items, scored = known_items(target, classes)
    charts = draw.Charts(out, classes, title(source), title(target), labelled=target.labelled)
    analyses: dict[str, Any] = {}
    if {"gains", "confusion"} & set(chosen):
        results = _evaluated(models, target_items, scored, settings, progress, "target")
        if "gains" in chosen:
            analyses["gains"] = charts.gains(results)
        if "confusion" in chosen:
            analyses["confusion"] = charts.confusion(results)
    if set(_OF_FEATURES) & set(chosen):
        observed = {
            name: observe(
                segmenter,
                source_items,
                target_items,
                (stems(source), stems(target)),
                points=settings.points,
                input_size=settings.input_size,
                seed=settings.seed,
                progress=lambda done, total, name=name: progress(f"features of {name}", done, total),  # type: ignore[misc]
            )
            for name, segmenter in models.items()
        }
        if "centres" in chosen:
            analyses["centres"] = _centers(observed, charts)
        if "retrieval" in chosen:
            analyses["retrieval"] = charts.retrieval(
                {name: one.retrieval(settings.seed) for name, one in observed.items()}
            )
        if "embedding" in chosen:
            found = {}
            for index, (name, one) in enumerate(observed.items()):
                progress(f"t-SNE of {name}", index, len(observed))
                found[name] = embed(one.sampler, settings.perplexity, settings.seed, classes=shown)
            analyses["embedding"] = charts.embedding(found, settings)
    if {"entropy", "strips"} & set(chosen):
        progress("pictures", 0, settings.pictures)
        places = evenly(len(target.samples), settings.pictures)
        shown = show(models, target_items, places, stems(target), input_size=settings.input_size)
        if "entropy" in chosen:
            means = {name: one.mean_entropy() for name, one in observed.items()}
            analyses["entropy"] = charts.entropy(shown, means)
        if "strips" in chosen:
            analyses["strips"] = charts.strips(shown)
    if "unseen" in chosen and unseen is not None:
        unseen = spread_evenly(unseen, settings.images)
        items, known = known_items(unseen, classes)
        results = _evaluated(models, items, known, settings, progress, "unseen")
        analyses["unseen"] = {"data": title(unseen), **charts.unseen(results, title(unseen))}
    return {
        "models": list(models),
        "reference": next(iter(models)),
        "source": described(source),
        "target": {**described(target), "classes_from": "labels" if target.labelled else "predictions"},
        "classes": list(classes.names),
        "seed": settings.seed,
        "analyses": {name: analyses[name] for name in chosen},
        "pictures": charts.written,
        "skipped": {} if settings.only else reasons,
    }


def chosen_classes(settings: AnalysisSettings, names: Sequence[str]) -> list[int]:
    """The train ids of `settings.classes`, all without. Raises InputError for a class that is not there."""
    for name in settings.classes or ():
        if name not in names:
            raise InputError(f"--classes {name}: the networks have no such class{did_you_mean(name, names)}")
    return [names.index(name) for name in settings.classes or names]


def _common_classes(models: Mapping[str, Segmenter]) -> ClassSet:
    if not models:
        raise InputError("analyze: there is no model to analyze; give one or more")
    (first_name, first), *others = models.items()
    for name, segmenter in others:
        if segmenter.class_names != first.class_names:
            raise InputError(
                f"analyze: {first_name} has the classes {', '.join(first.class_names)}, {name} has "
                f"{', '.join(segmenter.class_names)}; analyze models for the same classes together"
            )
    return first.classes


def _impossible(
    models: Mapping[str, Segmenter], source: Split, target: Split, unseen: Split | None
) -> dict[str, str]:
    """The analyses that cannot be made, with the reason."""
    reasons = {}
    if not target.labelled:
        for name in ("gains", "confusion"):
            reasons[name] = f"{target.title} has no labels to compare with; give a labelled split"
    if len(models) < 2:
        reasons["gains"] = "a gain is over a reference; give two or more models, the reference first"
    if min(len(source.samples), len(target.samples)) < 2:
        reasons["retrieval"] = "retrieval takes two or more images of each domain, a pool and queries"
    if unseen is None:
        reasons["unseen"] = "there is no third domain; give one with --unseen"
    return reasons


def title(split: Split) -> str:
    """A split and its number of images, in words."""
    return f"{split.dataset} {split.name} ({len(split.samples)} images)"


def described(split: Split) -> dict[str, Any]:
    """The same for JSON."""
    return {"dataset": split.dataset, "split": split.name, "images": len(split.samples)}


def _evaluated(
    models: Mapping[str, Segmenter],
    items: LabelledItems,
    scored: Sequence[str],
    settings: AnalysisSettings,
    progress: Progress,
    where: str,
) -> dict[str, EvaluationResult]:
    return {
        name: evaluate(
            segmenter,
            items,
            Inference(input_size=settings.input_size),
            progress=lambda done, total, name=name: progress(f"{name} on {where}", done, total),  # type: ignore[misc]
        ).scored(scored)
        for name, segmenter in models.items()
    }


def _centers(observed: Mapping[str, Observed], charts: draw.Charts) -> dict[str, Any]:
    distances = {name: one.clan_distance() for name, one in observed.items()}
    reference = next(iter(distances.values()))
    return charts.centers(
        fada={name: one.fada_distance() for name, one in observed.items()},
        clan=distances,
        clan_normalized={name: one.clan_distance(reference) for name, one in observed.items()},
    )
