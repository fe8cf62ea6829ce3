"""Hours and cost of presets on a machine: from steps measured there, or from a rate that you expect.

    python benchmarks/plan_hours.py --tflops 100 --price 3 [PRESET ...]
    python benchmarks/plan_hours.py --measured runs/gpu/gpu.json --tflops 100 --price 3 [PRESET ...]

Counts the floating-point operations of one training step (torch's counter, forward and backward) with the
preset's own network, method and sizes, at an eighth of the width and height, and multiplies by 64:
convolutions cost what their pixels cost. Hours are steps x operations / operations per second.

`--measured` takes that rate from the steps of the same method in the file that `benchmarks/gpu.py` (its
fastest way) or `benchmarks/training_steps.py` (ours) has written; the sizes may be others. Presets whose
method was not measured there take `--tflops`, which nobody measured, and the table says so. `segshift train
PRESET ... --dry-run` measures a preset's own step. Data sets are stood in for by the rendered city.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from training_steps import PRESETS as MEASURED_PRESETS

from segshift.config import assignment
from segshift.engine.build import build, build_optimizers, step_settings
from segshift.engine.datasets import DomainFinder
from segshift.engine.feed import TrainingData
from segshift.engine.operations import operations
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


@dataclass(frozen=True)
class Rate:
    """Operations per second that training sustains, and where that is known from."""

    operations: float
    origin: str


def measured_rates(file: Path) -> dict[str, Rate]:
    """The rate of each method in a file of gpu.py or training_steps.py."""
    found = json.loads(file.read_text())
    if isinstance(found, dict):
        rates: dict[str, Rate] = {}
        for row in found["rows"]:
            rate = Rate(row["tflops"] * 1e12, f"measured: {row['way']}, {found['device']}")
            if row["method"] not in rates or rates[row["method"]].operations < rate.operations:
                rates[row["method"]] = rate
        return rates
    # Of the plain code's operations: those are what `counted` counts.
    return {
        row["method"]: Rate(
            row["plain"]["gflop"] * 1e9 / row["ours"]["seconds"],
            f"measured: {row['size'][0]}x{row['size'][1]}, fp32, CPU",
        )
        for row in found
    }


def rate_of(preset: str, measured: Mapping[str, Rate], tflops: float | None) -> Rate | None:
    """The measured rate of the preset's method, else the stated one; None where there is neither."""
    method = {value: key for key, value in MEASURED_PRESETS.items()}.get(preset)
    if method in measured:
        return measured[method]
    return None if tflops is None else Rate(tflops * 1e12, "stated, not measured")


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
    optimizers = build_optimizers(method, recipe)
    settings = step_settings(recipe.training, torch.device("cpu"))
    taken = operations(lambda: train_step(method, batches, optimizers, settings))
    return Step(taken * _PART**2, full.training.steps)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("presets", nargs="*", default=PRESETS)
    parser.add_argument("--measured", type=Path, help="JSON of gpu.py or training_steps.py")
    parser.add_argument("--tflops", type=float, help="10^12 operations per second, where none were measured")
    parser.add_argument("--price", type=float, required=True, help="of an hour")
    options = parser.parse_args()
    measured = measured_rates(options.measured) if options.measured else {}
    rates = {name: rate_of(name, measured, options.tflops) for name in options.presets}
    lacking = [name for name, rate in rates.items() if rate is None]
    if lacking:
        parser.error(f"no measured rate for {', '.join(lacking)}: give --tflops")
    print("| preset | GFLOP a step | steps | TFLOP/s | rate | hours | cost |")
    print("|---|---:|---:|---:|---|---:|---:|")
    for name, rate in rates.items():
        assert rate is not None
        step = counted(name)
        hours = step.steps * step.operations / rate.operations / 3600
        cells = (
            f"{step.operations / 1e9:.0f}",
            step.steps,
            f"{rate.operations / 1e12:.3g}",
            rate.origin,
            f"{hours:.1f}",
            f"{hours * options.price:.0f}",
        )
        print(f"| `{name}` |", " | ".join(map(str, cells)), "|", flush=True)


if __name__ == "__main__":
    main()
