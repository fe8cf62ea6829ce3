"""Finding recipes: the presets that come with the package, files of one's own, and `extends:`."""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from segshift.config import apply_overrides, did_you_mean, merge, parse, parse_yaml, read_yaml
from segshift.engine.recipe import Recipe
from segshift.errors import InputError


def preset_names() -> list[str]:
    """Names of the presets in the package, sorted. Those that start with "_" are only extended."""
    return [name for name in _files() if not name.startswith("_")]


def preset_text(name: str) -> str:
    """A preset's YAML as it stands in the package, comments included. Raises InputError if unknown."""
    files = _files()
    if name not in files:
        raise InputError(
            f"{name!r} is neither a preset nor a file{did_you_mean(name, preset_names())} "
            "(`segshift presets list` shows them all)"
        )
    return files[name].read_text(encoding="utf-8")


def load_recipe(preset_or_file: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of a preset name or a YAML file, with `extends:` followed and assignments made.

    Args:
        preset_or_file: a name from `preset_names()` or the path of a YAML file.
        overrides: "a.b=value" assignments.

    Raises:
        InputError: unknown preset, unreadable file, unknown key, bad value, or `extends:` in a circle.
    """
    data = apply_overrides(_resolved(str(preset_or_file), ()), overrides)
    data.setdefault("name", Path(str(preset_or_file)).stem)
    return parse(Recipe, data, str(preset_or_file))


def recipe_data(data: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A recipe's mapping with its `extends:` (a preset's name) followed. Raises InputError."""
    data = dict(data)
    base = data.pop("extends", None)
    return data if base is None else merge(_resolved(str(base), (where,)), data)


def stage_recipe(recipe: Recipe, index: int) -> Recipe:
    """The recipe of one stage: the shared keys with the stage's changes, and no stages of its own."""
    stage = recipe.stages[index]
    data = merge(recipe.model_dump(mode="json"), stage.changes)
    data["stages"] = []
    return parse(Recipe, data, f"{recipe.name}, stage {stage.name}")


def _files() -> dict[str, Path]:
    # The package is always installed as plain files, so a Path is enough.
    folder = Path(str(resources.files("segshift.presets")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def _identity(reference: str) -> str:
    """A preset's name or a file's one path: a file can be written in many ways (sub/../own.yaml)."""
    path = Path(reference)
    return str(path.resolve()) if path.suffix in {".yaml", ".yml"} else reference


def _resolved(reference: str, above: tuple[str, ...]) -> dict[str, Any]:
    if _identity(reference) in map(_identity, above):
        raise InputError(f"extends: {' -> '.join([*above, reference])} runs in a circle; take one link out")
    path = Path(reference)
    if path.suffix in {".yaml", ".yml"}:
        data = read_yaml(path)
    else:
        data = parse_yaml(preset_text(reference), where=f"preset {reference}")
    base = data.pop("extends", None)
    if base is None:
        return data
    if not isinstance(base, str):
        raise InputError(f"{reference}: `extends` = {base!r}: give one preset name or YAML path")
    if Path(base).suffix in {".yaml", ".yml"}:
        base = str(path.parent / base)
    return merge(_resolved(base, (*above, reference)), data)
