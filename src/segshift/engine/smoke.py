"""A recipe shrunk to two tiny steps, to see whether it runs at all."""

import re
from collections.abc import Callable
from typing import Any

from segshift.config import merge, parse
from segshift.engine.recipe import NO_SOURCE, Recipe
from segshift.engine.stages import refers
from segshift.methods import TermConfig, term_class

# Cropped as well as resized: a recipe that scales at random needs equal sizes again.
_AUGMENTATION = {"resize": [64, 48], "crop": [64, 48]}


def _dataset(style: str) -> dict[str, Any]:
    return {
        "dataset": f"city:{style},size=64x48,count=6,val=2",
        "split": "train",
        "ignored_border": None,
        # Of the recipe's own images.
        "subset": None,
    }


# So few pixels have a class in such images.
_SAMPLING = {"min_pixels": 10}

# Several fit into such images.
_DETAIL = {"detail": [32, 32]}

# Of these hundreds of millions of parameters a trial would take minutes and most of a machine's memory.
_LARGE = re.compile(r"^vit_(base|large|giant)_(?=\w*dinov[23]$)")

_TINY: dict[str, Any] = {
    "source": {**_dataset("game"), "augmentation": _AUGMENTATION, "sampling": _SAMPLING},
    "target": {**_dataset("overcast"), "augmentation": _AUGMENTATION, "sampling": _SAMPLING},
    "model": {"weights": "none"},
    "init_from": None,
    "training": {
        "batch_size": 2,
        "micro_batches": 1,
        "workers": 0,
        "evaluate_every": 0,
        "precision": "fp32",
        "select": "last",
        "oracle_selection": False,
        "evaluate_start": False,
        "patience": None,
    },
    "evaluation": {
        "dataset": None,
        "split": "val",
        "input_size": None,
        "window": None,
        "stride": None,
        "source_validation": None,
    },
}


def smoke_recipe(recipe: Recipe) -> Recipe:
    """`recipe` on six 64x48 city images, two steps per stage, without pretrained weights.

    Its method is unchanged but for patches, which become small, and terms that wake up late, which wake up
    at once, and for a large DINOv2 or DINOv3, whose place the small one takes. A recipe without steps (AdaBN)
    keeps having none.
    """
    data = merge(recipe.model_dump(mode="json"), _TINY)
    data["model"]["backbone"] = _LARGE.sub("vit_small_", data["model"]["backbone"])
    data["model"] = with_tiny_details(data["model"])
    if not recipe.has_source:
        data["source"]["dataset"] = NO_SOURCE
    data["training"]["steps"] = min(2, recipe.training.steps)
    data["method"] = tiny_method(data["method"])
    for name in recipe.labelled_streams:
        data[name] = merge(data[name], _TINY["target"])
    for stream in ("source", "target", *recipe.labelled_streams):
        data[stream]["also"] = [{**one, **_dataset("overcast")} for one in data[stream]["also"]]
    data["stages"] = [
        {**stage.model_dump(mode="json"), "changes": _tiny_changes(stage.changes)} for stage in recipe.stages
    ]
    if recipe.classes is None or isinstance(recipe.classes, list):
        data["classes"] = None
    return parse(Recipe, data, f"{recipe.name} (smoke)")


def _tiny_changes(changes: dict[str, Any]) -> dict[str, Any]:
    """A stage's changes, shrunk as the recipe is; what refers to earlier stages stays."""
    tiny = {key: dict(value) if isinstance(value, dict) else value for key, value in changes.items()}
    for stream in ("source", "target", "pseudo_labelled", "target_labelled"):
        if isinstance(tiny.get(stream), dict):
            if not refers(tiny[stream].get("dataset")):
                tiny[stream].pop("dataset", None)
                tiny[stream].pop("split", None)
            tiny[stream]["augmentation"] = _AUGMENTATION
    if not refers(tiny.get("init_from")) and tiny.get("init_from") is not None:
        del tiny["init_from"]
    for key in ("model", "training", "evaluation"):
        if isinstance(tiny.get(key), dict):
            tiny[key] = {**tiny[key], **_TINY[key]}
    if "training" in tiny:
        tiny["training"]["steps"] = min(2, changes["training"].get("steps", 2))
    if "method" in tiny:
        tiny["method"] = tiny_method(tiny["method"])
    return tiny


def with_tiny_details(model: dict[str, Any]) -> dict[str, Any]:
    """A recipe's `model:` section with details, if it has some, of which several fit into a tiny image."""
    details = model["multi_resolution"]
    return model if details is None else {**model, "multi_resolution": {**details, **_DETAIL}}


def tiny_method(method: dict[str, Any]) -> dict[str, Any]:
    """A recipe's `method:` section with its terms as they themselves are for tiny images and few steps."""
    return with_method_terms(method, lambda config: config.tiny())


def with_method_terms(method: dict[str, Any], changed: Callable[[TermConfig], TermConfig]) -> dict[str, Any]:
    """A recipe's `method:` section with `changed` settings of its terms, if it has terms."""
    if "terms" not in method:
        return method
    terms = []
    for i, term in enumerate(method["terms"]):
        where = f"method.terms.{i}"
        config = parse(term_class(term.get("term"), f"{where}.term").Config, term, where)
        terms.append(changed(config).model_dump(mode="json"))
    return {**method, "terms": terms}
