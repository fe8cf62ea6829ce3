"""A recipe understood to its end: every stage's settings parsed before anything runs."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from segshift.config import did_you_mean, parse
from segshift.engine.hollow import model_fault, network_names, start_misfit
from segshift.engine.pseudo_labels import PseudoLabelConfig
from segshift.engine.recipe import Recipe, TrackerName
from segshift.engine.stages import refers, stage_recipe, stage_settings
from segshift.engine.translation import TranslationConfig
from segshift.errors import InputError
from segshift.methods import MethodSettings, parse_method

Made = TypeVar("Made")
# Names that `optimizers` may hold whatever the method.
SHARED = ("segmenter", "adversary")


@dataclass(frozen=True)
class Job:
    """One stage, or the whole of a recipe without stages.

    Attributes:
        title: the recipe's name, and the stage's.
        kind: train, translate or pseudo_label.
        recipe: of the stage; `{NAME}` still stands for the folders of earlier stages.
        method: of `recipe.method`.
        settings: of a stage that writes data.
    """

    title: str
    kind: str
    recipe: Recipe
    method: MethodSettings
    settings: PseudoLabelConfig | TranslationConfig | None = None

    @property
    def trains_segmenter(self) -> bool:
        """Whether a segmenter is trained here, and not a translator or nothing."""
        return self.kind == "train" and self.method.needs_segmenter

    @property
    def needs_earlier_data(self) -> bool:
        """Whether its images are written by an earlier stage."""
        data = self.recipe.model_dump(exclude={"stages", "description", "provenance", "method", "init_from"})
        return refers(data)


@dataclass(frozen=True)
class Plan:
    """A recipe and what it is run as.

    Attributes:
        recipe: as it was written.
        jobs: its stages in order; one for a recipe without.
    """

    recipe: Recipe
    jobs: tuple[Job, ...]


def make_plan(recipe: Recipe, where: str | None = None) -> Plan:
    """The jobs of a recipe.

    Args:
        recipe: what is to run.
        where: what messages call it; its name by default.

    Raises:
        InputError: a stage whose method, term, optimizer or settings have an unknown key or a bad value, that
            refers to none before it or that names a tracker which is not installed; the message names the
            stage and the key.
    """
    where = where or recipe.name
    if not recipe.stages:
        return Plan(recipe, (_job(recipe, recipe.name, "train", where),))
    jobs: list[Job] = []
    for index, stage in enumerate(recipe.stages):
        here = f"{where}, stage {stage.name}"
        settings = _settings(stage.kind, stage_settings(recipe, index, {}), f"{here}, settings")
        staged = stage_recipe(recipe, index)
        job = _job(staged, f"{recipe.name}, stage {stage.name}", stage.kind, here, settings)
        before = next((one for one in reversed(jobs) if one.trains_segmenter), None)
        if before is not None and job.trains_segmenter and "init_from" not in stage.changes:
            check_start(before.recipe, staged, here)
        jobs.append(job)
    return Plan(recipe, tuple(jobs))


def _job(
    recipe: Recipe,
    title: str,
    kind: str,
    where: str,
    settings: PseudoLabelConfig | TranslationConfig | None = None,
) -> Job:
    if kind == "train":
        _check_trackers(recipe.trackers, where)
    method = parse_method(recipe.method, f"{where}: method")
    foreign = [name for name in recipe.optimizers if name not in SHARED]
    networks = network_names(recipe, method) if foreign and kind == "train" else None
    if networks is not None:
        check_networks(foreign, networks, f"{where}: ")
    if kind == "train" and method.needs_segmenter:
        if fault := model_fault(recipe.model):
            raise InputError(f"{where}: model: {fault}")
        method.check_heads(recipe.model.auxiliary_head, f"{where}: method")
    return Job(title, kind, recipe, method, settings)


def _check_trackers(names: Sequence[TrackerName], where: str) -> None:
    """Raises InputError for a tracker without its package: accelerate would leave it out without a word."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            extra = "" if name == "wandb" else ' (or "segshift[track]" for TensorBoard and MLflow)'
            raise InputError(
                f"{where}: trackers: the package {name} is not installed; run `pip install {name}`{extra}"
            )


def all_or_errors(makers: Mapping[str, Callable[[], Made]], fail: str) -> list[Made]:
    """What every maker makes, or one InputError that tells of all that failed.

    Args:
        makers: by the name that each one's message gets, unless it has it already.
        fail: what several that failed are said to do ("arms cannot run").
    """
    made, problems = [], []
    for name, make in makers.items():
        try:
            made.append(make())
        except InputError as error:
            problems.append(str(error) if name in str(error) else f"{name}: {error}")
    if len(problems) > 1:
        raise InputError(f"{len(problems)} of {len(makers)} {fail}: {'; '.join(problems)}")
    if problems:
        raise InputError(problems[0])
    return made


def check_networks(named: Sequence[str], networks: Sequence[str], where: str = "") -> None:
    """Raises InputError for a name in `optimizers` that no network of the method has."""
    for name in named:
        if name not in networks and name not in SHARED:
            hint = did_you_mean(name, [*networks, "adversary"])
            raise InputError(f"{where}optimizers.{name}: the method has no such network{hint}")


def check_start(before: Recipe, recipe: Recipe, where: str) -> None:
    """Raises InputError for a recipe that cannot go on from the model of the one before it."""
    if before.classes != recipe.classes:
        raise InputError(f"{where}: `classes` differ from those of the model that it starts from")
    problem = start_misfit(before.model, recipe.model)
    if problem:
        raise InputError(
            f"{where}: model = {recipe.model.title()} does not fit the model that it starts from, "
            f"{before.model.title()} ({problem}); use the same `model` section"
        )


def _settings(
    kind: str, settings: Mapping[str, Any], where: str
) -> PseudoLabelConfig | TranslationConfig | None:
    if kind == "pseudo_label":
        return parse(PseudoLabelConfig, settings, where)
    if kind == "translate":
        return parse(TranslationConfig, {"translator": "", **settings}, where)
    if settings:
        raise InputError(f"{where}: a training stage has none; use `changes`, or set `kind`")
    return None
