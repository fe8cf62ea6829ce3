"""Where a model comes from: the trainings behind it, read off the run folders that they left."""

from dataclasses import dataclass

from segshift.engine.config_file import read_config
from segshift.engine.fingerprint import start_content
from segshift.engine.recipe import Recipe
from segshift.engine.stages import stage_recipe
from segshift.files import expanded
from segshift.folders import RunFolder, step_of
from segshift.methods import parse_method

# The chain of starts ends here at the latest, also where files were moved in a circle.
_MOST_LEGS = 50


@dataclass(frozen=True)
class Leg:
    """One training on the way to a model.

    Attributes:
        steps: optimizer steps.
        images: labelled source images per step.
        start: what it started from: equal starts are equal strings.
        start_words: the same for people.
    """

    steps: int
    images: int
    start: str
    start_words: str


def legs_behind(recipe: Recipe) -> tuple[Leg, ...]:
    """The trainings behind a recipe's model, the last first, as far back as their folders still lie there."""
    legs: list[Leg] = []
    current: Recipe | None = recipe
    while current is not None and len(legs) < _MOST_LEGS:
        start = current.init_from
        identity = None if start is None else start_content(expanded(start))
        legs.append(leg_of(current, identity))
        current = None if start is None else recipe_of_model(start)
    return tuple(legs)


def leg_of(recipe: Recipe, start: str | None) -> Leg:
    """A recipe's own training; `start` stands for what it starts from, None for the weights of `model`."""
    words = recipe.init_from or f"{recipe.model.title()} with weights: {recipe.model.weights}"
    return Leg(recipe.training.steps, recipe.source_images_per_step, start or words, words)


def final_recipe(recipe: Recipe, run: RunFolder) -> Recipe:
    """The recipe of the stage whose model a run folder holds: the last that trains a segmenter."""
    trained = [
        index
        for index, stage in enumerate(recipe.stages)
        if stage.kind == "train" and parse_method(stage_recipe(recipe, index).method).needs_segmenter
    ]
    if not trained:
        return recipe
    stage = run.stage(trained[-1], recipe.stages[trained[-1]].name)
    # Only the stage's own file knows what it started from; without it the rest is still known.
    return read_config(stage) if stage.is_run else stage_recipe(recipe, trained[-1])


def recipe_of_model(model: str) -> Recipe | None:
    """The final recipe of the run that a model file or run folder comes from; None where none lies by it."""
    run, step = RunFolder.of(model), step_of(model)
    if not run.is_run or (step is None and not run.model.is_file()):
        return None
    return until(final_recipe(read_config(run), run), step)


def until(recipe: Recipe, step: int | None) -> Recipe:
    """The recipe as far as RUN@STEP has followed it; all of it for None."""
    if step is None:
        return recipe
    training = recipe.training.model_copy(update={"steps": step})
    return recipe.model_copy(update={"training": training})
