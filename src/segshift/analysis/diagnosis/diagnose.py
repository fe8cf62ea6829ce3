"""The diagnosis of two domains: numbers in one document, and a recommendation."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from segshift.analysis.diagnosis.confidence import ConfidenceDrop, confidence_drop
from segshift.analysis.diagnosis.domains import (
    DomainContent,
    Wanted,
    common_classes,
    read_domain,
    refuse_shared_images,
)
from segshift.analysis.diagnosis.features import linear_separability
from segshift.analysis.diagnosis.held_out import SMALLEST
from segshift.analysis.diagnosis.numbers import class_frequencies, class_places, color_statistics
from segshift.analysis.diagnosis.recommendation import WHOLE, Placement, recommend, verdict
from segshift.analysis.diagnosis.separability import Separability, separability
from segshift.analysis.diagnosis.settings import PARTS, DiagnosisSettings
from segshift.analysis.measure import spread_evenly
from segshift.config import did_you_mean
from segshift.data.labels import ClassSet, class_mapping, class_set
from segshift.data.spec import Split
from segshift.errors import InputError
from segshift.models.inference_config import Inference
from segshift.models.segmenter import Segmenter
from segshift.plain import counted
from segshift.progress import NamedDone
from segshift.sizes import WidthHeight

_OF_LABELS = ("frequencies", "spatial", "labels")


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What was measured of two domains.

    Attributes:
        document: all numbers, for JSON.
        domains: source and target, as they were read.
        classes: of the label maps.
        size_px: (width, height) of the network's input.
        predicted: label maps are predictions.
        patches: cells (width, height) of each patch size by its px, None for whole maps.
        separability: by part (labels, images) and patch size.
    """

    document: dict[str, Any]
    domains: tuple[DomainContent, DomainContent]
    classes: ClassSet
    size_px: WidthHeight
    predicted: bool
    patches: dict[str, WidthHeight | None]
    separability: dict[str, dict[str, Separability]]


def diagnose(
    source: Split,
    target: Split,
    settings: DiagnosisSettings | None = None,
    *,
    classes: str | Sequence[str] | None = None,
    model: Segmenter | None = None,
    progress: NamedDone = lambda what, done, total: None,
) -> Diagnosis:
    """How far apart two domains are, and what follows for the choice of a method.

    Long, since it is the list of what a document holds.

    Every image is read once. What stays are counts, and one small label map and image.

    Args:
        source: the domain to adapt from.
        target: the one to adapt to; with or without labels.
        settings: see `DiagnosisSettings`.
        classes: the classes in which both are described; see `common_classes`. With predictions, the model's
            own by default.
        model: whose features are compared. If a domain has no labels, its predictions in *both* domains take
            the place of labels.
        progress: called with what is being done and how many of how many steps are.

    Returns:
        What was measured; its document has `analyses` by name, `recommendation`, `skipped` with reasons.

    Raises:
        InputError: too few images, common images, classes that do not fit, an unknown part, or one of
            `settings.only` that these data do not allow.
    """
    settings = settings or DiagnosisSettings()
    sizes = settings.patch_sizes()
    source, target = spread_evenly(source, settings.images), spread_evenly(target, settings.images)
    _enough(source, target)
    refuse_shared_images(source, target)
    unlabelled = [split.title for split in (source, target) if not split.labelled]
    reasons = _impossible(unlabelled, model)
    chosen = _chosen(settings.only, reasons)
    from_labels = bool(set(_OF_LABELS) & set(chosen))
    predicted = bool(unlabelled) and from_labels
    agreed = _classes(source, target, classes, model if predicted else None, from_labels)
    if model is not None:
        model.to(settings.experiment.device)
    wanted = Wanted(
        canvas=settings.canvas_cells,
        classes=agreed,
        labels=from_labels,
        colors="colours" in chosen,
        images="images" in chosen,
        model=model,
        features=bool({"features", "confidence"} & set(chosen)),
        predictions=predicted,
        keep_ignored=settings.keep_ignored,
        inference=Inference(input_size=None if model is None or model.config.input_size else settings.size),
    )
    domains = _read(source, target, wanted, progress)
    measured = _measure(domains, agreed, sizes, chosen, settings, progress)
    advice = recommend(
        measured.found.get("labels"),
        measured.found.get("images"),
        measured.of_features,
        measured.telling,
        measured.exclusive,
        predicted,
        measured.placement,
        measured.confidence,
    )
    document = {
        "source": _described(source, domains[0]),
        "target": _described(target, domains[1]),
        "classes": {"set": agreed.name, "names": list(agreed.names)} if from_labels else None,
        "label_maps_from": ("predictions" if predicted else "labels") if from_labels else None,
        "settings": _settings(settings, sizes),
        "analyses": {name: measured.analyses[name] for name in chosen},
        "recommendation": advice.to_dict(),
        "skipped": {} if settings.only else reasons,
    }
    return Diagnosis(document, domains, agreed, settings.size, predicted, sizes, measured.found)


def _enough(*splits: Split) -> None:
    for split in splits:
        if len(split.samples) < SMALLEST:
            few = counted(len(split.samples), "image is", "images are")
            raise InputError(
                f"{split.title}: {few} too few, a diagnosis tests on images it has not trained on and needs "
                f"{SMALLEST} of each domain; give more, or a larger --images"
            )


def _read(
    source: Split, target: Split, wanted: Wanted, progress: NamedDone
) -> tuple[DomainContent, DomainContent]:
    """Both domains, with one count of their images."""
    before, total = len(source.samples), len(source.samples) + len(target.samples)
    return (
        read_domain(source, wanted, lambda done, _: progress("reading images", done, total)),
        read_domain(target, wanted, lambda done, _: progress("reading images", before + done, total)),
    )


