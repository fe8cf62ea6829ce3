"""`segshift export`: a trained network as a file for other programs."""

from typing import Any

from rich.table import Table

from segshift.cli.arguments import parse_size
from segshift.cli.commands.export import Export, chosen
from segshift.cli.output import console, print_json, results, working
from segshift.evaluation import EvaluationResult
from segshift.export import Exported, ExportSettings
from segshift.export import export as export_model
from segshift.models.hub import upload
from segshift.models.inference_config import InputSize
from segshift.terminal import say


def export(options: Export) -> None:
    """What `segshift export` does."""
    model, push = options.model, options.push_to_hub
    formats: Any = chosen("--format", options.formats)
    precisions: Any = chosen("--precision", options.precision)
    if push is not None and "safetensors" not in formats:
        # What `from_pretrained` opens.
        formats = (*formats, "safetensors")
    settings = ExportSettings(
        formats=formats,
        precisions=precisions,
        size=_size(options.size),
        images=options.images,
        data=options.data,
        compared=options.compare,
        calibration=options.calibration,
        scored=options.score,
        least_agreement=options.least_agreement,
    )
    folder = options.folder
    with working(f"exporting {model}") as show:
        done = export_model(model, folder, settings, show)
    if push is not None:
        with working(f"uploading {push}"):
            address = upload(folder, push, message="Upload by segshift export")
        say(console, f"uploaded: {address}")
    if options.as_json:
        print_json(done.to_dict())
    else:
        _print(done)


def _size(text: str | None) -> InputSize:
    if text is None:
        return None
    return "native" if text.strip().lower() == "native" else parse_size(text, "--size", " or native")


def _print(done: Exported) -> None:
    """A row for the network and for every file, what the user has to know, and where all is."""
    table = Table()
    for title in ("file", "MB", "ms", "same class %", "largest logit difference", "mIoU %"):
        table.add_column(title, justify="left" if title == "file" else "right")
    first = done.files[0].agreement
    table.add_row("network (PyTorch)", "", f"{first.network_milliseconds:.0f}", "", "", _miou(done.result))
    for file in done.files:
        found = file.agreement
        table.add_row(
            file.path.name,
            f"{file.megabytes:.1f}",
            f"{found.milliseconds:.0f}",
            f"{100 * found.pixels:.3f}",
            f"{found.difference:.2g} of {found.largest:.3g}",
            _miou(file.result),
        )
    results.print(table)
    seen = "their own size" if done.size is None else f"{done.size[0]}x{done.size[1]} px"
    say(
        results,
        f"compared on {first.images} images of {first.sizes} sizes; the programs see images at {seen}",
    )
    if done.scored_on is None:
        say(results, "mIoU is not known: there are no labelled images; name some with --data")
    else:
        say(results, f"mIoU on {done.scored_on}")
    for note in done.notes:
        say(results, f"note: {note}")
    say(results, f"{done.folder}: {', '.join(file.path.name for file in done.files)}, README.md, export.json")


def _miou(result: EvaluationResult | None) -> str:
    return "n/a" if result is None else f"{100 * result.miou:.2f}"
