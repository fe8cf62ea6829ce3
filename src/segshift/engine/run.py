"""A whole recipe in a run folder: its stages in order, each run once, each resumable."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from segshift.documents import dump_yaml, read_json
from segshift.engine.checkpoint import Checkpoints
from segshift.engine.datasets import DomainFinder
from segshift.engine.fingerprint import finished_result, is_current
from segshift.engine.health import pseudo_label_advice, read_summary
from segshift.engine.plan import Plan, make_plan
from segshift.engine.processes import on_main_process, watched
from segshift.engine.pseudo_label_folder import SUMMARY
from segshift.engine.pseudo_labels import run_pseudo_label_stage
from segshift.engine.recipe import Recipe
from segshift.engine.stages import stage_recipe, stage_settings
from segshift.engine.trainer import Trainer
from segshift.engine.translation import run_translate_stage
from segshift.errors import InputError
from segshift.files import atomic_path, write_text
from segshift.folders import MODEL_FILE
from segshift.plain import say


def run_recipe(recipe: Recipe, folder: Path, console: Console, resume: bool = False) -> Mapping[str, Any]:
    """Train every stage of `recipe` below `folder` and return the last one's results.

    The last stage's model and results are copied into `folder` itself, so that a run of several stages is
    used like any other.

    Args:
        recipe: what to train.
        folder: the run folder; a finished run in it is not run again.
        console: where progress goes (stderr, so that stdout stays for results).
        resume: continue from the newest checkpoint. Without it a folder that holds an unfinished run is
            refused, so that nobody continues one by accident.

    Raises:
        InputError: bad data or settings, or a folder that holds another run.
        errors.StoppedError: Ctrl-C or SIGTERM, after saving.
        errors.NonFiniteError: with the last good checkpoint in place.
        errors.ProcessLostError: another process of the run is gone.
    """
    with watched(recipe.training.process_timeout_s):
        return _run_recipe(recipe, folder, console, resume)


def _run_recipe(recipe: Recipe, folder: Path, console: Console, resume: bool) -> Mapping[str, Any]:
    # What is wrong with a later stage is said now, not after hours of training.
    plan = make_plan(recipe)
    find = DomainFinder()
    check_data(plan, folder, find)
    if not recipe.stages:
        return _run_stage(recipe, folder, console, resume, recipe.name, find)
    _write_config(recipe, folder)
    results: Mapping[str, Any] = {}
    folders: dict[str, Path] = {}
    model = None if recipe.init_from is None else Path(recipe.init_from)
    for index, stage in enumerate(recipe.stages):
        here = folder / f"{index + 1}_{stage.name}"
        staged = stage_recipe(recipe, index, {name: str(path) for name, path in folders.items()})
        if model is not None and "init_from" not in stage.changes:
            staged = staged.model_copy(update={"init_from": str(model)})
        if stage.kind == "train":
            results = _run_stage(staged, here, console, resume, plan.jobs[index].title, find)
        else:
            _write_data(plan, index, staged, here, folders, console)
        folders[stage.name] = here
        if (here / MODEL_FILE).is_file():
            model = here
    for name in (MODEL_FILE, "results.json", "environment.json"):
        if model is not None and (model / name).is_file():
            with atomic_path(folder / name) as temporary:
                shutil.copyfile(model / name, temporary)
    return results


def check_data(plan: Plan, folder: Path, find: DomainFinder) -> None:
    """Find the images of every job whose data do not come from an earlier one, and that is not finished.

    Args:
        plan: the jobs.
        folder: the run folder.
        find: keeps what it found for the run itself.

    Raises:
        InputError: images that cannot be had, of the first such job.
    """
    if (folder / "results.json").is_file():
        return
    for job in plan.jobs:
        if job.kind == "train" and not job.needs_earlier_data:
            find(job.recipe)


def _run_stage(
    recipe: Recipe, folder: Path, console: Console, resume: bool, title: str, find: DomainFinder
) -> Mapping[str, Any]:
    finished = finished_result(folder, recipe)
    if finished is not None and is_current(finished, recipe):
        say(console, f"{title}: finished before, in {folder}")
        return finished
    if finished is not None:
        say(console, f"{title}: trained before, evaluated anew")
    elif not resume:
        checkpoints = Checkpoints(folder / "checkpoints")
        if max(checkpoints.steps(), default=0) > 0:
            raise InputError(
                f"{folder}: holds an unfinished run; add --resume to go on, or choose another --out"
            )
        # What failed before its first step (a wrong path, say) has nothing to lose.
        checkpoints.clear()
    domains = find(recipe)
    _write_config(recipe, folder)
    Trainer(recipe, domains, folder, console, title).run()
    results: dict[str, Any] = read_json(folder / "results.json")
    return results


def _write_data(
    plan: Plan, index: int, staged: Recipe, folder: Path, folders: Mapping[str, Path], console: Console
) -> None:
    """A stage that writes a data set with an earlier stage's network; what is complete is not made again."""
    job = plan.jobs[index]
    settings = stage_settings(plan.recipe, index, {name: str(path) for name, path in folders.items()})
    where = job.title
    if job.kind == "pseudo_label":
        on_main_process(lambda: run_pseudo_label_stage(staged, settings, folder, console, where))
        for advice in pseudo_label_advice(read_summary(folder / SUMMARY)):
            say(console, f"{where}  advice: {advice.line}")
    else:
        if folders:
            settings = {"translator": str(list(folders.values())[-1]), **settings}
        on_main_process(lambda: run_translate_stage(staged, settings, folder, console, where))


def _write_config(recipe: Recipe, folder: Path) -> None:
    """The resolved recipe, which runs again with `segshift train config.yaml`."""
    write_text(folder / "config.yaml", dump_yaml(recipe.model_dump(mode="json")))
