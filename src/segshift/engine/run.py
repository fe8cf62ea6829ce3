"""A whole recipe in a run folder: its stages in order, each run once, each resumable."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from segshift.config import parse
from segshift.documents import dump_yaml, read_json
from segshift.engine.checkpoint import Checkpoints
from segshift.engine.datasets import resolve_domains
from segshift.engine.fingerprint import finished_result, is_current
from segshift.engine.health import pseudo_label_advice, read_summary
from segshift.engine.presets import stage_recipe, stage_settings
from segshift.engine.processes import on_main_process, watched
from segshift.engine.pseudo_label_folder import SUMMARY
from segshift.engine.pseudo_labels import PseudoLabelConfig, run_pseudo_label_stage
from segshift.engine.recipe import Recipe
from segshift.engine.trainer import Trainer
from segshift.engine.translation import TranslationConfig, run_translate_stage
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
    if not recipe.stages:
        return _run_stage(recipe, folder, console, resume, recipe.name)
    for index in range(len(recipe.stages)):
        # A stage that refers to none before it says so now, not after hours of training.
        stage_recipe(recipe, index)
        _check_settings(recipe, index)
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
            results = _run_stage(staged, here, console, resume, _title(recipe, index))
        else:
            _write_data(recipe, index, staged, here, folders, console)
        folders[stage.name] = here
        if (here / MODEL_FILE).is_file():
            model = here
    for name in (MODEL_FILE, "results.json", "environment.json"):
        if model is not None and (model / name).is_file():
            with atomic_path(folder / name) as temporary:
                shutil.copyfile(model / name, temporary)
    return results


def _check_settings(recipe: Recipe, index: int) -> None:
    """Raises InputError for settings that a stage which writes data does not have."""
    stage = recipe.stages[index]
    where = f"{_title(recipe, index)}, settings"
    settings = stage_settings(recipe, index, {})
    if stage.kind == "pseudo_label":
        parse(PseudoLabelConfig, settings, where)
    elif stage.kind == "translate":
        parse(TranslationConfig, {"translator": "", **settings}, where)
    elif settings:
        raise InputError(f"{where}: a training stage has none; use `changes`, or set `kind`")


def _title(recipe: Recipe, index: int) -> str:
    """What progress and messages of a stage stand under."""
    return f"{recipe.name}, stage {recipe.stages[index].name}"


def _run_stage(recipe: Recipe, folder: Path, console: Console, resume: bool, title: str) -> Mapping[str, Any]:
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
    domains = resolve_domains(recipe)
    _write_config(recipe, folder)
    Trainer(recipe, domains, folder, console, title).run()
    results: dict[str, Any] = read_json(folder / "results.json")
    return results


def _write_data(
    recipe: Recipe, index: int, staged: Recipe, folder: Path, folders: Mapping[str, Path], console: Console
) -> None:
    """A stage that writes a data set with an earlier stage's network; what is complete is not made again."""
    stage = recipe.stages[index]
    settings = stage_settings(recipe, index, {name: str(path) for name, path in folders.items()})
    where = _title(recipe, index)
    if stage.kind == "pseudo_label":
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
