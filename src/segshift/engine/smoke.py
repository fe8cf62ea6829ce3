"""A recipe shrunk to two tiny steps, to see whether it runs at all."""

from typing import Any

from segshift.config import merge, parse
from segshift.engine.recipe import Recipe, Stage

# Cropped as well as resized: a recipe that scales at random needs equal sizes again.
_AUGMENTATION = {"resize": [96, 64], "crop": [96, 64]}
_TINY: dict[str, Any] = {
    "source": {
        "dataset": "city:game,size=96x64,count=6,val=2",
        "split": "train",
        "augmentation": _AUGMENTATION,
    },
    "target": {
        "dataset": "city:overcast,size=96x64,count=6,val=2",
        "split": "train",
        "augmentation": _AUGMENTATION,
    },
    "model": {"weights": "none"},
    "init_from": None,
    "training": {"batch_size": 2, "micro_batches": 1, "workers": 0, "evaluate_every": 0, "precision": "fp32"},
    "evaluation": {"dataset": None, "split": "val", "input_size": None, "mode": "whole"},
}


def smoke_recipe(recipe: Recipe) -> Recipe:
    """`recipe` on six 96x64 city images, two steps, without pretrained weights; its method is unchanged.

    A recipe without steps (AdaBN) keeps having none.
    """
    data = merge(recipe.model_dump(mode="json"), _TINY)
    data["training"]["steps"] = min(2, recipe.training.steps)
    stages = []
    for stage in recipe.stages:
        changes = dict(stage.changes)
        changes.pop("source", None)
        changes.pop("target", None)
        if "training" in changes:
            steps = min(2, changes["training"].get("steps", 2))
            changes["training"] = {**changes["training"], **_TINY["training"], "steps": steps}
        stages.append(Stage(name=stage.name, changes=changes).model_dump(mode="json"))
    data["stages"] = stages
    if recipe.classes is None or isinstance(recipe.classes, list):
        data["classes"] = None
    return parse(Recipe, data, f"{recipe.name} (smoke)")
