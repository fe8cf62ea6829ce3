"""`segshift analyze`: the papers' analyses of trained models, as pictures and one JSON file."""

from pathlib import Path
from typing import Any

from rich.table import Table

from segshift.cli.arguments import analysis_names, parse_size, split_names
from segshift.cli.commands.analyze import Analyze
from segshift.cli.inference import usable_device
from segshift.cli.output import counting, print_json, results, say_left_out, say_written, working
from segshift.data.resolve import resolve
from segshift.engine.target_labels import saw_target_labels
from segshift.errors import InputError
from segshift.evaluation import percent
from segshift.files import write_json
from segshift.folders import captions
from segshift.models import load
from segshift.report.analyze import ANALYSES
from segshift.report.analyze import analyze as analyze_models
from segshift.report.evidence import ReportSettings
from segshift.report.over_training import analyze_over_training


def analyze(options: Analyze) -> None:
    """What `segshift analyze` does."""
    chosen, checkpoints = _named_analysis(options.checkpoints, analysis_names(options.only))
    if options.over_training and (set(chosen or ["centres"]) != {"centres"} or options.unseen is not None):
        raise InputError("--over-training: makes center distances alone; leave out other analyses")
    if len({str(path) for path in checkpoints}) < len(checkpoints):
        raise InputError("analyze: a checkpoint stands twice; name every model once")
    settings = ReportSettings(
        images=options.images,
        pictures=options.pictures,
        points=options.points,
        perplexity=options.perplexity,
        classes=split_names(options.classes),
        input_size=None if options.size is None else parse_size(options.size, "--size"),
        seed=options.seed,
        device=usable_device(options.device),
    )
    splits = (resolve(options.source, "train"), resolve(options.target, "val", labels="optional"))
    third = None if options.unseen is None else resolve(options.unseen, "val")
    seen = [saw_target_labels(path) for path in checkpoints]
    # In the name, so that every table, chart and strip says it.
    names = [
        f"{name} (uses target labels)" if used else name
        for name, used in zip(captions(checkpoints), seen, strict=True)
    ]
    paths = dict(zip(names, checkpoints, strict=True))
    with working("analyzing") as show:
        if options.over_training:
            document = analyze_over_training(paths, *splits, options.out, settings, counting(show))
        else:
            models = {name: load(path) for name, path in paths.items()}
            document = analyze_models(
                models, *splits, options.out, settings, only=chosen, unseen=third, progress=counting(show)
            )
    document = {
        "checkpoints": {name: str(path) for name, path in paths.items()},
        "uses_target_labels": dict(zip(paths, seen, strict=True)),
        **document,
    }
    write_json(options.out / "analysis.json", document)
    if options.as_json:
        print_json({**document, "folder": str(options.out)})
        return
    _print(document, options.out)


def _named_analysis(
    arguments: list[Path], only: tuple[str, ...] | None
) -> tuple[tuple[str, ...] | None, list[Path]]:
    """The analyses that are asked for, also by a first argument that is the name of one, and the models."""
    # American spelling in words, as everywhere; the key is older.
    known = {**{name: name for name in ANALYSES}, "centers": "centres"}
    first, *others = arguments
    if others and str(first) in known and not first.exists():
        only, arguments = (*(only or ()), str(first)), others
    return only and tuple(known.get(name, name) for name in only), arguments


def _print(document: dict[str, Any], out: Path) -> None:
    if "unseen" in document["analyses"]:
        results.print(_unseen_table(document))
    summary = _summary_table(document)
    if len(summary.columns) > 1:
        results.print(summary)
    say_left_out(document["skipped"])
    say_written(out / "analysis.json", document["pictures"])


def _summary_table(document: dict[str, Any]) -> Table:
    """One row per model with the one number of each analysis."""
    found = document["analyses"]
    table = Table(
        title="mIoU and mAP in %",
        caption="CCD: center distance of classes, lower is better; S source, T target; entropy / log C",
    )
    table.add_column("model", overflow="fold")
    columns: dict[str, Any] = {}
    if "gains" in found:
        columns["mIoU"] = lambda name: percent(found["gains"]["iou"][name]["miou"])
    if "centres" in found:
        columns["CCD,\nFADA"] = lambda name: _number(found["centres"][name]["fada"]["mean"])
        columns["CCD,\nCLAN"] = lambda name: _number(found["centres"][name]["clan"]["normalized_mean"])
    if "retrieval" in found:
        columns["mAP\nS→T"] = lambda name: percent(found["retrieval"][name]["source_map"])
        columns["mAP\nT→S"] = lambda name: percent(found["retrieval"][name]["target_map"])
    if "entropy" in found:
        columns["entropy,\nsource"] = lambda name: _number(found["entropy"][name]["source"])
        columns["entropy,\ntarget"] = lambda name: _number(found["entropy"][name]["target"])
    for heading in columns:
        table.add_column(heading, justify="right")
    for name in document["models"]:
        table.add_row(name, *(cell(name) for cell in columns.values()))
    return table


def _unseen_table(document: dict[str, Any]) -> Table:
    """IoU on the third domain: a row per class, a column per model."""
    unseen = document["analyses"]["unseen"]
    table = Table(title=f"unseen domain: {unseen['data']}, IoU in %")
    table.add_column("class")
    for name in unseen["iou"]:
        table.add_column(name, justify="right")
    for class_name in unseen["scored_classes"]:
        table.add_row(class_name, *(percent(one["classes"][class_name]) for one in unseen["iou"].values()))
    table.add_row("mIoU", *(percent(one["miou"]) for one in unseen["iou"].values()), style="bold")
    return table


def _number(value: float) -> str:
    return "n/a" if value != value else f"{value:.3f}"