@dataclass
class _Measured:
    """Numbers of the chosen parts, and what the recommendation needs of them."""

    analyses: dict[str, Any] = field(default_factory=dict)
    telling: list[str] = field(default_factory=list)
    exclusive: list[str] = field(default_factory=list)
    placement: Placement | None = None
    found: dict[str, dict[str, Separability]] = field(default_factory=dict)
    of_features: Separability | None = None
    confidence: ConfidenceDrop | None = None


def _measure(
    domains: tuple[DomainContent, DomainContent],
    agreed: ClassSet,
    sizes: dict[str, WidthHeight | None],
    chosen: Sequence[str],
    settings: DiagnosisSettings,
    progress: NamedDone,
) -> _Measured:
    measured = _Measured()
    analyses = measured.analyses
    if set(_OF_LABELS) & set(chosen):
        frequencies = class_frequencies(domains, agreed.names)
        measured.telling = frequencies["most_different"]
        measured.exclusive = frequencies["source_only"] + frequencies["target_only"]
        spatial = class_places(domains, agreed.names)
        placement = spatial["placement"]
        measured.placement = Placement(placement["mean_by_share"], max(placement["within_domain"].values()))
        analyses |= {"frequencies": frequencies, "spatial": spatial}
    if "colours" in chosen:
        analyses["colours"] = color_statistics(domains)
    for part in ("labels", "images"):
        if part in chosen:
            one_by_size = _experiment(part, domains, sizes, agreed, settings, progress)
            measured.found[part] = one_by_size
            analyses[part] = {
                size: {**one.to_dict(), "verdict": verdict(one)} for size, one in one_by_size.items()
            }
    if "features" in chosen:
        experiment = settings.experiment
        measured.of_features = linear_separability(
            (domains[0].descriptors, domains[1].descriptors), experiment.held_out, experiment.seeds
        )
        analyses["features"] = {**measured.of_features.to_dict(), "verdict": verdict(measured.of_features)}
    if "confidence" in chosen:
        measured.confidence = confidence_drop(domains[0].confidences, domains[1].confidences)
        analyses["confidence"] = measured.confidence.to_dict()
    return measured


def _impossible(unlabelled: Sequence[str], model: Segmenter | None) -> dict[str, str]:
    """The parts that cannot be made, with the reason."""
    if model is not None:
        return {}
    reasons = {
        name: f"{' and '.join(unlabelled)} without labels; give a network whose predictions take their "
        "place in both domains (--model CKPT)"
        for name in (_OF_LABELS if unlabelled else ())
    }
    return {
        **reasons,
        "features": "there is no network whose features to compare; give one (--model CKPT)",
        "confidence": "there is no network that could be less sure of the target; give one (--model CKPT)",
    }


def _chosen(only: Sequence[str] | None, reasons: dict[str, str]) -> list[str]:
    for name in only or ():
        if name not in PARTS:
            raise InputError(f"--only {name}: no part of a diagnosis{did_you_mean(name, PARTS)}")
        if name in reasons:
            raise InputError(f"--only {name}: {reasons[name]}")
    return [name for name in PARTS if name in (only or PARTS) and name not in reasons]


def _classes(
    source: Split,
    target: Split,
    classes: str | Sequence[str] | None,
    predicting: Segmenter | None,
    needed: bool,
) -> ClassSet:
    if not needed:
        return source.classes
    if predicting is None:
        agreed = common_classes(source, target, classes)
    else:
        agreed = predicting.classes if classes is None else class_set(classes)
        class_mapping(predicting.classes, agreed)
    if agreed.count < 2:
        raise InputError(
            f"{source.title} and {target.title}: {agreed.names[0]} is their only class in common, and maps "
            "of one class are all the same; call equal classes the same in both data sets' YAML files, or "
            "give --only colours,images"
        )
    return agreed


def _experiment(
    part: str,
    domains: tuple[DomainContent, DomainContent],
    sizes: dict[str, WidthHeight | None],
    classes: ClassSet,
    settings: DiagnosisSettings,
    progress: NamedDone,
) -> dict[str, Separability]:
    """The separability experiment for every patch size, on label maps or on images."""
    of_labels = part == "labels"
    maps = (domains[0].labels, domains[1].labels) if of_labels else (domains[0].images, domains[1].images)
    found = {}
    for size, patch in sizes.items():
        name = f"{part}, {size if patch is None else size + ' px'}"
        found[size] = separability(
            maps,
            patch,
            # Ignored pixels are one more plane, which is empty unless they are kept.
            classes.count + 1 if of_labels else None,
            settings.experiment,
            lambda done, total, name=name: progress(name, done, total),  # type: ignore[misc]
        )
    return found


def _described(split: Split, domain: DomainContent) -> dict[str, Any]:
    return {
        "dataset": split.dataset,
        "split": split.name,
        "images": len(split.samples),
        "labelled": split.labelled,
        "sizes": dict(domain.sizes.most_common()),
    }


def _settings(settings: DiagnosisSettings, sizes: dict[str, WidthHeight | None]) -> dict[str, Any]:
    experiment = settings.experiment
    return {
        "size": list(settings.size),
        "canvas": list(settings.canvas_cells),
        "patches_px": [int(size) for size in sizes if size != WHOLE],
        "ignored": "kept" if settings.keep_ignored else "filled",
        "network": experiment.network,
        "iterations": experiment.iterations,
        "validate_every": experiment.validate_every,
        "batch_size": experiment.batch_size,
        "learning_rate": experiment.learning_rate,
        "momentum": experiment.momentum,
        "weight_decay": experiment.weight_decay,
        "held_out": experiment.held_out,
        "seeds": list(experiment.seeds),
    }
