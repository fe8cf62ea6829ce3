"""Synthetic reports: runs, pictures and analyses of any number, without a network or an image on disk."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import yaml

from segshift.analysis.embedding import Granularity
from segshift.analysis.retrieval import Retrieval
from segshift.analysis.strips import Shown
from segshift.data.labels import ClassSet, class_set
from segshift.evaluation import ClassCounts, EvaluationResult, compare_paired
from segshift.report.content import Curve, EmbeddedPoints, Evidence, Report, ReportedRun

NASTY = "<img src=x onerror=alert(1)></script> & \"quoted\" 'name' $x$ %{x} <b>"
"""What a careless page would take for markup, script or a template."""


def make_result(classes: ClassSet, skill: float, images: int = 40, seed: int = 0) -> EvaluationResult:
    """A result with a right answer for `skill` of the pixels; equal seeds are the same images."""
    generator = np.random.default_rng(seed)
    count = classes.count
    weights = generator.dirichlet(np.ones(count))
    # The last class neither occurs nor is predicted, so it has no IoU.
    weights[-1] = 0 if count > 2 else weights[-1]
    weights /= weights.sum()
    truth = generator.multinomial(5000, weights, size=images)
    own = np.random.default_rng(seed + round(1000 * skill))
    rates = np.clip(skill + own.normal(0, 0.12, (images, count)), 0.02, 0.99)
    hits = np.round(truth * rates).astype(np.int64)
    spread = weights / weights.sum()
    confusion = np.zeros((count, count), np.int64)
    predicted = hits.copy()
    for image in range(images):
        for train_id in range(count):
            missed = own.multinomial(truth[image, train_id] - hits[image, train_id], spread)
            # What falls on the class itself after all is a hit.
            hits[image, train_id] += missed[train_id]
            predicted[image] += missed
            confusion[train_id] += missed
    confusion[np.diag_indices(count)] = hits.sum(axis=0)
    names = tuple(f"image_{index:03d}" for index in range(images))
    counts = ClassCounts(names, hits, truth.astype(np.int64), predicted)
    return EvaluationResult(confusion, classes.names, counts)


def make_curves(steps: int, shift: float) -> tuple[Curve, ...]:
    """Losses, a discriminator that starts at chance, and scores."""
    at = tuple(range(20, steps + 1, 20))
    fall = tuple(0.4 + 2 * math.exp(-step / (0.3 * steps)) + 0.05 * math.sin(step + shift) for step in at)
    return (
        Curve("loss", "segmenter/supervised", at, fall),
        Curve("loss", "segmenter/adversarial", at, tuple(0.1 * value + shift / 50 for value in fall)),
        Curve("discriminator", "advent/source", at, tuple(0.693 - 0.0001 * step for step in at)),
        Curve("discriminator", "advent/target", at, tuple(0.693 + 0.0002 * step for step in at)),
        Curve("score", "entropy", at[::5], tuple(0.3 - 0.01 * shift for _ in at[::5])),
        Curve("learning_rate", "segmenter", at, tuple(5e-4 * (1 - step / (steps + 20)) for step in at)),
    )


def make_run(name: str, index: int, **changes: Any) -> ReportedRun:
    """A run without scores; `changes` replace its fields."""
    recipe = {
        "name": name,
        "seed": 0,
        "source": {"dataset": "city:game,count=1000", "augmentation": {"crop": [128, 96]}},
        "method": {"name": "align", "terms": [{"term": "advent", "weight": 0.001 * index}] if index else []},
        "training": {"steps": 2000, "batch_size": 4},
    }
    run = ReportedRun(
        name=name,
        folder=f"runs/city_camvid/{index}",
        method="source only" if index == 0 else "align: advent",
        steps=2000,
        source_images_per_step=4,
        uses_target_labels=False,
        selected="last checkpoint",
        unfair=(),
        result=None,
        gain=None,
        recipe=yaml.safe_dump(recipe, sort_keys=False),
        provenance={
            "paper": "Vu et al., ADVENT, CVPR 2019",
            "table": "table 1",
            "reported": {"mIoU_gta5_cityscapes": 43.8},
            "deviations": {"architecture": "small network", "image_size": "smaller images"},
        },
        environment={"python": "3.11.7", "packages": {"torch": "2.15.0"}, "device": "cpu"},
        data={"source": "city:game,count=1000, split train", "target": "camvid:…, split train"},
        curves=make_curves(2000, float(index)),
        advice=(),
    )
    return replace(run, **changes)


def make_shown(classes: ClassSet, runs: tuple[str, ...], size: tuple[int, int], seed: int) -> Shown:
    """A picture that resembles a street in size and detail: gradients and noise, blocks of classes."""
    generator = np.random.default_rng(seed)
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    cell = (y * 7 // height) * 5 + (x * 5 // width)
    label = generator.integers(0, classes.count, 40)[cell].astype(np.uint8)
    label[: height // 12] = 255
    base = classes.palette[label].astype(float) * 0.4 + 90 + 40 * np.sin(x / 37 + seed)[..., None]
    image = np.clip(base + generator.normal(0, 9, base.shape), 0, 255).astype(np.uint8)
    predicted, entropy = {}, {}
    for number, name in enumerate(runs):
        wrong = generator.random((height // 8 + 1, width // 8 + 1)).repeat(8, 0).repeat(8, 1)[:height, :width]
        other = ((label.astype(int) + 1 + number) % classes.count).astype(np.uint8)
        predicted[name] = np.where((wrong < 0.3 - 0.03 * number) | (label == 255), other, label).astype(
            np.uint8
        )
        entropy[name] = np.clip(wrong * 0.7 + generator.normal(0, 0.03, wrong.shape), 0, 1).astype(np.float32)
    return Shown(f"street_{seed:03d}.png", image, label, predicted, entropy)


def make_points(classes: int, per_class: int, level: Granularity, gap: float, seed: int) -> EmbeddedPoints:
    """Clusters of classes in the plane; the target's lie `gap` away."""
    generator = np.random.default_rng(seed)
    ids = np.full(2 * per_class * 3, -1) if level == "image" else np.repeat(np.arange(classes), 2 * per_class)
    domains = np.arange(len(ids)) % 2
    angle = 2 * np.pi * ids / classes
    places = 20 * np.stack([np.cos(angle), np.sin(angle)], 1) + generator.normal(0, 2.5, (len(ids), 2))
    places += gap * domains[:, None]
    return EmbeddedPoints(
        places.astype(np.float32),
        ids.astype(np.int64),
        domains.astype(np.int64),
        tuple(f"image_{int(number):03d}.png" for number in generator.integers(0, 100, len(ids))),
    )


