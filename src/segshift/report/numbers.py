"""The numbers of a report, as one JSON document."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from segshift.analysis.embedding import points_table
from segshift.evaluation import EvaluationResult
from segshift.evaluation.confusion import mean_of_known
from segshift.report.content import Report, ReportedRun, SeedRun, Values


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
        "analyses": analyses_document(report),
        "skipped": dict(report.evidence.skipped),
        "command": report.command,
    }


def _run(run: ReportedRun, reference: str) -> dict[str, Any]:
    result, gain = run.result, run.gain
    return {
        "name": run.name,
        "folder": run.folder,
        "seeds": [_seed(one) for one in run.seeds],
        "method": run.method,
        "steps": run.steps,
        "source_images_per_step": run.source_images_per_step,
        "uses_target_labels": run.uses_target_labels,
        "selected": run.selected,
        "data": dict(run.data),
        "miou": None if result is None else run.miou,
        "miou_spread": run.miou_spread,
        "evaluation": None if result is None else result.to_dict(),
        "confusion": None if result is None else result.confusion.tolist(),
        "gain": None if gain is None else {**gain.to_dict(), "verdict": gain.verdict(reference, run.name)},
        "gain_spread": run.gain_spread,
        "gap_share": run.gap_share,
        "unfair": list(run.unfair),
        "notes": list(run.notes),
        "advice": list(run.advice),
    }


def _seed(one: SeedRun) -> dict[str, Any]:
    return {
        "seed": one.seed,
        "folder": one.folder,
        "miou": None if one.result is None else one.result.miou,
        "gain": None if one.gain is None else one.gain.to_dict(),
    }


def analyses_document(report: Report) -> dict[str, Any]:
    """The numbers of the papers' analyses; those that were not made are left out."""
    evidence, names = report.evidence, report.classes.names
    found: dict[str, Any] = {
        "centres": {name: _centers(report, name) for name in evidence.fada_distance},
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


def _centers(report: Report, name: str) -> dict[str, Any]:
    """A row's center distances; CLAN's also over those of the reference, its own are then 1."""
    evidence, names, reference = report.evidence, report.classes.names, report.runs[0].name
    fada, absolute = evidence.fada_distance[name], evidence.clan_absolute[name]
    normalized = evidence.clan_distance.get(name)
    if normalized is None:
        normalized = np.where(absolute > 0, 1.0, np.nan)
    return {
        "fada": {"mean": mean_of_known(fada), "classes": by_class(names, fada)},
        "clan": {
            "classes": by_class(names, absolute),
            "normalized_by": reference,
            "normalized_mean": mean_of_known(normalized),
            "normalized": by_class(names, normalized),
        },
    }


def scores_document(result: EvaluationResult) -> dict[str, Any]:
    """The mean and every class's IoU."""
    return {"miou": result.miou, "classes": by_class(result.class_names, result.iou)}


def by_class(names: Sequence[str], values: Values) -> dict[str, float]:
    """The values of all classes by name, for JSON."""
    return dict(zip(names, values.tolist(), strict=True))
