"""From run folders to a whole report, and its numbers as one JSON document."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segshift import __version__
from segshift.analysis.embedding import points_table
from segshift.data.spec import Split
from segshift.errors import InputError
from segshift.evaluation import EvaluationResult, compare_paired
from segshift.evaluation.confusion import mean_of_known
from segshift.files import json_ready
from segshift.report.content import Evidence, Report, ReportedRun
from segshift.report.data import own_source, own_target
from segshift.report.drawings.analyses import by_class
from segshift.report.evidence import Progress, ReportSettings, common_classes, measure
from segshift.report.fairness import unfair
from segshift.report.figures import MOST_RUNS
from segshift.report.runs import Run, read_run

# The same network on the same images: what shows in the two digits of a gain. Below that lie single pixels,
# which another number of threads decides.
_SAME_MIOU = 1e-4


def build_report(
    folders: Mapping[str, Path],
    settings: ReportSettings,
    *,
    source: Split | None = None,
    target: Split | None = None,
    title: str | None = None,
    command: str = "",
    progress: Progress = lambda what, done, total: None,
) -> Report:
    """Read runs, measure them, and say what differs between them; the first is the reference.

    Args:
        folders: of finished runs (see `segshift.report.runs.expand`), by their names in the report.
        settings: see `ReportSettings`.
        source: labelled; None takes the first run's own.
        target: None takes what the runs were evaluated on.
        title: None makes one of the domains' names.
        command: that makes this report again.
        progress: called with what is being done and how many of how many images are.

    Raises:
        InputError: too many runs, such that cannot be compared, or whose data are gone.
    """
    if len(folders) > MOST_RUNS:
        raise InputError(
            f"report: {len(folders)} runs; at most {MOST_RUNS} can be told apart, so name those that "
            "matter, the reference first"
        )
    runs = [read_run(folder, name) for name, folder in folders.items()]
    for run in runs:
        run.check_files()
    classes = common_classes(runs)
    their_own = target is None
    target = own_target(runs) if target is None else target
    if source is None and settings.needs_source:
        source = own_source(runs)
    measured = measure(runs, classes, source, target, settings, progress)
    reported = tuple(_reported(run, runs[0], measured.results, settings, their_own) for run in runs)
    known_source = runs[0].data.get("source", "source")
    domain = known_source.partition(" ")[0] if source is None else source.dataset
    return Report(
        title=title or f"{domain} → {target.dataset}",
        runs=reported,
        classes=classes,
        source=known_source if source is None else _described(source, settings.images),
        target=_described(target, settings.images),
        target_labelled=target.labelled,
        shown=measured.shown,
        evidence=measured.evidence,
        command=command,
        version=__version__,
    )


def _described(split: Split, analyzed: int) -> str:
    count = len(split.samples)
    some = f", {analyzed} of them in the analyses" if analyzed < count else ""
    return f"{split.dataset} {split.name} ({count} images{some})"


def _reported(
    run: Run,
    reference: Run,
    results: Mapping[str, EvaluationResult],
    settings: ReportSettings,
    their_own: bool,
) -> ReportedRun:
    result, first = results.get(run.name), results.get(reference.name)
    gain = None
    if run is not reference and result is not None and first is not None:
        gain = compare_paired(first, result, seed=settings.seed)
    provenance = run.recipe.provenance
    return ReportedRun(
        name=run.name,
        folder=str(run.folder),
        method=run.method,
        steps=run.final.training.steps,
        source_images_per_step=run.final.training.batch_size,
        uses_target_labels=run.uses_target_labels,
        selected=str(run.results.get("selected", "last checkpoint")),
        unfair=() if run is reference else unfair(run, reference, same_size=settings.input_size is not None),
        result=result,
        gain=gain,
        recipe=run.recipe_text,
        provenance={} if provenance is None else provenance.model_dump(mode="json"),
        environment=run.environment,
        data=run.data,
        curves=run.curves,
        advice=run.advice,
        notes=_changed(run, result) if their_own and result is not None else (),
    )


def _changed(run: Run, result: EvaluationResult) -> tuple[str, ...]:
    """A note if the same evaluation gives another score than at the end of the training."""
    stored = run.results.get("evaluation")
    if not isinstance(stored, dict) or stored.get("miou") is None:
        return ()
    now = result.to_dict()
    before, after = (
        {key: value for key, value in (one.get("protocol") or {}).items() if key != "versions"}
        for one in (stored, json_ready(now))
    )
    if (
        before != after
        or now["miou"] is None
        or math.isclose(stored["miou"], now["miou"], abs_tol=_SAME_MIOU)
    ):
        return ()
    return (
        f"its results.json has {100 * stored['miou']:.4f} % mIoU, the same evaluation now gives "
        f"{100 * now['miou']:.4f} %: the data, the versions or the machine have changed",
    )


def to_dict(report: Report) -> dict[str, Any]:
    """All numbers of a report, for JSON."""
    return {
        "title": report.title,
        "reference": report.runs[0].name,
        "source": report.source,
        "target": report.target,
        "classes_from": "labels" if report.target_labelled else "predictions",
        "classes": list(report.classes.names),
        "runs": [_run(run, report.runs[0].name) for run in report.runs],
        "analyses": _analyses(report),
        "skipped": dict(report.evidence.skipped),
        "command": report.command,
    }


def _run(run: ReportedRun, reference: str) -> dict[str, Any]:
    result, gain = run.result, run.gain
    return {
        "name": run.name,
        "folder": run.folder,
        "method": run.method,
        "steps": run.steps,
        "source_images_per_step": run.source_images_per_step,
        "uses_target_labels": run.uses_target_labels,
        "selected": run.selected,
        "data": dict(run.data),
        "evaluation": None if result is None else result.to_dict(),
        "confusion": None if result is None else result.confusion.tolist(),
        "gain": None if gain is None else {**gain.to_dict(), "verdict": gain.verdict(reference, run.name)},
        "unfair": list(run.unfair),
        "notes": list(run.notes),
        "advice": list(run.advice),
    }


def _analyses(report: Report) -> dict[str, Any]:
    evidence, names = report.evidence, report.classes.names
    found: dict[str, Any] = {
        "centres": _centers(evidence, names, report.runs[0].name),
        "retrieval": {name: one.to_dict() for name, one in evidence.retrieval.items()},
        "embedding": {
            run: {
                level: points_table(one.places, one.classes, one.domains, one.images, names)
                for level, one in levels.items()
            }
            for run, levels in evidence.embedding.items()
        },
        "entropy": {
            run: {
                "source": of_source,
                "target": of_target,
                "pictured": {
                    one.name: float(one.entropy[run].mean()) for one in report.shown if run in one.entropy
                },
            }
            for run, (of_source, of_target) in evidence.entropy.items()
        },
        "strips": {"images": [one.name for one in report.shown]} if report.shown else {},
    }
    return {name: numbers for name, numbers in found.items() if numbers}


def _centers(evidence: Evidence, names: Sequence[str], reference: str) -> dict[str, Any]:
    """Under the same names as in `segshift analyze`'s document."""
    numbers: dict[str, Any] = {}
    for run, fada in evidence.fada_distance.items():
        numbers[run] = {"fada": {"mean": mean_of_known(fada), "classes": by_class(names, fada)}}
        clan = evidence.clan_distance.get(run)
        if clan is not None:
            numbers[run]["clan"] = {
                "normalized_by": reference,
                "normalized_mean": mean_of_known(clan),
                "normalized": by_class(names, clan),
            }
    return numbers
