"""From a finished comparison to its page: verdict, rows, and pictures of what changed."""

import math
import statistics
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from segshift.cli.tables import named, with_spread
from segshift.data.dataset import SegmentationDataset
from segshift.data.labels import ClassSet
from segshift.engine.comparison import CONTROL, START, ComparisonResult, Row, spread
from segshift.engine.datasets import Domains, resolve_domains
from segshift.engine.presets import load_recipe
from segshift.engine.recipe import TARGET_MIOU, Recipe
from segshift.files import atomic_path
from segshift.models.segmenter import load
from segshift.pictures import colorize, legend, present_ids, strip
from segshift.report.comparison_page import ArmRow, ComparisonPage, PictureRow, write_comparison_page

_PICTURES = 6
_STRIP = 3


def write_page(result: ComparisonResult, path: Path, command: str) -> Path:
    """Write the comparison as one HTML file, and before_after.png beside it; return the page's path."""
    best = result.best()
    recipe = load_recipe(_run_folder(result, CONTROL) / "config.yaml")
    domains = resolve_domains(recipe)
    pictures = _pictures(result, best, domains)
    _write_strip(pictures[:_STRIP], domains.classes, path.with_name("before_after.png"))
    page = ComparisonPage(
        title=result.comparison.name,
        verdict=verdict(result),
        class_names=result.class_names,
        arms=tuple(_arm(row, best) for row in result.rows),
        pictures=pictures,
        palette=domains.classes.palette,
        settings=_settings(result, best, recipe, domains),
        command=command,
    )
    write_comparison_page(path, page)
    return path


def _write_strip(rows: tuple[PictureRow, ...], classes: ClassSet, path: Path) -> None:
    """The first pictures as one PNG, for slides and READMEs."""
    if not rows:
        return
    cells: list[list[tuple[str, NDArray[np.uint8]]]] = []
    for row in rows:
        truth = [] if row.truth is None else [("truth", colorize(row.truth, classes))]
        after = [(caption, colorize(label, classes)) for caption, label in row.predictions]
        cells.append([("image", row.image), *truth, *after])
    present = present_ids([label for row in rows for _, label in row.predictions], classes)
    with atomic_path(path) as temporary:
        strip(cells, footer=legend(classes, present)).save(temporary)


def verdict(result: ComparisonResult) -> str:
    """One sentence: which method gained how much over the control, or that none did."""
    best = result.best()
    seeds = len(result.comparison.seeds)
    over = f"over {seeds} seeds" if seeds > 1 else "with one seed, so without an idea of the spread"
    if best is None:
        return "No adaptation method was compared."
    gain, std = statistics.fmean(best.gain), spread(best.gain)
    amount = with_spread(gain, std, signed=True)
    if gain <= 0:
        return f"No method beats the equal-step control; the nearest, {best.label}, is {amount} mIoU {over}."
    doubt = "" if std is None or gain > std else " That is less than the seeds' spread."
    share = "" if best.gap_share is None else f", {100 * best.gap_share:.0f} % of the gap to the oracle"
    name = best.label[:1].upper() + best.label[1:]
    return f"{name} is the best: {amount} mIoU over the equal-step control{share}, {over}.{doubt}"


def _arm(row: Row, best: Row | None) -> ArmRow:
    reference = row.name in (START, CONTROL)
    return ArmRow(
        name=row.name,
        label=named({"label": row.label, "selection": row.selection}),
        miou_mean=statistics.fmean(row.miou),
        miou_spread=spread(row.miou),
        gain=None if reference else statistics.fmean(row.gain),
        gap_share=row.gap_share,
        class_iou=row.class_iou,
        steps=row.steps,
        source_images_per_step=row.source_images_per_step,
        uses_target_labels=row.uses_target_labels,
        is_control=row.name == CONTROL,
        is_best=best is not None and row.name == best.name and statistics.fmean(row.gain) > 0,
    )


def _run_folder(result: ComparisonResult, arm: str) -> Path:
    return result.folder / f"seed_{result.comparison.seeds[0]}" / arm


def _pictures(result: ComparisonResult, best: Row | None, domains: Domains) -> tuple[PictureRow, ...]:
    """Evaluation images, evenly spread over the set, as the first seed's control and best method see them."""
    if domains.evaluation is None:
        return ()
    shown = [(CONTROL, "before: control")] + ([(best.name, f"after: {best.label}")] if best else [])
    networks = [(caption, load(_run_folder(result, name))) for name, caption in shown]
    dataset = SegmentationDataset(domains.evaluation, domains.classes, None, with_labels=True)
    count = min(_PICTURES, len(dataset))
    rows = []
    for index in np.linspace(0, len(dataset) - 1, count).astype(int).tolist():
        item = dataset[index]
        image = item.image.permute(1, 2, 0).numpy()
        with torch.inference_mode():
            predictions = tuple((caption, network.predict(image)) for caption, network in networks)
        truth = None if item.label is None else item.label.numpy()
        stem = domains.evaluation.samples[index].stem
        rows.append(PictureRow(f"{domains.evaluation.dataset} {stem}", image, truth, predictions))
    return tuple(rows)


def _settings(result: ComparisonResult, best: Row | None, recipe: Recipe, domains: Domains) -> dict[str, str]:
    start = load_recipe(_run_folder(result, START) / "config.yaml")
    settings = {
        "source": str(domains.describe("source")),
        "target (labels unused)": str(domains.describe("target")),
        "evaluated on": str(domains.describe("evaluation")),
        "network": f"{recipe.model.backbone}, output stride {recipe.model.output_stride}, "
        f"batch norm: {recipe.model.batch_norm}",
        "common start": f"{start.training.steps} source-only steps",
        "steps per method": f"{recipe.training.steps}, {recipe.training.batch_size} source images each",
        "seeds": ", ".join(map(str, result.comparison.seeds)),
        "±": "standard deviation over the seeds",
        "reported": _reported(result),
    }
    if best is not None:
        control = next(row for row in result.rows if row.name == CONTROL)
        changes = sorted(
            (
                (mine - theirs, name)
                for mine, theirs, name in zip(
                    best.class_iou, control.class_iou, result.class_names, strict=True
                )
                if not math.isnan(mine - theirs)
            ),
            reverse=True,
        )
        gains = ", ".join(f"{name} {signed_points(change)}" for change, name in changes[:3])
        losses = ", ".join(f"{name} {signed_points(change)}" for change, name in changes[::-1][:3])
        settings[f"largest class gains of {best.label}"] = gains
        settings[f"largest class losses of {best.label}"] = losses
    return settings


def _reported(result: ComparisonResult) -> str:
    """Which checkpoints the rows stand for, and whether target labels chose any."""
    chosen = [row for row in result.rows if row.selection is not None]
    if not chosen:
        return "the last checkpoint; target labels choose nothing"
    oracles = [row.label for row in chosen if row.selection == TARGET_MIOU]
    labels = (
        f"target labels chose those of {', '.join(oracles)}" if oracles else "target labels chose nothing"
    )
    return f"the last checkpoint, or the best by the score beside the name; {labels}"


def signed_points(change: float) -> str:
    """A difference of fractions as signed percentage points."""
    return f"{100 * change:+.1f}"
