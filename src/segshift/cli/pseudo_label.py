"""`segshift data pseudo-label`: a trained network labels images, for self-training."""

from typing import Any

from rich.table import Table

from segshift.cli.commands.pseudo_label import PseudoLabel
from segshift.cli.commands.seeing import parse_inference
from segshift.cli.inference import usable_device
from segshift.cli.output import print_json, progress, results
from segshift.config import parse
from segshift.data.dataset import SegmentationDataset
from segshift.data.resolve import resolve
from segshift.engine.pseudo_label_folder import check_pseudo_labels
from segshift.engine.pseudo_labels import PseudoLabelConfig, write_pseudo_labels
from segshift.errors import InputError
from segshift.evaluation import percent
from segshift.folders import SPEC
from segshift.models import Segmenter, load
from segshift.plain import counted
from segshift.terminal import say


def pseudo_label(options: PseudoLabel) -> None:
    """What `segshift data pseudo-label` does."""
    settings: dict[str, Any] = {
        "rule": options.rule,
        "portion": options.portion,
        "threshold": options.threshold,
        "weigh_classes": options.weigh,
        "min_class_share": options.min_class_share,
        **parse_inference(options).model_dump(),
        "copy_images": options.copy_images,
    }
    config = parse(PseudoLabelConfig, settings, "pseudo-label")
    place = usable_device(options.device)
    segmenter = load(options.checkpoint)
    # What cannot be checked is said before the work, not after it.
    truth = _truth(segmenter, options.data) if options.check else None
    samples = resolve(options.data, "train", labels="unused").samples
    summary = write_pseudo_labels(
        options.checkpoint, samples, config, options.out, progress, segmenter=segmenter, device=place
    )
    checked = None
    if truth is not None:
        labels = (truth[index].label for index in range(len(truth)))
        checked = check_pseudo_labels(options.out, labels, summary["class_names"])
    if options.as_json:
        print_json({"dataset": str(options.out / SPEC), **summary, "check": checked})
        return
    results.print(_table(summary, checked))
    say(results, f"{counted(summary['images'], 'image')}; use them as {options.out / SPEC}")
    # Folders that an older version finished do not say.
    if summary.get("uses_target_labels"):
        say(results, "made by a network that USES TARGET LABELS, as what is trained on them then does")
    if checked is not None:
        accuracy = percent(checked["accuracy"])
        say(results, f"{accuracy} % of the kept pixels are right (uses target labels: for information only)")


def _truth(segmenter: Segmenter, data: str) -> SegmentationDataset:
    """The labelled images in the network's classes."""
    split = resolve(data, "train")
    if not split.labelled:
        raise InputError(f"--check: {data} has no labels to compare with; leave --check out")
    return SegmentationDataset(split, segmenter.classes, None, with_labels=True)


def _table(summary: dict[str, Any], checked: dict[str, Any] | None) -> Table:
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
