"""A whole recipe in a run folder: its stages in order, each run once, each resumable."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segshift.engine.checkpoint import Checkpoints
from segshift.engine.config_file import with_absolute_paths, write_config
from segshift.engine.datasets import DomainFinder, check_arguments
from segshift.engine.fingerprint import finished_result, is_current, recipe_fingerprint
from segshift.engine.health import pseudo_label_advice, read_summary
from segshift.engine.plan import Job, Plan, make_plan
from segshift.engine.processes import held, on_main_process, watched
from segshift.engine.pseudo_label_folder import SUMMARY
from segshift.engine.pseudo_labels import run_pseudo_label_stage
from segshift.engine.recipe import Recipe
from segshift.engine.stages import stage_recipe, stage_settings
from segshift.engine.survey import look_at_files
from segshift.engine.trainer import Trainer
from segshift.engine.translation import run_translate_stage
from segshift.errors import InputError
from segshift.files import atomic_path
from segshift.folders import RunFolder
from segshift.progress import SILENT, Progress


def run_recipe(
    recipe: Recipe, folder: Path, progress: Progress = SILENT, resume: bool = False
) -> Mapping[str, Any]:
    """Train every stage of `recipe` below `folder` and return the last one's results.

    The last stage's model and results are copied into `folder` itself, so that a run of several stages is
    used like any other.

    Args:
        recipe: what to train.
        folder: the run folder; a finished run in it is not run again.
        progress: who hears how it goes.
        resume: continue from the newest checkpoint. Without it a folder that holds an unfinished run is
            refused, so that nobody continues one by accident.

    Raises:
        InputError: bad data or settings, or a folder that holds another run.
        errors.StoppedError: Ctrl-C or SIGTERM, after saving.
        errors.NonFiniteError: with the last good checkpoint in place.
        errors.ProcessLostError: another process of the run is gone.
    """
    run, recipe = RunFolder(folder), with_absolute_paths(recipe)
    with watched(recipe.training.process_timeout_s), held(run.path):
        # What is wrong with a later stage is said now, not after hours of training.
        plan = make_plan(recipe)
        find = DomainFinder()
        check_data(plan, run, find)
        if recipe.stages:
            return _run_stages(plan, run, progress, resume, find)
        return _run_job(plan.jobs[0], recipe, run, progress, resume, find)


def _run_stages(
    plan: Plan, run: RunFolder, progress: Progress, resume: bool, find: DomainFinder
) -> Mapping[str, Any]:
    recipe = plan.recipe
    on_main_process(lambda: write_config(recipe, run))
    results: Mapping[str, Any] = {}
    folders: dict[str, str] = {}
    model = None if recipe.init_from is None else Path(recipe.init_from)
    for index, (stage, job) in enumerate(zip(recipe.stages, plan.jobs, strict=True)):
        here = run.stage(index, stage.name)
        staged = stage_recipe(recipe, index, folders)
        if model is not None and "init_from" not in stage.changes:
            staged = staged.model_copy(update={"init_from": str(model)})
        if stage.kind == "train":
            with held(here.path):
                results = _run_job(job, staged, here, progress, resume, find)
        else:
            _write_data(plan, index, staged, here.path, folders, progress)
        folders[stage.name] = str(here.path)
        if here.model.is_file():
            model = here.path
    if model is not None:
        on_main_process(lambda: _copy_results(RunFolder(model), run))
    return results


def _copy_results(stage: RunFolder, run: RunFolder) -> None:
    copies = {stage.model: run.model, stage.results: run.results, stage.environment: run.environment}
    for file, copy in copies.items():
        if file.is_file():
            with atomic_path(copy) as temporary:
                shutil.copyfile(file, temporary)


def check_data(plan: Plan, run: RunFolder, find: DomainFinder, purpose: str = "") -> None:
    """Find the images of every job whose data do not come from an earlier one, and that is not finished.

    Args:
        plan: the jobs.
        run: its folder.
        find: keeps what it found for the run itself.
        purpose: what the last job's score is needed for; empty where it may have none.

    Raises:
        InputError: images that cannot be had, of the first such job, or none to judge the last one on.
    """
    if run.results.is_file():
        return
    names = [stage.name for stage in plan.recipe.stages]
    finished = [stage.results.is_file() for stage in run.stages(names)] or [False]
    waiting = [job for job, is_done in zip(plan.jobs, finished, strict=True) if not is_done]
    for job in waiting:
        check_arguments(job.recipe, job.kind, job.title if names else "")
    for job in waiting:
        if job.kind == "train" and not job.needs_earlier_data:
            domains = find(job.recipe)
            if purpose and job is plan.jobs[-1] and domains.evaluation is None:
                raise needs_evaluation(plan.recipe.name, purpose)


def needs_evaluation(name: str, purpose: str) -> InputError:
    """What to raise where runs cannot be compared for want of labels."""
    return InputError(
        f"{name}: {purpose} needs a labelled evaluation set; set evaluation.dataset and evaluation.split"
    )


def _run_job(
    job: Job, recipe: Recipe, run: RunFolder, progress: Progress, resume: bool, find: DomainFinder
) -> Mapping[str, Any]:
    """Train a job's recipe, in which the folders of earlier stages stand by now."""
    # They take no part in whose run it is: it may be moved, and its folder written in another way.
    fingerprint = recipe_fingerprint(job.recipe.model_copy(update={"init_from": recipe.init_from}))
    finished = finished_result(run, fingerprint)
    if finished is not None and is_current(finished, recipe):
        progress.say(f"{job.title}: finished before, in {run.path}")
        return finished
    if finished is not None:
        progress.say(f"{job.title}: trained before, evaluated anew")
    elif not resume:
        if max(run.checkpoint_steps(), default=0) > 0:
            raise InputError(
                f"{run.path}: holds an unfinished run; add --resume to go on, or choose another --out"
            )
        # What failed before its first step (a wrong path, say) has nothing to lose.
        on_main_process(Checkpoints(run).clear)
    domains = look_at_files(recipe, find(recipe), progress.say)
    on_main_process(lambda: write_config(recipe, run))
    Trainer(recipe, domains, run.path, progress, job.title, fingerprint).run()
    results = run.read_results()
    assert results is not None  # the trainer's last act
    return results


def _write_data(
    plan: Plan, index: int, staged: Recipe, folder: Path, folders: Mapping[str, str], progress: Progress
) -> None:
    """A stage that writes a data set with an earlier stage's network; what is complete is not made again."""
    job = plan.jobs[index]
    settings = stage_settings(plan.recipe, index, folders)
    where = job.title
    if job.kind == "pseudo_label":
        on_main_process(lambda: run_pseudo_label_stage(staged, settings, folder, progress, where))
        for advice in pseudo_label_advice(read_summary(folder / SUMMARY)):
            progress.say(f"{where}  advice: {advice.line}")
    else:
        if folders:
            settings = {"translator": list(folders.values())[-1], **settings}
        on_main_process(lambda: run_translate_stage(staged, settings, folder, progress, where))
