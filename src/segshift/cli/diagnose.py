"""`segshift diagnose`: how far apart two domains are, and which method fits, before any training."""

import shlex
from math import ceil
from pathlib import Path
from typing import Any

from rich.table import Table

from segshift.analysis.diagnosis import DiagnosisSettings, SeparabilitySettings
from segshift.analysis.diagnosis import diagnose as diagnose_domains
from segshift.analysis.diagnosis.recommendation import LEAST_PATCH_PX
from segshift.cli.arguments import analysis_names, parse_seeds, parse_size, whole_numbers
from segshift.cli.commands.diagnose import Diagnose
from segshift.cli.inference import usable_device
from segshift.cli.output import counting, print_json, results, say_left_out, say_written, working
from segshift.config import did_you_mean
from segshift.data.labels import class_set, class_set_names
from segshift.data.resolve import agree, resolve
from segshift.data.spec import Split
from segshift.documents import dump_yaml
from segshift.engine.presets import load_recipe
from segshift.errors import InputError
from segshift.files import write_json
from segshift.models import load
from segshift.report.diagnosis_page import PAGE, diagnosis_rows, write_diagnosis_page
from segshift.report.drawings.diagnosis import draw_diagnosis
from segshift.sizes import WidthHeight
from segshift.terminal import say


def diagnose(options: Diagnose) -> None:
    """What `segshift diagnose` does."""
    preset_size, _ = _preset_sizes()
    settings = DiagnosisSettings(
        only=analysis_names(options.only),
        images=options.images,
        size=preset_size if options.size is None else parse_size(options.size, "--size"),
        canvas=None if options.canvas is None else parse_size(options.canvas, "--canvas"),
        patches=None
        if options.patches is None
        else tuple(whole_numbers(options.patches, "--patches", "64,128,256")),
        keep_ignored=options.keep_ignored,
        experiment=_experiment(options),
    )
    splits = (
        resolve(options.source, "train", labels="optional"),
        resolve(options.target, "train", labels="optional"),
    )
    with working("diagnosing") as show:
        found = diagnose_domains(
            *splits,
            settings,
            classes=_classes(options.classes),
            model=None if options.model is None else load(options.model),
            progress=counting(show),
        )
        show("drawing")
        pictures = draw_diagnosis(found, options.out)
    named = {
        "data": [options.source, options.target],
        "model": None if options.model is None else str(options.model),
    }
    document = {**named, **found.document, "pictures": pictures, "page": PAGE}
    advice = document["recommendation"]
    advice["set"], advice["command"] = _ready(document, options.source, options.target, splits)
    write_json(options.out / "diagnosis.json", document)
    write_diagnosis_page(options.out, document, options.again("diagnose"))
    if options.as_json:
        print_json({**document, "folder": str(options.out)})
        return
    _print(document, options.out)
    say(results, f"page: {options.out / PAGE}")


def _experiment(options: Diagnose) -> SeparabilitySettings:
    network, most = options.network, options.iterations
    if network not in ("small", "resnet18"):
        raise InputError(
            f"--network {network}: no such classifier{did_you_mean(network, ('small', 'resnet18'))}; "
            "use small or resnet18"
        )
    if not options.lr > 0:
        raise InputError(f"--lr {options.lr}: must be positive; the paper's is 0.001")
    if options.validate_every > most:
        raise InputError(
            f"--validate-every {options.validate_every}: more than the {most} iterations; make it smaller or "
            "--iterations larger"
        )
    return SeparabilitySettings(
        network="small" if network == "small" else "resnet18",
        iterations=most,
        validate_every=options.validate_every,
        batch_size=options.batch_size,
        learning_rate=options.lr,
        held_out=options.held_out,
        seeds=tuple(parse_seeds(options.seeds)),
        device=usable_device(options.device),
    )


def _classes(text: str | None) -> str | list[str] | None:
    if text is None or "," not in text:
        return text
    return [part.strip() for part in text.split(",") if part.strip()]


def _preset_sizes() -> tuple[WidthHeight, WidthHeight]:
    """(width, height) to which the preset resizes images, and of its crops."""
    augmentation = load_recipe("local_alignment").source.augmentation
    assert augmentation.resize is not None and augmentation.crop is not None
    return augmentation.resize, augmentation.crop


def _ready(
    document: dict[str, Any], source: str, target: str, splits: tuple[Split, Split]
) -> tuple[list[str], str | None]:
    """The assignments of the recommended preset for these domains, and the whole command.

    Nothing where nothing is recommended, or where the two could not be trained on: a source without labels,
    or classes of a network that the data sets cannot supply.
    """

    advice, agreed = document["recommendation"], document["classes"]
    if not advice["presets"] or not splits[0].labelled:
        return [], None
    resize, crop = _preset_sizes()
    width, height = document["settings"]["size"]
    assignments = []
    # Patches are a setting of local alignment's alone.
    patch = (advice["patch_px"] or 0) if advice["presets"][0] == "local_alignment" else 0
    if patch:
        if patch < LEAST_PATCH_PX:
            # The same share of larger images.
            width, height = (ceil(side * LEAST_PATCH_PX / patch) for side in (width, height))
            patch = LEAST_PATCH_PX
        assignments.append(f"method.terms.0.patch_px={patch}")
    # Crops are the same share of the resized image as the preset's; patches, in px of it, must fit into them.
    share = (
        max(patch, LEAST_PATCH_PX, round(width * crop[0] / resize[0])),
        max(patch, LEAST_PATCH_PX, round(height * crop[1] / resize[1])),
    )
    for domain in ("source", "target"):
        if (width, height) != resize:
            assignments.append(f"{domain}.augmentation.resize=[{width},{height}]")
        if share != crop:
            assignments.append(f"{domain}.augmentation.crop=[{share[0]},{share[1]}]")
    if agreed is not None and any(set(split.classes.names) != set(agreed["names"]) for split in splits):
        common = agreed["set"] if _built_in(agreed) else agreed["names"]
        try:
            agree(*splits, common)
        except InputError:
            return [], None
        # Quoted where YAML needs it: a class may be called `on`.
        listed = dump_yaml(common, flow=True, width=10**6).splitlines()[0]
        assignments.append(f"classes={listed}")
    words = ["segshift", "train", advice["presets"][0], "--source", source, "--target", target]
    for assignment in assignments:
        words += ["--set", assignment]
    return assignments, shlex.join(words)


def _built_in(agreed: dict[str, Any]) -> bool:
    return agreed["set"] in class_set_names() and list(class_set(agreed["set"]).names) == agreed["names"]


def _print(document: dict[str, Any], out: Path) -> None:
    results.print(_summary(document))
    say_left_out(document["skipped"])
    if document["label_maps_from"] == "predictions":
        say(results, f"label maps of both domains are predictions of {document['model']}")
    for sentence in document["recommendation"]["sentences"]:
        say(results, sentence)
    if document["recommendation"]["command"]:
        say(results, f"try: {document['recommendation']['command']}")
    say_written(out / "diagnosis.json", document["pictures"])


def _summary(document: dict[str, Any]) -> Table:
    """One row per number of a part."""
    table = Table(
        title="error in %: 50 = cannot be told apart, 0 = always",
        caption="in parentheses: 95 % interval, or the same between two halves of source / target",
    )
    table.add_column("what")
    table.add_column("distance", justify="right")
    for row in diagnosis_rows(document):
        table.add_row(row.what, f"{row.value} ({row.beside})" if row.beside else row.value)
    return table
