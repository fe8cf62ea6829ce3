"""Training from Python: a preset, one's own images, a folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from segshift.config import Settings, assignment, assignments
from segshift.data.labels import ClassSet
from segshift.data.resolve import classes_of
from segshift.engine.presets import load_recipe
from segshift.engine.processes import training_on
from segshift.engine.recipe import Recipe
from segshift.engine.recipe_files import domain_changes
from segshift.engine.run import run_recipe
from segshift.engine.torch_data import write_dataset
from segshift.errors import InputError
from segshift.evaluation.items import LabelledItems
from segshift.files import expanded
from segshift.progress import SILENT, Progress

Data = str | Path | LabelledItems
"""A dataset argument, or a torch data set."""


def train(
    recipe: str | Path,
    out: str | Path,
    *,
    source: Data | None = None,
    target: Data | None = None,
    evaluation: Data | None = None,
    classes: Sequence[str] | str | None = None,
    settings: Settings = (),
    resume: bool = False,
    device: str | torch.device | None = None,
    progress: Progress = SILENT,
) -> Mapping[str, Any]:
    """Train a recipe, as `segshift train` does.

    Args:
        recipe: a name of `segshift presets list`, or the path of a YAML.
        out: the run folder, which `segshift.load` takes afterwards. Torch data sets are written below it,
            into `data/source`, `data/target` and `data/evaluation`, see `segshift.write_dataset`.
        source: labelled images: a dataset argument, or a torch data set of (image, label).
        target: unlabelled images: the same; labels of a torch data set are never written.
        evaluation: labelled images to report on; None takes the target's split `val`, where it has one.
        classes: of torch data sets: names in the order of the train ids, or the name of a set; None takes the
            data set's attribute `classes`, or the classes of `source`.
        settings: of the recipe's keys: {"a.b": value}, or "a.b=value" as for --set.
        resume: go on with an unfinished run in `out`.
        device: where it trains; None takes a GPU if there is one.
        progress: who hears how it goes.

    Returns:
        What stands in the run's `results.json`: `evaluation` (None without labels), `steps`, `selected` ...

    Raises:
        InputError: bad data or settings, or a folder that holds another run.
        errors.StoppedError: Ctrl-C or SIGTERM, after saving.
        errors.NonFiniteError: with the last good checkpoint in place.

    Example:
        >>> import segshift
        >>> segshift.train("advent", "runs/own", source=mine, target=theirs)  # doctest: +SKIP
    """
    # What is wrong with the recipe is said before anything is written.
    assigned = assignments(settings)
    planned = domain_changes(None if source is None else "source", None)
    check_trains(load_recipe(recipe, [*planned, *assigned]), str(recipe), assigned)
    folder = expanded(out) / "data"
    named = _names(source, classes)
    changes = domain_changes(
        _argument(source, folder / "source", named),
        _argument(target, folder / "target", named, labelled=False),
    )
    if evaluation is not None:
        argument = _argument(evaluation, folder / "evaluation", named, split="val")
        changes.append(assignment("evaluation.dataset", argument))
    with training_on(device):
        return run_recipe(load_recipe(recipe, [*changes, *assigned]), expanded(out), progress, resume)


def check_trains(recipe: Recipe, name: str, settings: Sequence[str]) -> None:
    """Refuse a recipe that would adapt or train nothing.

    Args:
        recipe: to be run.
        name: what the user called it.
        settings: the user's assignments; one that asks for no steps is meant.

    Raises:
        InputError: it has no source images or no steps, and no network to start from.
    """
    if recipe.init_from is not None or recipe.stages:
        return
    if not recipe.has_source:
        raise InputError(
            f"{name}: adapts a network without source images (source.dataset: none); give it one: "
            "--set init_from=RUN_FOLDER, or take `segshift adapt`"
        )
    asked = any(setting.partition("=")[0].strip() == "training.steps" for setting in settings)
    if recipe.training.steps == 0 and not asked:
        raise InputError(
            f"{name}: trains nothing (training.steps = 0); give it a network to adapt: "
            "--set init_from=RUN_FOLDER; for the untrained network: --set training.steps=0"
        )


def _names(source: Data | None, classes: Sequence[str] | str | None) -> ClassSet | Sequence[str] | str | None:
    """The classes of torch data sets that do not say theirs."""
    if classes is not None or source is None:
        return classes
    return classes_of(str(source)) if isinstance(source, str | Path) else getattr(source, "classes", None)


def _argument(
    data: Data | None,
    folder: Path,
    classes: ClassSet | Sequence[str] | str | None,
    *,
    split: str = "train",
    labelled: bool = True,
) -> str | None:
    """The dataset argument of a stream; that of a torch data set after writing it."""
    if data is None or isinstance(data, str | Path):
        return None if data is None else str(data)
    named = getattr(data, "classes", classes) or classes
    return f"{write_dataset(data, folder, named, split=split, labelled=labelled)}:{split}"
