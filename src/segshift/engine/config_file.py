"""The config.yaml of a run: a recipe that means the same from every working folder, and after a move."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from segshift.config import parse
from segshift.data.resolve import absolute_argument, file_of
from segshift.documents import dump_yaml
from segshift.engine.presets import load_recipe
from segshift.engine.recipe import Recipe
from segshift.engine.stages import PLACEHOLDER
from segshift.files import expanded, write_text
from segshift.folders import RunFolder, url_of

_DATA_KEYS = {"dataset", "source_validation"}
_FILE_KEYS = {"init_from", "weights", "list", "thresholds", "translator", "model"}
_CODE_KEYS = {"name", "term", "module"}
# Words about the recipe, whose keys are names of things and not settings.
_PROSE = "provenance"
# How many folders above a run's own may have moved with it: run of a stage, seed, comparison, project.
_LEVELS = 4


def write_config(recipe: Recipe, run: RunFolder) -> None:
    """Write the resolved recipe, which runs again with `segshift train config.yaml`."""
    write_text(run.config, dump_yaml(recipe.model_dump(mode="json")))


def read_config(run: RunFolder) -> Recipe:
    """The recipe of a run, with what has been moved together with the run found where it is now.

    Raises:
        InputError: there is none, or it is damaged.
    """
    return _with_paths(load_recipe(run.config), lambda key, text: _moved(key, text, run.path))


def with_absolute_paths(recipe: Recipe) -> Recipe:
    """The recipe with absolute paths of data sets and files, as it is written into the run's folder."""
    return _with_paths(recipe, _absolute)


def _with_paths(recipe: Recipe, change: Callable[[str, str], str]) -> Recipe:
    """The recipe with `change(key, value)` in place of all its strings but those that name earlier stages."""

    def changed(key: str, value: Any) -> Any:
        if key == _PROSE:
            return value
        if isinstance(value, Mapping):
            return {name: changed(name, part) for name, part in value.items()}
        if isinstance(value, list):
            return [changed(key, part) for part in value]
        return change(key, value) if isinstance(value, str) and not PLACEHOLDER.search(value) else value

    return parse(Recipe, changed("", recipe.model_dump(mode="json")), recipe.name)


def _absolute(key: str, text: str) -> str:
    if key in _DATA_KEYS:
        return absolute_argument(text)
    if key in _CODE_KEYS and ".py:" in text:
        file, _, name = text.rpartition(":")
        return f"{os.path.abspath(expanded(file))}:{name}"
    # `weights` may be a word, and a `list` one of classes.
    is_path = key in _FILE_KEYS and expanded(text).exists()
    return os.path.abspath(expanded(text)) if is_path else text


def _moved(key: str, text: str, folder: Path) -> str:
    """A path, or the same file or run in a folder that has moved together with a run's."""
    file = file_of(text) if key in _DATA_KEYS else text if key == "init_from" else None
    if file is None or url_of(file) is not None or expanded(file).exists():
        return text
    # A folder is known by its name; files of many folders are called model.safetensors or dataset.yaml.
    path = Path(file)
    tail = path.parts[-2:] if path.suffix else path.parts[-1:]
    for above in folder.absolute().parents[:_LEVELS]:
        candidate = above.joinpath(*tail)
        if candidate.exists() and candidate != folder.absolute():
            return text.replace(file, str(candidate), 1)
    return text
