"""`segshift evaluate`: score checkpoints, ensembles and folders of predictions on a labelled data set."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import torch

from segshift.cli.commands.evaluate import Evaluate, Format
from segshift.cli.commands.seeing import Seeing, parse_inference
from segshift.cli.evaluation_report import print_report
from segshift.cli.inference import joined_processes
from segshift.cli.output import console, working
from segshift.data.resolve import resolve
from segshift.data.spec import Split
from segshift.engine.processes import PATIENCE_S, Processes, watched
from segshift.engine.target_labels import images_trained_on, saw_target_labels
from segshift.errors import InputError
from segshift.evaluation import (
    BoundaryIou,
    EvaluationResult,
    Inference,
    Iou,
    Measure,
    PairedComparison,
    Predictions,
    labelled_items,
    open_predictions,
    scored_classes,
)
from segshift.evaluation import evaluate as evaluate_networks
from segshift.evaluation.evaluate import check_same_classes
from segshift.evaluation.sidecar import SIDECAR
from segshift.files import write_json
from segshift.folders import captions
from segshift.models import load
from segshift.progress import Done
from segshift.report.content import scored_rows
from segshift.shared_batch import sharing
from segshift.terminal import say


def evaluate(options: Evaluate) -> None:
    """What `segshift evaluate` does; of several processes each sees its share of the images."""
    processes = joined_processes(options.device)
    # One voice is enough for what they all could say.
    console.quiet = console.quiet or not processes.main
    with watched(PATIENCE_S), sharing():
        _evaluate(options, processes)


def _evaluate(options: Evaluate, processes: Processes) -> None:
    models, folders = options.models, options.folders
    split = resolve(options.data, "val")
    if not models:
        _refuse_network_options(options)
    if options.prediction_ids is not None and not folders:
        raise InputError("--prediction-ids says how to read --predictions; give their folder as well")
    inference = parse_inference(options)
    measures: list[Measure] = [Iou(), BoundaryIou()] if options.boundary else [Iou()]
    names = dict(zip([*models, *folders], captions([*models, *folders]), strict=True))
    for model in models:
        if saw_target_labels(model):
            names[model] += " (uses target labels)"
        trained_on = images_trained_on(model, split)
        if trained_on:
            names[model] += f" (trained on {trained_on} of the {len(split.samples)} images with their labels)"
    rows: dict[str, _Row] = {}
    for group in [models] if options.ensemble else [[model] for model in models]:
        rows[" + ".join(names[model] for model in group)] = _Networks(group, inference, processes.device)
    for folder in folders:
        rows[names[folder]] = _Files(open_predictions(folder, split, options.prediction_ids))
    # What cannot stand in one table is said before hours of work, not after them.
    order = _common_order({caption: row.class_names for caption, row in rows.items()}, options.classes)
    found: dict[str, EvaluationResult] = {}
    for caption, row in rows.items():
        scored = None if options.classes is None else scored_classes(options.classes, row.class_names)
        with _progress(caption) as progress:
            result = row.evaluate(_Task(split, scored, measures, progress))
        result = result.reordered(order) if set(result.class_names) == set(order) else result
        found[caption] = (
            result if options.classes is None else result.scored(scored_classes(options.classes, order))
        )
    if not processes.main:
        return
    comparison = scored_rows(found)[1].gain if options.paired else None
    document = _document(models, folders, options.data, split, found, comparison, options.ensemble)
    if options.out is not None:
        write_json(options.out, {**document, **_details(found)})
    shown = Format.json if options.as_json else options.output_format
    print_report(shown, document, found, comparison, f"{split.dataset} {split.name}")
    if options.out is not None:
        say(console, f"written to {options.out}")


def _refuse_network_options(options: Evaluate) -> None:
    for option in fields(Seeing):
        if option.name != "as_json" and getattr(options, option.name) != option.default:
            raise InputError(
                f"--{option.name} is about applying a network; with --predictions alone leave it out"
            )


@dataclass(frozen=True)
class _Task:
    """What every row is judged by: images, classes (None for all), measures."""

    split: Split
    scored: tuple[str, ...] | None
    measures: list[Measure]
    progress: Done


class _Row(Protocol):
    """What one row of the table is about."""

    class_names: tuple[str, ...]

    def evaluate(self, task: _Task) -> EvaluationResult: ...


class _Networks:
    """A network, or several as an ensemble. They are loaded when their turn comes."""

    def __init__(self, models: list[Path], inference: Inference, device: torch.device) -> None:

        self.models, self.inference, self.device = models, inference, device
        networks = [load(model) for model in models]
        check_same_classes(networks)
        self.class_names = networks[0].class_names

    def evaluate(self, task: _Task) -> EvaluationResult:

        networks = [load(model) for model in self.models]
        items = labelled_items(task.split, networks[0].classes, task.scored)
        return evaluate_networks(
            networks, items, self.inference, task.measures, device=self.device, progress=task.progress
        )


class _Files:
    """A folder of prediction files."""

    def __init__(self, predictions: Predictions) -> None:
        self.predictions, self.class_names = predictions, predictions.classes.names

    def evaluate(self, task: _Task) -> EvaluationResult:

        found = self.predictions
        result = found.evaluate(task.measures, scored=task.scored, progress=task.progress)
        told = {
            "values": "found out from the values; --prediction-ids says it",
            "sidecar": f"as {SIDECAR} says",
        }
        if found.known_from in told:
            say(console, f"{found.folder}: read as {found.ids} ({told[found.known_from]})")
        return result


def _common_order(names: dict[str, tuple[str, ...]], classes: str | None) -> tuple[str, ...]:
    """The order of the classes in the table, which is the first row's.

    Raises:
        InputError: rows over different classes.
    """

    (first, order), *others = names.items()
    for caption, own in others:
        if set(own) == set(order):
            continue
        if classes is None or scored_classes(classes, own) != scored_classes(classes, order):
            raise InputError(
                f"evaluate: a table needs results over the same classes; those of {first} are "
                f"{', '.join(order)}, those of {caption} {', '.join(own)}; choose common ones with --classes"
            )
    return order


@contextmanager
def _progress(caption: str) -> Iterator[Done]:
    """A line on stderr that counts images."""
    with working(f"evaluating {caption}") as show:
        yield lambda done, total: show(f"evaluating {caption}: {done} of {total} images")


def _document(
    models: list[Path],
    folders: list[Path],
    data: str,
    split: Split,
    found: dict[str, EvaluationResult],
    comparison: PairedComparison | None,
    ensemble: bool,
) -> dict[str, Any]:
    """The JSON document: flat for one result, a list under `results` for several."""
    described = {"data": data, "images": len(split.samples)}
    sources: list[dict[str, Any]] = [{"predictions": str(folder)} for folder in folders]
    if ensemble:
        used = any(saw_target_labels(model) for model in models)
        sources.insert(0, {"ensemble": [str(model) for model in models], "uses_target_labels": used})
    else:
        # null: no results.json lies beside the model, so that nobody knows.
        sources = [
            *({"checkpoint": str(one), "uses_target_labels": saw_target_labels(one)} for one in models),
            *sources,
        ]
    entries = [{**source, **result.to_dict()} for source, result in zip(sources, found.values(), strict=True)]
    document = {**described, **entries[0]} if len(entries) == 1 else {**described, "results": entries}
    return document if comparison is None else {**document, "paired": comparison.to_dict()}


def _details(found: dict[str, EvaluationResult]) -> dict[str, Any]:
    """What only the file holds: confusion matrices, and the mIoU of every image."""
    return {
        "details": {
            caption: {"confusion": result.confusion.tolist(), "image_mious": result.image_mious()}
            for caption, result in found.items()
        }
    }
