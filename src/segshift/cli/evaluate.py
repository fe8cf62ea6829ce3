"""`segshift evaluate`: score checkpoints, ensembles and folders of predictions on a labelled data set."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segshift.cli.evaluation_report import Format, print_report
from segshift.cli.output import console, working
from segshift.cli.outputs import file_option
from segshift.cli.use import parse_size
from segshift.errors import InputError
from segshift.files import write_json
from segshift.plain import say

if TYPE_CHECKING:
    from segshift.data.spec import Split
    from segshift.evaluation import EvaluationResult, PairedComparison


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
        typer.Option(help="label_ids, train_ids, or the class set of the train ids; default: found out."),
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
    scales: Annotated[str, typer.Option(help="Multi-scale testing, e.g. 0.7,1,1.3.")] = "1",
    flip: Annotated[bool, typer.Option("--flip", help="Average with the mirrored image.")] = False,
    window: Annotated[str | None, typer.Option(help="Sliding window WxH in px; default whole image.")] = None,
    stride: Annotated[str | None, typer.Option(help="Of the window, XxY in px; default 2/3 of it.")] = None,
    size: Annotated[str | None, typer.Option(help="WxH at which the network sees images.")] = None,
    boundary: Annotated[bool, typer.Option("--boundary", help="Also boundary IoU (takes time).")] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1; default: a GPU if any.")] = None,
    out: Annotated[Path | None, file_option("--out", "Also write everything to this JSON file.")] = None,
    output_format: Annotated[Format, typer.Option("--format", help="What is printed.")] = Format.table,
    as_json: Annotated[bool, typer.Option("--json", help="Same as --format json.")] = False,
) -> None:
    """IoU per class and means, from one confusion matrix over all images of a labelled dataset.

    Example: segshift evaluate runs/advent --data camvid:CamVid:test

    Example: segshift evaluate runs/source_only runs/advent --data camvid:CamVid:test --paired
    """
    from segshift.data.resolve import resolve
    from segshift.engine.target_labels import saw_target_labels

    models, folders = checkpoints or [], predictions or []
    shown = Format.json if as_json else output_format
    _check_request(models, folders, ensemble, paired, out)
    if not models:
        _refuse_network_options(scales=scales, flip=flip, window=window, stride=stride, size=size)
    if prediction_ids is not None and not folders:
        raise InputError("--prediction-ids says how to read --predictions; give their folder as well")
    settings: dict[str, Any] = {
        "mode": "whole" if window is None else "sliding",
        "window": None if window is None else parse_size(window, "--window"),
        "stride": None if stride is None else parse_size(stride, "--stride"),
        "input_size": None if size is None else parse_size(size, "--size"),
        "scales": parse_scales(scales),
        "flip": flip,
        "boundary": boundary,
    }
    if stride is not None and window is None:
        raise InputError("--stride is the step of a sliding window; give --window as well")
    split = resolve(data, "val")
    found: dict[str, EvaluationResult] = {}
    names = dict(zip([*models, *folders], captions([*models, *folders]), strict=True))
    for model in models:
        if saw_target_labels(model):
            names[model] += " (uses target labels)"
    for group in [models] if ensemble else [[model] for model in models]:
        caption = " + ".join(names[model] for model in group)
        found[caption] = _of_networks(group, split, classes, caption, device, settings)
    for folder in folders:
        found[names[folder]] = _of_predictions(folder, split, classes, prediction_ids, boundary)
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


def _of_networks(
    checkpoints: list[Path],
    split: "Split",
    classes: str | None,
    caption: str,
    device: str | None,
    settings: dict[str, Any],
) -> "EvaluationResult":
    from segshift import load
    from segshift.evaluation import evaluate as evaluate_on
    from segshift.evaluation import labelled_items, scored_classes

    networks = [load(checkpoint) for checkpoint in checkpoints]
    scored = None if classes is None else scored_classes(classes, networks[0].class_names)
    items = labelled_items(split, networks[0].classes, scored)
    place = usable_device(device)
    with _progress(caption) as progress:
        result = evaluate_on(networks, items, device=place, progress=progress, **settings)
    return result if scored is None else result.scored(scored)


def _of_predictions(
    folder: Path, split: "Split", classes: str | None, ids: str | None, boundary: bool
) -> "EvaluationResult":
    from segshift.evaluation import evaluate_predictions, scored_classes

    with _progress(str(folder)) as progress:
        result = evaluate_predictions(folder, split, ids=ids, boundary=boundary, progress=progress)
    if ids is None and result.protocol is not None:
        read_as = result.protocol["prediction_ids"]
        say(console, f"{folder}: read as {read_as} (found out from the values; --prediction-ids says it)")
    return result if classes is None else result.scored(scored_classes(classes, result.class_names))


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


def captions(paths: list[Path]) -> list[str]:
    """Short different names: the last folder, or as many folders as it takes to tell them apart."""
    bare = [path.parent if path.name == "model.safetensors" and path.parent.name else path for path in paths]
    parts = [path.parts for path in bare]
    length = 1
    while length < max(map(len, parts)) and len({part[-length:] for part in parts}) < len(parts):
        length += 1
    short = [str(Path(*part[-length:])) if part else "." for part in parts]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]


def usable_device(device: str | None) -> str:
    """The device that was asked for, or a GPU if there is one. Raises InputError for one that is missing."""
    import torch

    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"--device {place}: {str(error).splitlines()[0]}; use cpu or a GPU you have"
        ) from None
    return place


def parse_scales(text: str) -> tuple[float, ...]:
    """Positive numbers from "0.7,1,1.3". Raises InputError."""
    try:
        scales = tuple(float(part) for part in text.split(","))
    except ValueError:
        scales = ()
    if not scales or min(scales) <= 0:
        raise InputError(f"--scales {text}: write positive numbers with commas, for example 0.7,1,1.3")
    return scales
