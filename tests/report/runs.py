"""Run folders for the report's tests: real ones of the toy data, and made-up ones."""

import json
from pathlib import Path
from typing import Any

import yaml

from segshift.config import merge, parse
from segshift.engine.recipe import Recipe
from segshift.report.runs import Run, read_run
from tests.engine.recipes import toy_recipe
from tests.engine.runs import run


def train(folder: Path, source: Path, target: Path | None, /, **changes: Any) -> Path:
    """A real run: a few steps of the tiny network, judged at 40x32."""
    settled = {"training": {"steps": 15, "checkpoint_every": 100}, "evaluation": {"input_size": [40, 32]}}
    segmenter = {"optimizers": {"segmenter": {"lr": 0.05}}}
    run(toy_recipe(source, target, **merge(merge(settled, segmenter), changes)), folder)
    return folder


def made_up(folder: Path, weights: str = "weights", uses: bool | None = False, /, **changes: Any) -> Path:
    """A folder with a recipe and results; its model is a file of a few bytes that no network can read."""
    data: dict[str, Any] = {
        "name": folder.name,
        "source": {"dataset": "city:game"},
        "training": {"steps": 100},
    }
    recipe = parse(Recipe, merge(data, changes), "made up")
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    results = {
        "steps": recipe.training.steps,
        "source": f"{recipe.source.dataset} {recipe.source.split}",
        "target": "streets",
    }
    (folder / "results.json").write_text(json.dumps({**results, "uses_target_labels": uses}))
    (folder / "model.safetensors").write_text(weights)
    return folder


def read(folder: Path) -> Run:
    return read_run(folder, folder.name)
