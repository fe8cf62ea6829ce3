"""`segshift data pseudo-label`: a trained network labels images, for self-training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from segshift.cli.inference import parse_inference, usable_device
from segshift.cli.options import Device, Fit, Flip, Json, Scales, Size, Stride, Window
from segshift.cli.output import console, print_json, results
from segshift.cli.outputs import folder_option
from segshift.config import did_you_mean, parse
from segshift.errors import InputError
from segshift.folders import SPEC
from segshift.plain import counted, say

if TYPE_CHECKING:
    from segshift.data.dataset import SegmentationDataset
    from segshift.models import Segmenter

_RULES = ("class_balanced", "class_threshold", "confidence", "none")


def pseudo_label(
    checkpoint: Annotated[Path, typer.Argument(help="A run folder or its model.safetensors.")],
    data: Annotated[
        str, typer.Option("--data", help="Images: FILE.yaml, camvid:ROOT; split train or :SPLIT.")
    ],
    out: Annotated[Path, folder_option("--out", "Folder for labels and dataset.yaml.")],
    rule: Annotated[
        str, typer.Option(help="Which pixels are kept: class_balanced, class_threshold, confidence or none.")
    ] = "class_balanced",
    portion: Annotated[
        float | None,
        typer.Option(help="Share of each class's pixels; default 0.2, for class_threshold 0.5."),
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="Probability from which confidence and class_threshold keep all.")
    ] = 0.9,
    weigh: Annotated[
        bool,
        typer.Option(
            help="class_balanced: favor classes that are never sure, as CBST does; or keep classes."
        ),
    ] = True,
    min_class_share: Annotated[
        float, typer.Option(help="Classes predicted on a smaller share of all pixels keep none.")
    ] = 1e-4,
    scales: Scales = "1",
    flip: Flip = False,
    size: Size = None,
    fit: Fit = None,
    window: Window = None,
    stride: Stride = None,
    device: Device = None,
    copy_images: Annotated[
        bool, typer.Option("--copy-images", help="Copy the images, so that the folder can be moved.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Compare with true labels, if there are some: for information.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a network's confident predictions as a labelled data set; goes on if interrupted.

    Example: segshift data pseudo-label runs/advent --data camvid:CamVid --out pseudo --portion 0.2 --flip

    \f
    Long, since every option is an argument and a line of its own.
    """
    from segshift.data.resolve import resolve
    from segshift.engine.pseudo_label_folder import check_pseudo_labels
    from segshift.engine.pseudo_labels import PseudoLabelConfig, write_pseudo_labels
    from segshift.evaluation import percent
    from segshift.models import load

    if rule not in _RULES:
        raise InputError(f"--rule {rule}: is no rule{did_you_mean(rule, _RULES)}")
    settings: dict[str, Any] = {
        "rule": rule,
        "portion": portion,
        "threshold": threshold,
        "weigh_classes": weigh,
        "min_class_share": min_class_share,
        **parse_inference(size, window, stride, scales, flip, fit).model_dump(),
        "copy_images": copy_images,
    }
    config = parse(PseudoLabelConfig, settings, "pseudo-label")
    place = usable_device(device)
    # A folder without a model is said before the images are looked for, which may take long.
    segmenter = load(checkpoint)
    # What cannot be checked is said before the work, not after it.
    truth = _truth(segmenter, data) if check else None
    samples = resolve(data, "train", labels="unused").samples
    summary = write_pseudo_labels(
        checkpoint, samples, config, out, console, segmenter=segmenter, device=place
    )
    checked = None
    if truth is not None:
        labels = (truth[index].label for index in range(len(truth)))
        checked = check_pseudo_labels(out, labels, summary["class_names"])
    if as_json:
        print_json({"dataset": str(out / SPEC), **summary, "check": checked})
        return
    results.print(_table(summary, checked))
    say(results, f"{counted(summary['images'], 'image')}; use them as {out / SPEC}")
    # Folders that an older version finished do not say.
    if summary.get("uses_target_labels"):
        say(results, "made by a network that USES TARGET LABELS, as what is trained on them then does")
    if checked is not None:
        accuracy = percent(checked["accuracy"])
        say(results, f"{accuracy} % of the kept pixels are right (uses target labels: for information only)")


def _truth(segmenter: "Segmenter", data: str) -> "SegmentationDataset":
    """The labelled images in the network's classes."""
    from segshift.data.dataset import SegmentationDataset
    from segshift.data.resolve import resolve

    split = resolve(data, "train")
    if not split.labelled:
        raise InputError(f"--check: {data} has no labels to compare with; leave --check out")
    return SegmentationDataset(split, segmenter.classes, None, with_labels=True)


def _table(summary: dict[str, Any], checked: dict[str, Any] | None) -> Table:
    from segshift.evaluation import percent

    table = Table(title=f"pseudo labels, {summary['rule']}: {percent(summary['kept_share'])} % of the pixels")
    table.add_column("class", no_wrap=True)
    headings = ["predicted pixels", "kept in %", "threshold"]
    for heading in headings if checked is None else [*headings, "right in % (uses target labels)"]:
        table.add_column(heading, justify="right")
    for name, row in summary["classes"].items():
        threshold = "" if row["threshold"] is None else f"{row['threshold']:.5f}"
        cells = [str(row["predicted_pixels"]), percent(row["kept_share"]), threshold]
        table.add_row(name, *cells, *([] if checked is None else [percent(checked["precision"][name])]))
    return table