def make_evidence(names: tuple[str, ...], classes: ClassSet, pool: int = 100) -> Evidence:
    """All analyses of all runs; the last class has no distance."""
    generator = np.random.default_rng(3)
    fada, clan, retrieval, embedding, entropy = {}, {}, {}, {}, {}
    for index, name in enumerate(names):
        fada[name] = generator.uniform(0.5, 2.5, classes.count)
        clan[name] = generator.uniform(0.6, 1.1, classes.count) if index else np.ones(classes.count)
        fada[name][-1] = clan[name][-1] = np.nan
        k = np.arange(1, 2 * pool + 1)
        alike = 0.15 + 0.7 * index / max(1, len(names))
        # Between domains that are far apart and the straight line of domains alike.
        found = pool * (alike * k / (2 * pool) + (1 - alike) * (k / (2 * pool)) ** 3)
        retrieval[name] = Retrieval(found, found * 0.9, 0.3 + 0.4 * alike, 0.28 + 0.4 * alike, pool, pool)
        embedding[name] = {
            level: make_points(classes.count, 12, level, 9.0 * (1 - alike), index)
            for level in ("patch", "class", "image")
        }
        entropy[name] = (0.08 + 0.01 * index, 0.25 - 0.04 * index)
    return Evidence(fada, clan, retrieval, embedding, entropy)


def make_report(
    names: tuple[str, ...] = ("source only", "advent", "clan"),
    *,
    classes: ClassSet | None = None,
    images: int = 40,
    pictures: int = 2,
    size: tuple[int, int] = (120, 80),
    labelled: bool = True,
    evidence: Evidence | None = None,
    **changes: Any,
) -> Report:
    """A whole report: the first run is the reference, every other a little better than the one before.

    Args:
        names: of the runs.
        classes: CamVid's 11 without them.
        images: of the evaluation.
        pictures: in the slider.
        size: (width, height) of those.
        labelled: whether there are scores.
        evidence: all analyses without it.
        changes: replace fields of the report.
    """
    classes = classes or class_set("camvid11")
    runs = []
    reference = make_result(classes, 0.6, images) if labelled else None
    for index, name in enumerate(names):
        run = make_run(name, index)
        if reference is not None:
            result = make_result(classes, 0.6 + 0.03 * index, images) if index else reference
            gain = compare_paired(reference, result, resamples=200) if index else None
            run = replace(run, result=result, gain=gain)
        runs.append(run)
    report = Report(
        title="city → CamVid: what adaptation did",
        runs=tuple(runs),
        classes=classes,
        source="city:game, split val, 100 images",
        target="camvid, split test, 100 images",
        target_labelled=labelled,
        shown=tuple(make_shown(classes, names, size, seed) for seed in range(pictures)),
        evidence=make_evidence(names, classes) if evidence is None else evidence,
        command="segshift report runs/a runs/b --html report.html",
        version="0.1.0",
    )
    return replace(report, **changes)
