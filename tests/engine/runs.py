"""Running recipes in tests, and comparing what they leave."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from segshift.engine.recipe import Recipe
from segshift.engine.run import run_recipe
from segshift.progress import SILENT


def run(recipe: Recipe, folder: Path, resume: bool = False) -> dict[str, Any]:
    return dict(run_recipe(recipe, folder, SILENT, resume))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def assert_same_bits(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name
