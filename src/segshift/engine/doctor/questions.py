"""The doctor's questions, one function each, and the examination that asks them all."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch.optim import Optimizer

from segshift.engine.build import build_optimizers
from segshift.engine.checkpoint import Checkpoints
from segshift.engine.datasets import resolve_domains
from segshift.engine.doctor.processes import train_in_processes
from segshift.engine.doctor.toy import (
    CLASSES,
    STEPS,
    ToyData,
    largest_difference,
    plain_optimizers,
    toy_batch,
    toy_method,
    toy_recipe,
    write_toy_dataset,
)
from segshift.engine.doctor.watch import Watched
from segshift.engine.feed import TrainingData
from segshift.engine.processes import Processes
from segshift.engine.recipe import Recipe
from segshift.engine.seeds import seed_step
from segshift.engine.stages import stage_recipe
from segshift.engine.step import ContractError, train_step
from segshift.errors import InputError, NonFiniteError
from segshift.folders import RunFolder
from segshift.methods import Method
from segshift.models import Segmenter
from segshift.sizes import height_width

# Sums of floats in another order differ by this much, relative to the largest value.
_TOLERANCE = 2e-5
_NAMED_AT_MOST = 4


@dataclass(frozen=True)
class Finding:
    """One answer.

    Attributes:
        check: what was asked.
        verdict: ok; failed; declared = an exception that the method names itself; skipped.
        detail: what was seen, or what to do.
    """

    check: str
    verdict: Literal["ok", "failed", "declared", "skipped"]
    detail: str


@dataclass(frozen=True)
class Examination:
    """What the doctor found about one method.

    Attributes:
        name: of the recipe, with its stage.
        schedules: the updates of the first steps, "*" for those that only accumulate.
        findings: in the order of the questions.
    """

    name: str
    schedules: tuple[tuple[str, ...], ...]
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing failed."""
        return all(finding.verdict != "failed" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "name": self.name,
            "healthy": self.healthy,
            "schedules": [list(schedule) for schedule in self.schedules],
            "findings": [vars(finding) for finding in self.findings],
        }


def examine(recipe: Recipe) -> list[Examination]:
    """Examine the method of a recipe, or of each of its training stages.

    Raises:
        InputError: the recipe does not build.
    """
    if not recipe.stages:
        return [_examine(recipe, recipe.name)]
    stages = [(stage, _stage(recipe, i)) for i, stage in enumerate(recipe.stages)]
    return [
        _examine(staged, f"{recipe.name}, {stage.name}") for stage, staged in stages if stage.kind == "train"
    ]


def _examine(recipe: Recipe, name: str) -> Examination:
    with tempfile.TemporaryDirectory(prefix="segshift_doctor_") as scratch:
        write_toy_dataset(Path(scratch))
        toy = toy_recipe(recipe, Path(scratch))
        findings = [_groups(toy)]
        schedules: list[tuple[str, ...]] = []
        if toy.training.steps == 0:
            findings.append(Finding("updates", "skipped", "the recipe has no steps: it only prepares"))
        elif findings[0].verdict == "ok":
            findings += _watch(toy, schedules)
            if all(finding.verdict != "failed" for finding in findings):
                findings += [
                    _guarded("micro-batches", lambda: _micro_batches(toy)),
                    _guarded("resume", lambda: _resume(toy, Path(scratch))),
                    _guarded("processes", lambda: _processes(toy, Path(scratch))),
                ]
        findings.append(_guarded("target labels", lambda: _target_labels(toy, recipe)))
        findings.append(_guarded("deployment", lambda: _deployment(toy, Path(scratch))))
    return Examination(name, tuple(schedules), tuple(findings))


def _stage(recipe: Recipe, index: int) -> Recipe:
    """A stage's recipe, which starts from something if it would in a run."""
    staged = stage_recipe(recipe, index)
    if index > 0 and "init_from" not in recipe.stages[index].changes:
        staged = staged.model_copy(update={"init_from": "the stage before"})
    return staged


