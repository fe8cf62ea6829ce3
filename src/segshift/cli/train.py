"""`segshift train`."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segshift.cli.commands.train import Train
from segshift.cli.inference import train_on
from segshift.cli.output import console, print_json, progress, results
from segshift.engine.cost import Cost
from segshift.engine.dry_run import dry_run
from segshift.engine.presets import load_recipe
from segshift.engine.run import run_recipe
from segshift.engine.smoke import smoke_recipe
from segshift.engine.train import check_trains
from segshift.errors import NonFiniteError, StoppedError
from segshift.evaluation import EvaluationResult
from segshift.folders import RunFolder, check_name
from segshift.report.terminal import iou_table
from segshift.terminal import say


def train(options: Train) -> None:
    """What `segshift train` does."""
    changes = options.changes
    train_on(options.device)
    loaded = load_recipe(options.recipe, changes)
    if options.smoke:
        loaded = smoke_recipe(loaded)
    else:
        check_trains(loaded, str(options.recipe), changes)
    folder = options.out or Path("runs") / check_name(loaded.name, "recipe")
    if options.dry_run:
        _print_costs(dry_run(loaded, folder), options.as_json)
        return
    try:
        outcome = run_recipe(loaded, folder, progress, options.resume)
    except StoppedError as stop:
        say(console, f"{stop}. To go on:\n  {RunFolder(folder).continue_command()}")
        raise
    except NonFiniteError:
        say(
            console,
            f"The last good checkpoint is in {RunFolder(folder).checkpoints}. A lower learning rate, "
            "training.clip_norm: 1.0 or precision: fp32 usually helps.",
        )
        raise
    if options.as_json:
        print_json({"folder": str(folder), **outcome})
    else:
        _print(folder, outcome)


def _print_costs(costs: Mapping[str, Cost | str], as_json: bool) -> None:
    if as_json:
        known = {name: cost if isinstance(cost, str) else cost.to_dict() for name, cost in costs.items()}
        print_json({"costs": known})
        return
    for name, cost in costs.items():
        if isinstance(cost, str):
            say(results, f"{name}: {cost}")
            continue
        say(results, f"{name}: {cost.parameters / 1e6:.3g} M parameters")
        for line in cost.lines():
            say(results, f"  {line}")


def _target_labels(outcome: Mapping[str, Any]) -> str:
    """Which target labels a run used, in words."""
    if outcome["target_labelled"] is not None:
        return f"USES TARGET LABELS of {outcome['target_labelled']}"
    if (outcome.get("selection") or {}).get("uses_target_labels"):
        return "USES TARGET LABELS: they chose the checkpoint, so this is an upper bound"
    return "USES TARGET LABELS: an oracle, or begun with a network that had used them or with its labels"


def _print(folder: Path, outcome: Mapping[str, Any]) -> None:
    run = RunFolder(folder)
    if outcome["evaluation"] is not None:
        names = tuple(outcome["evaluation"]["iou"])
        result = EvaluationResult(np.array(outcome["confusion"], np.int64), names)
        say(results, f"{outcome['name']}, {outcome['selected']}, on {outcome['evaluated_on']}")
        if outcome["uses_target_labels"]:
            say(results, _target_labels(outcome))
        results.print(iou_table({"IoU in %": result}))
    elif run.translator.is_file():
        say(
            results,
            f"A translator has no IoU: look at {run.pictures}, then `segshift data translate`.",
        )
    else:
        results.print("No labelled images to print an IoU of: look at `segshift predict`.")
    for name, file in (("model", run.model), ("translator", run.translator)):
        if file.is_file():
            say(results, f"{name:<11}{file}")
    say(results, f"{'run':<11}{folder}")
    if run.model.is_file():
        say(results, f"{'report':<11}{shlex.join(['segshift', 'report', str(folder)])}")
