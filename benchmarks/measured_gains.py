"""Print what `segshift diagnose` knows of measured pairs, its measured.yaml, from finished comparisons.

    python benchmarks/measured_gains.py runs/day_dusk=benchmarks/day_dusk.yaml ... \
        > src/segshift/analysis/diagnosis/measured.yaml

An arm counts under the preset that its settings are, see `PRESETS`. The drop of the confidence is the
control's, from the source's validation images to the target's evaluated ones, the mean over the seeds.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from segshift.analysis.diagnosis.domains import observe
from segshift.config import parse
from segshift.data.dataset import SegmentationDataset
from segshift.data.resolve import resolve
from segshift.data.sampling import evenly
from segshift.documents import dump_yaml, read_yaml
from segshift.engine.recipe import Recipe
from segshift.models import load
from segshift.models.inference_config import Inference

PRESETS = ("adabn", "mean_teacher", "advent")
"""Arms whose settings are those of the preset of that name, or `plain`'s."""
IMAGES = 64


def confidence(model: Path, split: str, inference: Inference) -> float:
    """A network's mean confidence on some images of a split, in points."""
    found = resolve(split, labels="optional")
    items = SegmentationDataset(found, found.classes, with_labels=False)
    network = load(model)
    chosen = evenly(len(items), min(IMAGES, len(items)))
    return 100 * statistics.fmean(observe(network, items[index].image, inference)[2] for index in chosen)


def drop(control: Path) -> float:
    """By how much a control is less sure of the target it was judged on than of its source's validation."""
    recipe = parse(Recipe, read_yaml(control / "config.yaml"), str(control))
    judged = recipe.evaluation
    source = judged.source_validation or f"{recipe.source.dataset}:val"
    target = f"{judged.dataset or recipe.target.dataset}:{judged.split}"
    seen = Inference(input_size=recipe.source.augmentation.resize or recipe.inference_size())
    return confidence(control, source, seen) - confidence(control, target, recipe.inference)


def preset(run: Path, arm: str) -> str:
    """The preset that an arm's settings are: the mean teacher has two, with and without class mix."""
    terms = read_yaml(run / "config.yaml")["method"].get("terms", [])
    plain = any(term["term"] == "mean_teacher" and not term.get("class_mix", True) for term in terms)
    return f"{arm}_plain" if plain else arm


def gain(values: list[float]) -> dict[str, float]:
    """Mean and spread in points, to a tenth."""
    return {
        "mean": round(100 * statistics.fmean(values), 1),
        "spread": round(100 * statistics.stdev(values), 1) if len(values) > 1 else 0.0,
    }


def pair(folder: Path, comparison: str) -> dict[str, Any]:
    """One entry of the file."""
    document = json.loads((folder / "comparison.json").read_text())
    rows = {row["arm"]: row for row in document["rows"]}
    seeds = sorted(folder.glob("seed_*"))
    recipe = parse(Recipe, read_yaml(seeds[0] / "control" / "config.yaml"), str(seeds[0]))
    return {
        "pair": document["name"],
        "command": f"segshift compare {comparison}",
        "network": f"{recipe.model.backbone}, {recipe.model.head}",
        "seeds": len(document["seeds"]),
        "steps": rows["control"]["steps"],
        "confidence_drop": round(statistics.fmean(drop(seed / "control") for seed in seeds), 1),
        "control": round(100 * rows["control"]["miou_mean"], 1),
        "oracle": gain(rows["oracle"]["gain"]),
        "methods": {preset(seeds[0] / arm, arm): gain(rows[arm]["gain"]) for arm in PRESETS if arm in rows},
    }


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description="Print diagnose's table of measured pairs.")
    parser.add_argument("runs", nargs="+", metavar="FOLDER=COMPARISON.yaml")
    pairs = [
        pair(Path(folder), name)
        for one in parser.parse_args().runs
        for folder, _, name in [one.partition("=")]
    ]
    print("# Written by benchmarks/measured_gains.py; gains in points of mIoU over a control of equal steps.")
    print(dump_yaml({"pairs": pairs}), end="")


if __name__ == "__main__":
    main()
