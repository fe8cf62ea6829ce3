"""What can be said of a command's words before PyTorch is loaded, which takes seconds and gigabytes.

Nothing here imports it; tests/cli/test_light.py holds the commands to that.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from segshift.config import parse
from segshift.data.resolve import locate
from segshift.engine.datasets import resolve_domains
from segshift.engine.recipe import Recipe
from segshift.engine.recipe_files import preset_names, read_recipe
from segshift.engine.stages import stage_recipe
from segshift.errors import FormerNameWarning, InputError
from segshift.folders import MODEL_FILE, RunFolder, model_file, model_path


def complete_preset(incomplete: str) -> list[str]:
    """Names of presets that begin so, for the shell's completion."""
    return [name for name in preset_names() if name.startswith(incomplete)]


PresetOrYaml = Annotated[
    str,
    typer.Argument(
        metavar="PRESET_OR_YAML", help="A preset's name or a YAML file.", autocompletion=complete_preset
    ),
]


def checked_recipe(recipe: str, changes: Sequence[str] = ()) -> Recipe:
    """The recipe of a preset or YAML file, of which only the method's own settings are not checked yet.

    Raises:
        InputError: an unknown preset, a file that is no YAML, a bad assignment, an unknown key or a bad
            value, also in a later stage.
    """
    with warnings.catch_warnings():
        # Said when the recipe is read to be run, unless it cannot be.
        warnings.simplefilter("ignore", FormerNameWarning)
        data = read_recipe(recipe, changes)
        try:
            checked = parse(Recipe, data, recipe)
        except InputError:
            warnings.simplefilter("always", FormerNameWarning)
            return parse(Recipe, data, recipe)
        for index in range(len(checked.stages)):
            stage_recipe(checked, index)
    return checked


def check_data(*arguments: str | None) -> None:
    """Raises InputError for a data set that is not there, before others' images are looked for.

    The city's are passed over: it is rendered when it is named.
    """
    for argument in arguments:
        if argument is not None and not argument.startswith("city:"):
            locate(argument)


def check_images(recipe: Recipe, folder: Path) -> None:
    """Raises InputError for images that cannot be had, unless the run in `folder` is finished."""
    if recipe.stages or RunFolder(folder).results.is_file():
        return
    source = recipe.source.dataset if recipe.has_source and not recipe.oracle else None
    named = [source, recipe.target.dataset]
    check_data(*named)
    # The city is rendered when its images are looked for, which is for the run itself.
    if not any(name is not None and name.startswith("city:") for name in named):
        resolve_domains(recipe)


def check_models(models: Sequence[str | Path]) -> None:
    """Raises InputError for a run folder or model file that is not there."""
    for model in models:
        file = model_file(model)
        if not file.is_file():
            raise InputError(
                f"{file}: no such file; give a model file or a run folder that holds {MODEL_FILE}"
            )


def check_runs(runs: Sequence[Path]) -> None:
    """Raises InputError for a run folder that is not there. Of a file, the command knows more to say."""
    for run in runs:
        if not model_path(run).exists():
            raise InputError(f"{run}: no such folder; give the folder of a run")
