"""How much a few labelled target images gain, CamVid day to dusk, with and without the unlabelled ones.

    python benchmarks/few_labels.py --camvid ROOT --labels 0,5,20,62 --seed 0 --out runs/few_labels

Every run starts from the same source-only network by day (benchmarks/camvid_day.yaml) and sees as many steps
and source images; the labelled images are drawn from `dusk_train`, more of them hold the fewer, and all are
judged on `dusk_test`. Finished runs are kept, so that the same command goes on after an end.
"""

import argparse
from pathlib import Path
from typing import Any

from segshift.config import merge, parse
from segshift.engine.presets import load_recipe
from segshift.engine.recipe import Recipe
from segshift.engine.run import run_recipe
from segshift.terminal import Terminal, TerminalProgress

SOURCE = Path(__file__).with_name("camvid_day.yaml")
IMAGES = 62
SIZES = {"resize": [240, 180], "crop": [160, 120]}
METHODS = {"mean teacher": [{"term": "mean_teacher", "confidence": 0.9}], "labels alone": []}


def recipe(labels: int, method: str, camvid: str, start: Path, seed: int, steps: int) -> Recipe:
    """The preset few_labels on CamVid; without labels the stream is not there."""
    data = {"dataset": f"camvid:{camvid}", "augmentation": SIZES}
    changes: dict[str, Any] = {
        "name": f"{labels} labels, {method}",
        "seed": seed,
        "source": {**data, "split": "day_train"},
        "target": {**data, "split": "dusk_train"},
        "evaluation": {"dataset": f"camvid:{camvid}", "split": "dusk_test", "batch_size": 2},
        "model": {"weights": "package"},
        "init_from": str(start),
        "method": {"terms": METHODS[method]},
        "training": {
            "steps": steps,
            "workers": 0,
            "threads": 1,
            "keep_checkpoints": 1,
            "checkpoint_every": 100,
        },
        "target_labelled": {
            **data,
            "split": "dusk_train",
            "subset": {"fraction": min(1.0, labels / IMAGES), "seed": seed} if labels else None,
        },
    }
    changed = merge(load_recipe("few_labels").model_dump(mode="json"), changes)
    return parse(Recipe, changed if labels else {**changed, "target_labelled": None}, "few_labels")


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description="Gain of a few target labels, CamVid day to dusk.")
    parser.add_argument("--camvid", required=True, help="folder of CamVid")
    parser.add_argument("--labels", default="0,5,20,62")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("runs/few_labels"))
    arguments = parser.parse_args()
    progress, folder = TerminalProgress(Terminal(stderr=True)), arguments.out / f"seed_{arguments.seed}"
    data = [f"{key}.dataset=camvid:{arguments.camvid}" for key in ("source", "evaluation")]
    day = load_recipe(SOURCE, [f"seed={arguments.seed}", "target.dataset=null", *data])
    start = run_recipe(day, folder / "day", progress, resume=True)
    print(f"start: {100 * start['evaluation']['miou']:.1f}\n")
    print("| labelled dusk images | " + " | ".join(METHODS) + " |\n|---" + "|---" * len(METHODS) + "|")
    control = None
    for labels in map(int, arguments.labels.split(",")):
        cells = []
        # Last in each row: the labels alone, which without any are the control.
        for method in METHODS:
            name = f"{labels}_{method.replace(' ', '_')}"
            made = recipe(labels, method, arguments.camvid, folder / "day", arguments.seed, arguments.steps)
            result = run_recipe(made, folder / name, progress, resume=True)
            cells.append(100 * result["evaluation"]["miou"])
        control = cells[-1] if control is None else control
        shown = " | ".join(f"{cell:.1f} ({cell - control:+.1f})" for cell in cells)
        print(f"| {labels} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
