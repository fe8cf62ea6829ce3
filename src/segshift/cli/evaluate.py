"""`segshift evaluate`: score checkpoints, ensembles and folders of predictions on a labelled data set."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from segshift.cli.early import check_models
from segshift.cli.evaluation_report import Format, print_report
from segshift.cli.inference import parse_inference, usable_device
from segshift.cli.options import Device, Fit, Flip, Json, Scales, Size, Stride, Window
from segshift.cli.output import console, working
from segshift.cli.outputs import file_option
from segshift.errors import InputError
from segshift.files import write_json
from segshift.plain import captions, say

if TYPE_CHECKING:
    from segshift.data.spec import Split
    from segshift.evaluation import EvaluationResult, Inference, Measure, PairedComparison, Predictions
    from segshift.evaluation.evaluate import Progress


def evaluate(
    data: Annotated[str, typer.Option("--data", help="Labelled dataset: camvid:ROOT:test, FILE.yaml:val.")],
    checkpoints: Annotated[
        list[Path] | None, typer.Argument(help="Run folders or model.safetensors files; a row each.")
    ] = None,
    predictions: Annotated[
        list[Path] | None,
        typer.Option("--predictions", help="Folder of prediction PNGs, named after the images; a row each."),
    ] = None,
    prediction_ids: Annotated[
        str | None,
        typer.Option(
            help="label_ids, train_ids, or whose train ids: a class set, or classes with commas; default: "
            "what predictions.json says, else the values, if they leave no doubt."
        ),
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Means over these only: cityscapes16, or names with commas.")
    ] = None,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="One row: the mean of the checkpoints' probabilities.")
    ] = False,
    paired: Annotated[
        bool, typer.Option("--paired", help="Two rows: confidence interval of their difference.")
    ] = False,
    scales: Scales = "1",
    flip: Flip = False,
    window: Window = None,
    stride: Stride = None,
    size: Size = None,
    fit: Fit = None,
    boundary: Annotated[bool, typer.Option("--boundary", help="Also boundary IoU (takes time).")] = False,
    device: Device = None,
    out: Annotated[Path | None, file_option("--out", "Also write everything to this JSON file.")] = None,
    output_format: Annotated[Format, typer.Option("--format", help="What is printed.")] = Format.table,
    as_json: Json = False,
) -> None:
    """IoU per class and means, from one confusion matrix over all images of a labelled dataset.

    Example: segshift evaluate runs/advent --data camvid:CamVid:test

    Example: segshift evaluate runs/source_only runs/advent --data camvid:CamVid:test --paired

    \f
    Long, since every option is an argument and a line of its own.
    """
    models, folders = checkpoints or [], predictions or []
    shown = Format.json if as_json else output_format
    _check_request(models, folders, ensemble, paired, out)
    check_models(models)

    from segshift.data.resolve import resolve

    split = resolve(data, "val")

    from segshift.engine.target_labels import images_trained_on, saw_target_labels
    from segshift.evaluation import BoundaryIou, Iou, open_predictions, scored_classes

    if not models:
        _refuse_network_options(scales=scales, flip=flip, window=window, stride=stride, size=size, fit=fit)
    if prediction_ids is not None and not folders:
        raise InputError("--prediction-ids says how to read --predictions; give their folder as well")
    inference = parse_inference(size, window, stride, scales, flip, fit)
    measures: list[Measure] = [Iou(), BoundaryIou()] if boundary else [Iou()]
    names = dict(zip([*models, *folders], captions([*models, *folders]), strict=True))
    for model in models:
        if saw_target_labels(model):
            names[model] += " (uses target labels)"
        trained_on = images_trained_on(model, split)
        if trained_on:
            names[model] += f" (trained on {trained_on} of the {len(split.samples)} images with their labels)"
    rows: dict[str, _Row] = {}
    for group in [models] if ensemble else [[model] for model in models]:
        rows[" + ".join(names[model] for model in group)] = _Networks(group, inference, usable_device(device))
    for folder in folders:
        rows[names[folder]] = _Files(open_predictions(folder, split, prediction_ids))
    # What cannot stand in one table is said before hours of work, not after them.
    order = _common_order({caption: row.class_names for caption, row in rows.items()}, classes)
    found: dict[str, EvaluationResult] = {}
    for caption, row in rows.items():
        scored = None if classes is None else scored_classes(classes, row.class_names)
        with _progress(caption) as progress:
            result = row.evaluate(_Task(split, scored, measures, progress))
        result = result.reordered(order) if set(result.class_names) == set(order) else result
        found[caption] = result if classes is None else result.scored(scored_classes(classes, order))
    comparison = _compare(found) if paired else None
    document = _document(models, folders, data, split, found, comparison, ensemble)
    if out is not None:
        write_json(out, {**document, **_details(found)})
    print_report(shown, document, found, comparison, f"{split.dataset} {split.name}")
    if out is not None:
        say(console, f"written to {out}")


def _check_request(
    models: list[Path], folders: list[Path], ensemble: bool, paired: bool, out: Path | None
) -> None:
    if not models and not folders:
        raise InputError("evaluate: nothing to evaluate; give a run folder, or --predictions FOLDER")
    twice = sorted({str(path) for path in [*models, *folders] if [*models, *folders].count(path) > 1})
    if twice:
        raise InputError(f"evaluate: {twice[0]} stands twice; name every model once")
    if ensemble and len(models) < 2:
        raise InputError("--ensemble averages two or more checkpoints; give their run folders")
    rows = (1 if ensemble else len(models)) + len(folders)
    if paired and rows != 2:
        raise InputError(f"--paired compares two results, here are {rows}; give two checkpoints or folders")
    if out is not None and out.suffix != ".json":
        raise InputError(f"--out {out}: the results are JSON; name the file something.json")


def _refuse_network_options(**options: object) -> None:
    for name, value in options.items():
        if value not in (None, False, "1"):
            raise InputError(f"--{name} is about applying a network; with --predictions alone leave it out")


@dataclass(frozen=True)
class _Task:
    """What every row is judged by: images, classes (None for all), measures."""

    split: "Split"
    scored: tuple[str, ...] | None
    measures: "list[Measure]"
    progress: "Progress"


class _Row(Protocol):
    """What one row of the table is about."""

    class_names: tuple[str, ...]

    def evaluate(self, task: "_Task") -> "EvaluationResult": ...


class _Networks:
    """A network, or several as an ensemble. They are loaded when their turn comes."""

    def __init__(self, models: list[Path], inference: "Inference", device: str) -> None:
        from segshift.evaluation.evaluate import check_same_classes
        from segshift.models import load

        self.models, self.inference, self.device = models, inference, device
        networks = [load(model) for model in models]
        check_same_classes(networks)
        self.class_names = networks[0].class_names

    def evaluate(self, task: "_Task") -> "EvaluationResult":
        from segshift.evaluation import evaluate, labelled_items
        from segshift.models import load

        networks = [load(model) for model in self.models]
        items = labelled_items(task.split, networks[0].classes, task.scored)
        return evaluate(
            networks, items, self.inference, task.measures, device=self.device, progress=task.progress
        )


class _Files:
    """A folder of prediction files."""

    def __init__(self, predictions: "Predictions") -> None:
        self.predictions, self.class_names = predictions, predictions.classes.names

    def evaluate(self, task: "_Task") -> "EvaluationResult":
        from segshift.evaluation.sidecar import SIDECAR

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
    from segshift.evaluation import scored_classes

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
def _progress(caption: str) -> Iterator[Callable[[int, int], None]]:
    """A line on stderr that counts images."""
    with working(f"evaluating {caption}") as show:
        yield lambda done, total: show(f"evaluating {caption}: {done} of {total} images")


def _compare(found: "dict[str, EvaluationResult]") -> "PairedComparison":
    from segshift.evaluation import compare_paired

    a, b = found.values()
    return compare_paired(a, b)


def _document(
    models: list[Path],
    folders: list[Path],
    data: str,
    split: "Split",
    found: "dict[str, EvaluationResult]",
    comparison: "PairedComparison | None",
    ensemble: bool,
) -> dict[str, Any]:
    """The JSON document: flat for one result, a list under `results` for several."""
    from segshift.engine.target_labels import saw_target_labels

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


def _details(found: "dict[str, EvaluationResult]") -> dict[str, Any]:
    """What only the file holds: confusion matrices, and the mIoU of every image."""
    return {
        "details": {
            caption: {"confusion": result.confusion.tolist(), "image_mious": result.image_mious()}
            for caption, result in found.items()
        }
    }
