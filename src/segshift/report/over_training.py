"""`segshift analyze centers RUN --over-training`: the class center distances of a run's kept networks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segshift.analysis.measure import known_items, spread_evenly, stems
from segshift.analysis.over_training import CentersOverTraining, centers_over_training
from segshift.data.spec import Split
from segshift.errors import InputError
from segshift.folders import RunFolder
from segshift.models import Segmenter, load
from segshift.progress import NamedDone
from segshift.report.analyze import described, title
from segshift.report.colors import check_colors
from segshift.report.drawings.lines import draw_lines
from segshift.report.drawings.style import SUFFIXES
from segshift.report.evidence import ReportSettings, chosen_classes
from segshift.report.numbers import by_class
from segshift.report.plots import Line, Lines

_CHART = "class_centers_over_training"


def analyze_over_training(
    runs: Mapping[str, Path],
    source: Split,
    target: Split,
    out: Path,
    settings: ReportSettings,
    progress: NamedDone = lambda what, done, total: None,
) -> dict[str, Any]:
    """Measure every kept network of some runs, and draw the curves.

    Long, since it is the list of what a document holds.

    Args:
        runs: run folders by name.
        source: labelled.
        target: labelled, or not: then the classes of its features are each network's own predictions.
        out: folder of the picture.
        settings: see `ReportSettings`; the curves are the means over `classes`.
        progress: called with what is being done and how much of how much is.

    Returns:
        A document for JSON.

    Raises:
        InputError: a run without the network of step 0, which CLAN divides by, or without a later one.
    """
    if not source.labelled:
        raise InputError(f"{source.title} has no labels; the source of an analysis needs them")
    check_colors(len(runs))
    kept = {name: _steps(folder) for name, folder in runs.items()}
    source, target = spread_evenly(source, settings.images), spread_evenly(target, settings.images)
    found: dict[str, CentersOverTraining] = {}
    means, numbers = {}, {}
    for name, folder in runs.items():
        run = RunFolder.of(folder)
        classes = load(run.network(0)).classes

        def network(step: int, run: RunFolder = run) -> Segmenter:
            return load(run.network(step), settings.device)

        found[name] = one = centers_over_training(
            kept[name],
            network,
            known_items(source, classes)[0],
            known_items(target, classes)[0],
            (stems(source), stems(target)),
            inference=settings.inference,
            progress=lambda done, total, name=name: progress(f"networks of {name}", done, total),  # type: ignore[misc]
        )
        fada, clan = means[name] = one.means(chosen_classes(settings, classes.names))
        numbers[name] = {
            "steps": list(one.steps),
            "fada": {"mean": fada, "classes": by_class(classes.names, one.fada.T)},
            "clan": {"normalized_by": "step 0", "mean": clan, "classes": by_class(classes.names, one.clan.T)},
        }
    whose = "" if target.labelled else "\ntarget classes: each network's own predictions"
    of = "" if settings.classes is None else f"\nmean over {', '.join(settings.classes)}"
    where = f"features of {title(source)} and {title(target)}{of}{whose}"
    draw_lines(out / _CHART, _panels(found, means), "Class center distance", where, marked=True)
    return {
        "models": list(runs),
        "source": described(source),
        "target": {**described(target), "classes_from": "labels" if target.labelled else "predictions"},
        "mean_over": None if settings.classes is None else list(settings.classes),
        "analyses": {"centers_over_training": numbers},
        "pictures": {"centers_over_training": [_CHART + suffix for suffix in SUFFIXES]},
        "skipped": {},
    }


def _panels(
    found: Mapping[str, CentersOverTraining], means: Mapping[str, tuple[list[float], list[float]]]
) -> list[Lines]:
    """A line per run, as in figure 4 of the CLAN paper."""
    titles = {"clan": "between the domains (CLAN), step 0 = 1", "fada": "between the classes (FADA)"}
    return [
        Lines(
            key,
            heading,
            "step",
            "",
            [
                Line(name, place, place, one.steps, means[name][key == "clan"])
                for place, (name, one) in enumerate(found.items())
            ],
        )
        for key, heading in titles.items()
    ]


def _steps(folder: Path) -> list[int]:
    run = RunFolder.of(folder)
    steps = run.network_steps()
    if 0 in steps and len(steps) > 1:
        return steps
    kept = f"those of the steps {', '.join(map(str, steps))}" if steps else "none"
    raise InputError(
        f"{run.path}: --over-training compares the networks of a run with that of step 0, and {kept} are "
        "kept; train with training.keep_checkpoints: all"
    )
