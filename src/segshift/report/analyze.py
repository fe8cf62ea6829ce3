"""All analyses of one or more models on a source and a target: numbers in one document, and pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from segshift.analysis.measure import known_items, spread_evenly
from segshift.config import did_you_mean
from segshift.data.labels import ClassSet
from segshift.data.spec import Split
from segshift.errors import InputError
from segshift.evaluation import EvaluationResult, evaluate
from segshift.evaluation.items import LabelledItems
from segshift.models.segmenter import Segmenter
from segshift.plain import counted
from segshift.progress import Done, NamedDone
from segshift.report import evidence
from segshift.report.colors import check_colors
from segshift.report.content import Evidence, Report, ReportedRun, scored_rows
from segshift.report.drawings.analyses import Drawings
from segshift.report.evidence import Network, ReportSettings, measure
from segshift.report.numbers import analyses_document, by_class, scores_document
from segshift.version import __version__

ANALYSES = ("gains", "confusion", *evidence.ANALYSES, "unseen")


def analyze(
    models: Mapping[str, Segmenter],
    source: Split,
    target: Split,
    out: Path,
    settings: ReportSettings | None = None,
    *,
    only: Sequence[str] | None = None,
    unseen: Split | None = None,
    progress: NamedDone = lambda what, done, total: None,
) -> dict[str, Any]:
    """Analyze models side by side; the first is the reference that gains and CLAN's distances relate to.

    Long, since it is the list of what a document and its pictures hold, in order.

    Args:
        models: by name, for the same classes.
        source: labelled.
        target: labelled, or not: then the classes of its features are each network's own predictions, and
            what needs its truth is left out.
        out: folder of the pictures.
        settings: see `ReportSettings`; scores are those of `settings.images` images, too.
        only: some of `ANALYSES`; None makes all that are possible and says what was left out, and why.
        unseen: a labelled split of a third domain that no model was trained on.
        progress: called with what is being done and how many of how many images are.

    Returns:
        A document for JSON: `analyses` by name, `pictures` (file names in `out`), `skipped` with reasons.

    Raises:
        InputError: models for different classes, an unlabelled source, an unknown analysis, or one of `only`
            that these data do not allow.
    """
    settings = settings or ReportSettings(pictures=4)
    check_colors(len(models))
    classes = _common_classes(models)
    if not source.labelled:
        raise InputError(f"{source.title} has no labels; the source of an analysis needs them")
    source, target = spread_evenly(source, settings.images), spread_evenly(target, settings.images)
    reasons = _impossible(models, source, target, unseen)
    for name in only or ():
        if name not in ANALYSES:
            raise InputError(f"--only {name}: no such analysis{did_you_mean(name, ANALYSES)}")
        if name in reasons:
            raise InputError(f"--only {name}: {reasons[name]}")
    chosen = [name for name in only or ANALYSES if name not in reasons]
    wanted = {*chosen, *(["strips"] if "entropy" in chosen else [])}
    networks = {
        name: [Network(partial(_placed, one), partial(_judge, settings))] for name, one in models.items()
    }
    measured = measure(
        networks,
        classes,
        source,
        target,
        replace(settings, only=tuple(name for name in evidence.ANALYSES if name in wanted)),
        progress,
        scoring=bool({"gains", "confusion"} & wanted),
    )
    results = {name: one[0] for name, one in measured.results.items()}
    rows = scored_rows(results, settings.seed) if results else tuple(map(_unscored, models))
    report = Report(
        title="analysis",
        runs=rows,
        classes=classes,
        source=title(source),
        target=title(target),
        target_labelled=target.labelled,
        shown=measured.shown,
        evidence=measured.evidence,
        command="",
        version=__version__,
    )
    found = {**_score_documents(rows), **analyses_document(report)}
    known: dict[str, EvaluationResult] = {}
    if "unseen" in chosen and unseen is not None:
        unseen = spread_evenly(unseen, settings.images)
        known = _on_unseen(networks, unseen, classes, settings, progress)
        found["unseen"] = {
            "data": title(unseen),
            "scored_classes": list(next(iter(known.values())).scored_names),
            "iou": {name: scores_document(one) for name, one in known.items()},
        }
    drawings = Drawings(out, report, settings)
    drawings.draw([name for name in chosen if name in found])
    if unseen is not None and known:
        drawings.unseen(known, title(unseen))
    return {
        "models": list(models),
        "reference": next(iter(models)),
        "source": described(source),
        "target": {**described(target), "classes_from": "labels" if target.labelled else "predictions"},
        "classes": list(classes.names),
        "seed": settings.seed,
        "analyses": {name: found[name] for name in chosen if name in found},
        "pictures": drawings.written,
        "skipped": {} if only else {**reasons, **_too_few(measured.evidence)},
    }


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


def _placed(segmenter: Segmenter, device: str) -> Segmenter:
    return segmenter.to(device)


def _judge(
    settings: ReportSettings,
    segmenter: Segmenter,
    items: LabelledItems,
    progress: Done,
) -> EvaluationResult:
    return evaluate(segmenter, items, settings.inference, progress=progress)


def _on_unseen(
    networks: Mapping[str, Sequence[Network]],
    unseen: Split,
    classes: ClassSet,
    settings: ReportSettings,
    progress: NamedDone,
) -> dict[str, EvaluationResult]:
    items, known = known_items(unseen, classes)
    return {
        name: one.judge(one.load(settings.device), items, partial(progress, f"{name} on unseen")).scored(
            known
        )
        for name, (one,) in networks.items()
    }


def _unscored(name: str) -> ReportedRun:
    return ReportedRun(name=name, result=None, gain=None)


def _score_documents(rows: Sequence[ReportedRun]) -> dict[str, Any]:
    """IoU of every model, what each wins or loses over the first, and the confusion matrices."""
    results = {row.name: row.result for row in rows if row.result is not None}
    return {
        "gains": {
            "iou": {name: scores_document(result) for name, result in results.items()},
            "gain": {
                row.name: {
                    "miou": row.gain.difference,
                    "interval": list(row.gain.interval),
                    "classes": by_class(row.gain.class_names, row.gain.class_difference),
                }
                for row in rows
                if row.gain is not None
            },
        },
        "confusion": {
            name: {"rows": "truth", "pixels": result.confusion.tolist()} for name, result in results.items()
        },
    }


def _too_few(evidence: Evidence) -> dict[str, str]:
    """The embeddings that could not be made."""
    return {what: reason for what, reason in evidence.skipped.items() if what.startswith("embedding of")}


def title(split: Split) -> str:
    """A split and its number of images, in words."""
    return f"{split.dataset} {split.name} ({counted(len(split.samples), 'image')})"


def described(split: Split) -> dict[str, Any]:
    """The same for JSON."""
    return {"dataset": split.dataset, "split": split.name, "images": len(split.samples)}
