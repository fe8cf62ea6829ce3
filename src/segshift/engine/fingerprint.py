"""Whether a run folder belongs to a recipe: by a hash of all that changes what is trained."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segshift.config import parse
from segshift.engine.recipe import EvaluationConfig, Recipe
from segshift.engine.training_config import LAST
from segshift.errors import InputError
from segshift.folders import RunFolder, model_file

# Keys whose change does not change what is trained, so that a resumed run may differ in them.
_FREE_KEYS = {
    "evaluate_every",
    "checkpoint_every",
    "keep_checkpoints",
    "log_every",
    "pictures_every",
    "workers",
    "loader_timeout_s",
    "process_timeout_s",
    "threads",
    "compile",
    "convolutions",
    "augment_on",
    # These are added again where they choose the model; older runs know none of them.
    "select",
    "oracle_selection",
    "evaluate_start",
    "patience",
}
# Came later, and change nothing at these values: older runs know them not.
_LATER = {"backbone_training": "all", "lora": None, "layer_decay": 1.0, "multi_resolution": None}
# The same for the results of finished runs: what these change stands in metrics.jsonl alone.
_NOT_JUDGING = {"unsupervised_images", "source_validation"}


def recipe_fingerprint(recipe: Recipe) -> str:
    """A hash of everything in the recipe that changes what is trained.

    A stage's recipe is given with `{NAME}` of the earlier stages in its strings: where the run lies, and how
    its folder was written, changes nothing.
    """
    told = {"name", "description", "provenance", "group", "trackers"}
    data = recipe.model_dump(mode="json", exclude={*told, "evaluation", "stages"})
    for part in (data["model"], *data["optimizers"].values()):
        for key in [key for key, value in _LATER.items() if key in part and part[key] == value]:
            del part[key]
    if recipe.init_from is not None:
        data["init_from"] = start_content(recipe.init_from)
    data["training"] = {key: value for key, value in data["training"].items() if key not in _FREE_KEYS}
    if recipe.training.select != LAST:
        # Another choice is another model. What the score is taken on belongs to it.
        evaluation = recipe.evaluation
        data["selection"] = [
            recipe.training.select,
            evaluation.unsupervised_images,
            evaluation.source_validation,
        ]
        training = recipe.training
        if training.evaluate_start or training.patience is not None:
            # How often it is looked at decides when patience ends.
            data["selection"] += [training.evaluate_start, training.patience, training.evaluate_every]
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def start_content(start: str | Path) -> str:
    """A hash of the model to start from: where it lies does not matter, what it is does."""
    # A missing file is named with its remedy when the network is built.
    try:
        file = model_file(start)
    except InputError:
        return str(start)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else str(start)


def finished_result(run: RunFolder, fingerprint: str) -> Mapping[str, Any] | None:
    """The results of a run that is complete and was trained by the recipe of this fingerprint, else None.

    They may come from another evaluation: see `is_current`.

    Raises:
        InputError: the folder holds the results of another recipe.
    """
    results = run.read_results()
    if results is not None and results.get("fingerprint") != fingerprint:
        raise InputError(f"{run.path}: holds a finished run with other settings; choose another --out folder")
    return results


def is_current(results: Mapping[str, Any], recipe: Recipe) -> bool:
    """Whether finished results were evaluated as the recipe asks; a trained network can be judged anew."""
    # Parsed, since older versions wrote other keys.
    judged = parse(EvaluationConfig, results.get("evaluation_settings", {}), "results.json")
    return judged.model_dump(exclude=_NOT_JUDGING) == recipe.evaluation.model_dump(exclude=_NOT_JUDGING)
