"""Estimate hours and cost of presets on an accelerator that is not here.

    python benchmarks/plan_hours.py --tflops 100 --price 3 [PRESET ...]

Counts the floating-point operations of one training step (torch's counter, forward and backward) with the
preset's own network, method and sizes, at an eighth of the width and height, and multiplies by 64:
convolutions cost what their pixels cost. Hours are steps x operations / the rate that you expect to sustain;
none of it is measured on that machine. What is measured is `segshift train PRESET ... --dry-run` there.
Data sets are stood in for by the rendered city.
"""

import argparse
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from segshift.config import assignment
from segshift.engine.build import build, build_optimizers, step_settings
from segshift.engine.datasets import DomainFinder
from segshift.engine.feed import TrainingData
from segshift.engine.presets import load_recipe
from segshift.engine.processes import Processes
from segshift.engine.recipe import Recipe
from segshift.engine.step import train_step

PRESETS = (
    "adaptsegnet_gta5_cityscapes_resnet101",
    "advent_gta5_cityscapes_resnet101",
    "clan_gta5_cityscapes_resnet101",
    "fada_gta5_cityscapes_resnet101",
    "daformer_gta5_cityscapes_mitb5",
)
_PART = 8


@dataclass(frozen=True)
class Step:
    """One step of a preset: its operations at full size, and how many steps there are."""

    operations: float
    steps: int


def smaller(recipe: Recipe) -> list[str]:
    """Assignments that shorten the sides of what the network sees, on data that can be made here."""
    changes = [
        "model.weights=none",
        "training.workers=0",
        "training.micro_batches=1",
        "training.precision=fp32",
    ]
    for name, style in (("source", "game"), ("target", "dusk")):
        changes.append(assignment(f"{name}.dataset", f"city:{style},size=256x128,count=4,val=1"))
        domain = recipe.model_dump(mode="json")[name]
        # Its pixels are those of the real files.
        changes.append(f"{name}.ignored_border=null")
        for key in ("resize", "crop"):
            size = (domain["augmentation"] or {}).get(key)
            if size:
                changes.append(assignment(f"{name}.augmentation.{key}", [side // _PART for side in size]))
    return changes


def counted(name: str) -> Step:
    """Run one small step of a preset and count."""
    full = load_recipe(name)
    recipe = load_recipe(name, smaller(full))
    domains = DomainFinder()(recipe)
    method = build(recipe, domains.classes).train()
    data = TrainingData(recipe, domains)
    method.prepare(data)
    batches = next(data.steps(Processes.alone("cpu"), 0, method.uses_target))
    counter = FlopCounterMode(display=False)
    with counter:
        train_step(
            method,
            batches,
            build_optimizers(method, recipe),
            step_settings(recipe.training, torch.device("cpu")),
        )
    return Step(counter.get_total_flops() * _PART**2, full.training.steps)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("presets", nargs="*", default=PRESETS)
    parser.add_argument("--tflops", type=float, required=True, help="10^12 operations per second, sustained")
    parser.add_argument("--price", type=float, required=True, help="of an hour")
    options = parser.parse_args()
    print(
        f"estimates at {options.tflops:g} TFLOP/s sustained and {options.price:g} an hour; not measured there"
    )
    print("| preset | GFLOP a step | steps | hours | cost |\n|---|---:|---:|---:|---:|")
    for name in options.presets:
        step = counted(name)
        hours = step.steps * step.operations / (options.tflops * 1e12) / 3600
        cells = (f"{step.operations / 1e9:.0f}", step.steps, f"{hours:.1f}", f"{hours * options.price:.0f}")
        print(f"| `{name}` |", " | ".join(map(str, cells)), "|", flush=True)


if __name__ == "__main__":
    main()
