"""`segshift diagnose`: how far apart two domains are, and which method fits, before any training."""

import shlex
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segshift.cli.arguments import analysis_names, parse_seeds, parse_size, whole_numbers
from segshift.cli.inference import usable_device
from segshift.cli.options import Device, Json
from segshift.cli.output import counting, print_json, results, say_left_out, say_written, working
from segshift.cli.outputs import folder_option
from segshift.config import did_you_mean
from segshift.documents import dump_yaml
from segshift.errors import InputError
from segshift.files import write_json
from segshift.plain import say
from segshift.sizes import WidthHeight

if TYPE_CHECKING:
    from rich.table import Table

    from segshift.data.spec import Split


def diagnose(
    source: Annotated[str, typer.Argument(help="Domain to adapt from: city:game, camvid:ROOT; or :SPLIT.")],
    target: Annotated[str, typer.Argument(help="Domain to adapt to, with or without labels.")],
    out: Annotated[Path, folder_option("--out", "Folder for the pictures and diagnosis.json.")] = Path(
        "diagnosis"
    ),
    only: Annotated[
        str | None,
        typer.Option(help="With commas: frequencies,spatial,colors,labels,images,features."),
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Of each domain, spread evenly.")] = 300,
    classes: Annotated[
        str | None, typer.Option(help="Of both: camvid11, or names with commas; default: those in common.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="Run folder or model file: features, and predictions for labels."),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="WxH in px at which networks will see images; default: the presets'.")
    ] = None,
    patches: Annotated[
        str | None, typer.Option(help="Sides in px of --size: 64,128; default 1/8, 1/4, 1/2 of the shorter.")
    ] = None,
    canvas: Annotated[
        str | None, typer.Option(help="WxH the classifier sees; default --size down to 128 cells.")
    ] = None,
    keep_ignored: Annotated[
        bool, typer.Option("--keep-ignored", help="Ignored pixels are a class; default: filled.")
    ] = False,
    network: Annotated[str, typer.Option(help="The classifier: small or resnet18.")] = "small",
    iterations: Annotated[int, typer.Option(min=1, help="Of every classifier.")] = 250,
    validate_every: Annotated[int, typer.Option(min=1, help="Iterations between points of a curve.")] = 25,
    lr: Annotated[float, typer.Option(help="Learning rate, constant.")] = 0.02,
    batch_size: Annotated[int, typer.Option(min=2, help="Half from each domain.")] = 16,
    held_out: Annotated[
        int | None, typer.Option(min=1, help="Images of each domain to test on; default a quarter.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="A run each, with other images held out.")] = "0,1,2",
    device: Device = None,
    as_json: Json = False,
) -> None:
    """How far apart are two domains, and which method fits? Before any training.

    Example: segshift diagnose city:game camvid:CamVid:train --out diagnosis

    \f
    Long, since every option is an argument and a line of its own.
    """
    from segshift.analysis.diagnosis import DiagnosisSettings
    from segshift.analysis.diagnosis import diagnose as diagnose_domains
    from segshift.data.resolve import resolve
    from segshift.models import load
    from segshift.report.drawings.diagnosis import draw_diagnosis

    preset_size, _ = _preset_sizes()
    settings = DiagnosisSettings(
        only=analysis_names(only),
        images=images,
        size=preset_size if size is None else parse_size(size, "--size"),
        canvas=None if canvas is None else parse_size(canvas, "--canvas"),
        patches=None if patches is None else tuple(whole_numbers(patches, "--patches", "64,128,256")),
        keep_ignored=keep_ignored,
        experiment=_experiment(
            network, iterations, validate_every, lr, batch_size, held_out, seeds, usable_device(device)
        ),
    )
    splits = (resolve(source, "train", labels="optional"), resolve(target, "train", labels="optional"))
    with working("diagnosing") as show:
        found = diagnose_domains(
            *splits,
            settings,
            classes=_classes(classes),
            model=None if model is None else load(model),
            progress=counting(show),
        )
        show("drawing")
        pictures = draw_diagnosis(found, out)
    named = {"data": [source, target], "model": None if model is None else str(model)}
    document = {**named, **found.document, "pictures": pictures}
    advice = document["recommendation"]
    advice["set"], advice["command"] = _ready(document, source, target, splits)
    write_json(out / "diagnosis.json", document)
    if as_json:
        print_json({**document, "folder": str(out)})
        return
    _print(document, out)


def _experiment(
    network: str,
    iterations: int,
    validate_every: int,
    lr: float,
    batch_size: int,
    held_out: int | None,
    seeds: str,
    device: str,
) -> Any:
    from segshift.analysis.diagnosis import SeparabilitySettings

    if network not in ("small", "resnet18"):
        raise InputError(
            f"--network {network}: no such classifier{did_you_mean(network, ('small', 'resnet18'))}; "
            "use small or resnet18"
        )
    if not lr > 0:
        raise InputError(f"--lr {lr}: must be positive; the paper's is 0.001")
    if validate_every > iterations:
        raise InputError(
            f"--validate-every {validate_every}: more than the {iterations} iterations; make it smaller or "
            "--iterations larger"
        )
    return SeparabilitySettings(
        network="small" if network == "small" else "resnet18",
        iterations=iterations,
        validate_every=validate_every,
        batch_size=batch_size,
        learning_rate=lr,
        held_out=held_out,
        seeds=tuple(parse_seeds(seeds)),
        device=device,
    )


def _classes(text: str | None) -> str | list[str] | None:
    if text is None or "," not in text:
        return text
    return [part.strip() for part in text.split(",") if part.strip()]


def _preset_sizes() -> tuple[WidthHeight, WidthHeight]:
    """(width, height) to which the preset resizes images, and of its crops."""
    from segshift.engine.presets import load_recipe

    augmentation = load_recipe("local_alignment").source.augmentation
    assert augmentation.resize is not None and augmentation.crop is not None
    return augmentation.resize, augmentation.crop


def _ready(
    document: dict[str, Any], source: str, target: str, splits: "tuple[Split, Split]"
) -> tuple[list[str], str | None]:
    """The assignments of the recommended preset for these domains, and the whole command.

    Nothing where nothing is recommended, or where the two could not be trained on: a source without labels,
    or classes of a network that the data sets cannot supply.
    """

    from segshift.analysis.diagnosis.recommendation import LEAST_PATCH_PX
    from segshift.data.resolve import agree

    advice, agreed = document["recommendation"], document["classes"]
    if not advice["presets"] or not splits[0].labelled:
        return [], None
    resize, crop = _preset_sizes()
    width, height = document["settings"]["size"]
    assignments = []
    patch = advice["patch_px"] or 0
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
    from segshift.data.labels import class_set, class_set_names

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


def _summary(document: dict[str, Any]) -> "Table":
    """One row per number of a part."""
    from rich.table import Table

    found = document["analyses"]
    table = Table(
        title="error in %: 50 = cannot be told apart, 0 = always",
        caption="in parentheses: 95 % interval, or the same between two halves of source / target",
    )
    table.add_column("what")
    table.add_column("distance", justify="right")
    if "frequencies" in found or "spatial" in found:
        for name, title in (("frequencies", "class shares"), ("spatial", "class maps")):
            if name in found:
                one = found[name]
                within = " / ".join(f"{value:.3f}" for value in one["within_domain_bits"].values())
                table.add_row(f"{title}, bits", f"{one['jensen_shannon_bits']:.3f} ({within})")
    if "colours" in found:
        shifts = found["colours"]["wasserstein"]
        table.add_row(
            "colors R, G, B, 0..255", ", ".join(f"{shifts[name]:.0f}" for name in ("red", "green", "blue"))
        )
        table.add_row("colors L, a, b", ", ".join(f"{shifts[name]:.1f}" for name in ("L", "a", "b")))
    for part in ("labels", "images"):
        for size, one in found.get(part, {}).items():
            table.add_row(f"{part}, {size if size == 'whole' else size + ' px'}: error", _percent(one))
    if "features" in found:
        one = found["features"]
        table.add_row("features, linear: error", _percent(one))
        table.add_row("features: proxy A-distance", f"{one['proxy_a_distance']:.2f}")
    return table


def _percent(one: dict[str, Any]) -> str:
    low, high = one["error_interval_95"]
    return f"{100 * one['error']:.1f} ({100 * low:.0f} to {100 * high:.0f})"
