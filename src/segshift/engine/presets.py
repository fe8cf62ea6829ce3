"""Recipes as they are run: read, checked and planned to their end."""

from collections.abc import Sequence
from pathlib import Path

from segshift.config import parse
from segshift.engine.plan import make_plan
from segshift.engine.recipe import Recipe
from segshift.engine.recipe_files import preset_names, preset_text, read_recipe, recipe_data

__all__ = ["load_recipe", "preset_names", "preset_text", "recipe_data"]


def load_recipe(preset_or_file: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of a preset name or a YAML file, with `extends:` followed and assignments made.

    Args:
        preset_or_file: a name from `preset_names()` or the path of a YAML file.
        overrides: "a.b=value" assignments.

    Raises:
        InputError: unknown preset, unreadable file, unknown key or bad value, also in a later stage, or
            `extends:` in a circle.
    """
    where = str(preset_or_file)
    return make_plan(parse(Recipe, read_recipe(preset_or_file, overrides), where), where).recipe