def _guarded(check: str, ask: Callable[[], Finding]) -> Finding:
    """A method that breaks during a question has failed it."""
    try:
        return ask()
    except InputError as error:
        return Finding(check, "failed", str(error))
    except Exception as error:  # whatever the method's own code may raise
        return Finding(check, "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _groups(recipe: Recipe) -> Finding:
    """Are the networks' parameters disjoint, trainable, and all there are?"""
    method = toy_method(recipe)
    owner: dict[int, str] = {}
    names = {id(parameter): name for name, parameter in method.named_parameters()}
    for network, parameters in method.networks().items():
        for parameter in parameters:
            if id(parameter) not in names:
                return Finding(
                    "networks", "failed", f"{network} holds a parameter that is none of the method's"
                )
            if id(parameter) in owner:
                both = f"{owner[id(parameter)]} and {network}"
                return Finding("networks", "failed", f"{names[id(parameter)]} is in {both}; keep it in one")
            if not parameter.requires_grad:
                return Finding(
                    "networks", "failed", f"{network}: {names[id(parameter)]} is frozen; leave it out"
                )
            owner[id(parameter)] = network
    orphans = [names[id(p)] for p in method.parameters() if p.requires_grad and id(p) not in owner]
    if orphans and recipe.training.steps > 0:
        return Finding(
            "networks",
            "failed",
            f"in no network: {_some(orphans)}; add them, or freeze them by requires_grad_(False)",
        )
    sizes = {name: sum(p.numel() for p in group) for name, group in method.networks().items()}
    detail = ", ".join(f"{name} ({size:,} parameters)" for name, size in sizes.items())
    return Finding("networks", "ok", f"disjoint: {detail}" if sizes else "none: nothing is trained")


def _watch(recipe: Recipe, schedules: list[tuple[str, ...]]) -> Iterator[Finding]:
    """Do only announced networks move, does everything get trained, and stay the numbers finite?"""
    method = toy_method(recipe)
    method.prepare(ToyData())
    watched = Watched(method)
    optimizers = plain_optimizers(method)
    try:
        for step in range(STEPS):
            seed_step(recipe.seed, step)
            log = train_step(watched, [toy_batch(recipe, step)], optimizers)
            schedules.append(tuple(log.schedule))
    except (ContractError, NonFiniteError, InputError) as error:
        yield Finding("updates", "failed", str(error))
        return
    except Exception as error:  # whatever the method's own code may raise
        yield Finding("updates", "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
        return
    if watched.strangers:
        yield Finding("updates", "failed", "; ".join(watched.strangers[:_NAMED_AT_MOST]))
    else:
        yield Finding("updates", "ok", "only announced networks get gradients and move")
    names = {id(parameter): name for name, parameter in method.named_parameters()}
    untrained = [
        names[id(p)]
        for group in method.networks().values()
        for p in group
        if names[id(p)] not in watched.reached
    ]
    if untrained:
        yield Finding("training", "failed", f"no gradient ever reached {_some(untrained)}")
    else:
        yield Finding("training", "ok", f"every parameter got a gradient within {STEPS} steps")
    finite = all(bool(torch.isfinite(value).all()) for value in method.state_dict().values())
    yield Finding("finite", "ok" if finite else "failed", f"parameters and buffers after {STEPS} steps")


def _micro_batches(recipe: Recipe) -> Finding:
    """Are two micro-batches of half the size the same as one batch?"""
    whole, halves = toy_method(recipe), toy_method(recipe)
    for method, parts in ((whole, 1), (halves, 2)):
        method.prepare(ToyData())
        optimizers = plain_optimizers(method)
        for step in range(2):
            seed_step(recipe.seed, step)
            batch = toy_batch(recipe, step)
            train_step(method, [batch.part(k, parts) for k in range(parts)], optimizers)
    return _compared("micro-batches", whole, largest_difference(whole, halves), "2 micro-batches = 1 batch")


def _resume(recipe: Recipe, scratch: Path) -> Finding:
    """Does a run that was stopped and loaded again go on bit for bit?"""
    straight, _ = _trained(recipe, 0, STEPS, None)
    checkpoints = Checkpoints(RunFolder(scratch))
    first, moved = _trained(recipe, 0, STEPS // 2, None)
    checkpoints.save(STEPS // 2, first, moved, "doctor")
    second, _ = _trained(recipe, STEPS // 2, STEPS, checkpoints)
    difference = largest_difference(straight, second)
    if difference > 0:
        return Finding(
            "resume",
            "failed",
            f"differs by {difference:.1e} after a restart; keep all that the method remembers in buffers",
        )
    return Finding("resume", "ok", "a run that was stopped goes on bit for bit")


def _trained(
    recipe: Recipe, first: int, last: int, start: Checkpoints | None
) -> tuple[Method, dict[str, Optimizer]]:
    """The method with the recipe's own optimizers after some steps, from its beginning or a checkpoint."""
    method = toy_method(recipe)
    optimizers = build_optimizers(method, recipe)
    if start is None:
        method.prepare(ToyData())
    else:
        start.load_latest(method, optimizers, "doctor")
    for step in range(first, last):
        seed_step(recipe.seed, step)
        train_step(method, [toy_batch(recipe, step)], optimizers)
    return method, optimizers


def _processes(recipe: Recipe, scratch: Path) -> Finding:
    """Do two processes that share each batch equal one?"""
    single = toy_method(recipe)
    single.prepare(ToyData())
    optimizers = plain_optimizers(single)
    for step in range(2):
        seed_step(recipe.seed, step)
        train_step(single, [toy_batch(recipe, step)], optimizers)
    other = toy_method(recipe)
    folder = scratch / "processes"
    folder.mkdir()
    worst = 0.0
    for state in train_in_processes(recipe, 2, folder):
        other.load_state_dict(state)
        worst = max(worst, largest_difference(single, other))
    return _compared("processes", single, worst, "2 processes = 1")


def _compared(check: str, method: Method, difference: float, what: str) -> Finding:
    if difference <= _TOLERANCE:
        return Finding(check, "ok", f"{what} (largest difference {difference:.0e})")
    reason = method.why_splits_differ
    if reason:
        return Finding(check, "declared", f"differ by {difference:.0e}: {reason}")
    return Finding(
        check,
        "failed",
        f"not {what}: they differ by {difference:.0e}; average losses over images, or say in "
        "`why_splits_differ` why that cannot be",
    )


def _target_labels(toy: Recipe, recipe: Recipe) -> Finding:
    """Does everything run on a target whose label files cannot be read?"""
    domains = resolve_domains(toy.model_copy(update={"evaluation": _no_evaluation(toy)}))
    data = TrainingData(toy, domains)
    method = toy_method(toy)
    method.prepare(data)
    optimizers = plain_optimizers(method)
    for batches in data.steps(Processes(0, 1, torch.device("cpu")), 0, method.uses_target):
        train_step(method, batches, optimizers)
    if recipe.uses_target_labels:
        return Finding("target labels", "declared", "the recipe asks for target labels; every table says so")
    return Finding("target labels", "ok", "trained on a target whose label files cannot be opened")


def _no_evaluation(recipe: Recipe) -> Any:
    """None: the toy has no split `val`, so that only training could touch the target's labels."""
    return recipe.evaluation.model_copy(update={"dataset": None, "split": None})


def _deployment(recipe: Recipe, scratch: Path) -> Finding:
    """Does the network that is saved predict what the method predicts?"""
    method = toy_method(recipe)
    method.prepare(ToyData())
    method.eval()
    method.save(scratch)
    network = method.deployed()
    if network is None:
        files = sorted(path.name for path in scratch.glob("*.safetensors"))
        verdict: Literal["ok", "failed"] = "ok" if files else "failed"
        return Finding("deployment", verdict, f"no segmenter; saved {', '.join(files) or 'nothing'}")
    images = toy_batch(recipe, 0).target_images
    with torch.inference_mode():
        logits = method.predict(images)
        loaded = Segmenter.load(scratch)
        again = loaded.predict_probabilities(images, height_width(images)).argmax(dim=1)
    expected = (len(images), CLASSES.count, *images.shape[-2:])
    if tuple(logits.shape) != expected:
        return Finding("deployment", "failed", f"predict gave {tuple(logits.shape)}, expected {expected}")
    if not torch.equal(logits.argmax(dim=1), again):
        return Finding("deployment", "failed", "the saved network predicts something else than `predict`")
    return Finding("deployment", "ok", "the saved network predicts what the method predicts")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else ""
    return ", ".join(names[:_NAMED_AT_MOST]) + more
