"""The stages of a recipe: each is the shared keys with its own changes on top."""

import re
from collections.abc import Mapping
from typing import Any

from segshift.config import did_you_mean, parse
from segshift.engine.recipe import Recipe
from segshift.engine.recipe_files import merge_recipe
from segshift.errors import InputError, shown

PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")
"""In the strings of a stage, `{NAME}` is the folder of the earlier stage NAME."""


def stage_recipe(recipe: Recipe, index: int, folders: Mapping[str, str] | None = None) -> Recipe:
    """The recipe of one stage: the shared keys with the stage's changes, and no stages of its own.

    Args:
        recipe: with stages.
        index: which.
        folders: of earlier stages by name, put in place of `{NAME}` in the stage's strings; without them
            the strings stay as they are.

    Raises:
        InputError: `{NAME}` of a stage that does not come earlier, or changes that make no valid recipe.
    """
    where = f"{recipe.name}, stage {recipe.stages[index].name}"
    changes = _filled(recipe.stages[index].changes, _earlier(recipe, index), folders or {}, where)
    data = merge_recipe(recipe.model_dump(mode="json"), changes)
    data["stages"] = []
    return parse(Recipe, data, where)


def stage_settings(recipe: Recipe, index: int, folders: Mapping[str, str]) -> dict[str, Any]:
    """The `settings` of one stage, `{NAME}` filled in as `stage_recipe` does. Raises InputError."""
    stage = recipe.stages[index]
    where = f"{recipe.name}, stage {stage.name}"
    settings: dict[str, Any] = _filled(stage.settings, _earlier(recipe, index), folders, where)
    return settings


def refers(value: Any) -> bool:
    """Whether `{NAME}` of an earlier stage stands anywhere in a value."""
    if isinstance(value, Mapping):
        return any(map(refers, value.values()))
    if isinstance(value, list | tuple):
        return any(map(refers, value))
    return isinstance(value, str) and PLACEHOLDER.search(value) is not None


def _earlier(recipe: Recipe, index: int) -> set[str]:
    return {stage.name for stage in recipe.stages[:index]}


def _filled(value: Any, earlier: set[str], folders: Mapping[str, str], where: str) -> Any:
    """`value` with the folders of earlier stages in place of `{NAME}` in all of its strings."""
    if isinstance(value, Mapping):
        return {key: _filled(part, earlier, folders, where) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, earlier, folders, where) for part in value]
    if not isinstance(value, str):
        return value
    for name in PLACEHOLDER.findall(value):
        if name not in earlier:
            hint = did_you_mean(name, sorted(earlier))
            raise InputError(f"{where}: {{{name}}} in {shown(value)} names no earlier stage{hint}")
        if name in folders:
            value = value.replace(f"{{{name}}}", folders[name])
    return value
