"""A whole recipe in a run folder: its stages in order, each run once, each resumable."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from segshift.engine.checkpoint import Checkpoints
from segshift.engine.datasets import resolve_domains
from segshift.engine.presets import stage_recipe
from segshift.engine.recipe import Recipe
from segshift.engine.trainer import Trainer, finished_result, is_current
from segshift.errors import InputError
from segshift.files import write_text
from segshift.plain import say


def run_recipe(recipe: Recipe, folder: Path, console: Console, resume: bool = False) -> Mapping[str, Any]:
    """Train every stage of `recipe` below `folder` and return the last one's results.

    Args:
        recipe: what to train.
        folder: the run folder; a finished run in it is not run again.
        console: where progress goes (stderr, so that stdout stays for results).
        resume: continue from the newest checkpoint. Without it a folder that holds an unfinished run is
            refused, so that nobody continues one by accident.

    Raises:
        InputError: bad data or settings, or a folder that holds another run.
        errors.StoppedError: Ctrl-C or SIGTERM, after saving.
        errors.NonFiniteLossError: with the last good checkpoint in place.
    """
    if not recipe.stages:
        return _run_stage(recipe, folder, console, resume)
    _write_config(recipe, folder)
    results: Mapping[str, Any] = {}
    previous: Path | None = None
    for index, stage in enumerate(recipe.stages):
        staged = stage_recipe(recipe, index)
        if previous is not None and "init_from" not in stage.changes:
            staged = staged.model_copy(update={"init_from": str(previous)})
        previous = folder / f"{index + 1}_{stage.name}"
        results = _run_stage(staged, previous, console, resume)
    return results


def _run_stage(recipe: Recipe, folder: Path, console: Console, resume: bool) -> Mapping[str, Any]:
    finished = finished_result(folder, recipe)
    if finished is not None and is_current(finished, recipe):
        say(console, f"{recipe.name}: finished before, in {folder}")
        return finished
    if finished is not None:
        say(console, f"{recipe.name}: trained before, evaluated anew")
    elif not resume:
        checkpoints = Checkpoints(folder / "checkpoints")
        if max(checkpoints.steps(), default=0) > 0:
            raise InputError(
                f"{folder}: holds an unfinished run; add --resume to go on, or choose another --out"
            )
        # What failed before its first step (a wrong path, say) has nothing to lose.
        checkpoints.clear()
    domains = resolve_domains(recipe)
    _write_config(recipe, folder)
    Trainer(recipe, domains, folder, console).run()
    results: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return results


def _write_config(recipe: Recipe, folder: Path) -> None:
    """The resolved recipe, which runs again with `segshift train config.yaml`."""
    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_text(folder / "config.yaml", text)
