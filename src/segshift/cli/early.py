"""What can be said of a command's words before PyTorch is loaded, which takes seconds and gigabytes.

Nothing here imports it; tests/cli/test_light.py holds the commands to that.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from segshift.config import assignment
from segshift.engine.recipe_files import preset_names, read_recipe
from segshift.errors import InputError
from segshift.folders import MODEL_FILE, model_file, model_path


def complete_preset(incomplete: str) -> list[str]:
    """Names of presets that begin so, for the shell's completion."""
    return [name for name in preset_names() if name.startswith(incomplete)]


PresetOrYaml = Annotated[
    str,
    typer.Argument(
        metavar="PRESET_OR_YAML", help="A preset's name or a YAML file.", autocompletion=complete_preset
    ),
]


def domain_changes(source: str | None, target: str | None) -> list[str]:
    """`--source` and `--target` as assignments, whatever brackets and colons a path holds."""
    changes = []
    if source is not None:
        # The preset's own target belongs to the preset's own source.
        changes += [assignment("source.dataset", source), "target.dataset=null"]
    return changes + ([] if target is None else [assignment("target.dataset", target)])


def check_recipe(recipe: str, changes: Sequence[str] = ()) -> None:
    """Raises InputError for an unknown preset, a file that is no YAML, or a bad assignment."""
    read_recipe(recipe, changes)


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
