"""Do two processes that share each batch give what one gives, for every preset?

    python benchmarks/two_processes.py
    python benchmarks/two_processes.py --double lsd_public_code     # is it rounding?

Every training stage of every preset, with its method, terms and groups of parameters around a tiny network
with frozen batch-norm statistics (as `segshift doctor` does it): some steps of plain gradient descent in one
process, and in two over gloo. Stages that are the same on tiny images run once. Prints the largest difference
of any weight or buffer beside how far the weights have moved; status 1 if one is above the tolerance. With
`--double` all is computed in float64: what is rounding shrinks by 1e-9, what is a fault stays.
"""

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.multiprocessing.spawn import start_processes

from segshift.engine.doctor.processes import train_in_processes
from segshift.engine.doctor.toy import (
    ToyData,
    plain_optimizers,
    toy_batch,
    toy_method,
    toy_recipe,
    write_toy_dataset,
)
from segshift.engine.presets import load_recipe
from segshift.engine.recipe import Recipe
from segshift.engine.recipe_files import preset_names
from segshift.engine.seeds import seed_step
from segshift.engine.stages import stage_recipe
from segshift.engine.step import train_step


def stages(name: str, folder: Path) -> Iterator[tuple[str, Recipe]]:
    """A preset's training stages that take steps, tiny."""
    recipe = load_recipe(name)
    staged = [(name, recipe)]
    if recipe.stages:
        staged = [
            (f"{name}, {stage.name}", _after_others(stage_recipe(recipe, index), index, stage.changes))
            for index, stage in enumerate(recipe.stages)
            if stage.kind == "train"
        ]
    for title, one in staged:
        toy = toy_recipe(one, folder)
        if toy.training.steps > 0:
            yield title, toy


def _after_others(staged: Recipe, index: int, changes: Mapping[str, object]) -> Recipe:
    """A stage that goes on from the one before, as in a run, starts from a network."""
    goes_on = index > 0 and "init_from" not in changes
    return staged.model_copy(update={"init_from": "the stage before"}) if goes_on else staged


def alone(_: int, recipe_json: str, steps: int, folder: str) -> None:
    """In a process of its own: the state before and after the steps, into files."""
    torch.set_num_threads(1)
    recipe = Recipe.model_validate_json(recipe_json)
    method = toy_method(recipe)
    method.prepare(ToyData())
    torch.save(method.state_dict(), Path(folder) / "before.pt")
    optimizers = plain_optimizers(method)
    for step in range(steps):
        seed_step(recipe.seed, step)
        train_step(method, [toy_batch(recipe, step)], optimizers)
    torch.save(method.state_dict(), Path(folder) / "after.pt")


def difference(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    """The largest of any entry of any tensor; infinite where shapes differ."""
    worst = 0.0
    for name, value in first.items():
        if value.shape != second[name].shape:
            return math.inf
        if value.numel():
            worst = max(worst, (value.double() - second[name].double()).abs().max().item())
    return worst


def compare(recipe: Recipe, steps: int) -> dict[str, float]:
    """One process beside two; the difference is relative to how far a weight moved at most, if beyond 1."""
    with tempfile.TemporaryDirectory() as scratch:
        words = (recipe.model_dump_json(), steps, scratch)
        start_processes(alone, args=words, nprocs=1, start_method="fork")
        before, after = (
            torch.load(Path(scratch) / f"{when}.pt", weights_only=True) for when in ("before", "after")
        )
        both = train_in_processes(recipe, steps, Path(scratch), start_method="fork")
    # A history of images grows.
    same = {name: value for name, value in after.items() if value.shape == before[name].shape}
    moved = difference(same, before)
    return {"difference": max(difference(after, state) for state in both) / max(1.0, moved), "moved": moved}


def main() -> int:
    """A line per stage, and a summary as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--tolerance", type=float, default=1e-6)
    parser.add_argument("names", nargs="*", help="presets; all without any")
    parser.add_argument("--double", action="store_true", help="in float64")
    options = parser.parse_args()
    if options.double:
        torch.set_default_dtype(torch.float64)
    seen: dict[str, str] = {}
    rows: dict[str, dict[str, float]] = {}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        write_toy_dataset(Path(scratch))
        for name in options.names or preset_names():
            for title, toy in stages(name, Path(scratch)):
                what = toy.model_dump_json(exclude={"name", "description", "provenance", "evaluation"})
                if what in seen:
                    continue
                seen[what] = title
                try:
                    rows[title] = compare(toy, options.steps)
                except Exception as error:
                    failed[title] = str(error).strip().splitlines()[-1]
                print(title, rows.get(title, failed.get(title)), flush=True)
    above = {title: row for title, row in rows.items() if row["difference"] > options.tolerance}
    print(
        json.dumps(
            {
                "stages_of_all_presets_that_differ_when_tiny": len(seen),
                "largest_difference": max(row["difference"] for row in rows.values()),
                "least_moved": min(row["moved"] for row in rows.values()),
                "above_the_tolerance": above,
                "failed": failed,
            },
            indent=1,
        )
    )
    return int(bool(above or failed))


if __name__ == "__main__":
    sys.exit(main())
