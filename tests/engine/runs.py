"""Running recipes in tests, and comparing what they leave."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from segshift.engine.recipe import Recipe
from segshift.engine.run import run_recipe
from segshift.methods.align import Align
from segshift.progress import SILENT


def run(recipe: Recipe, folder: Path, resume: bool = False) -> dict[str, Any]:
    return dict(run_recipe(recipe, folder, SILENT, resume))


def stop_during(patch: pytest.MonkeyPatch, step: int, number: int) -> None:
    """Send this process a signal during a given step of `Align`."""
    original = Align.step

    def interrupted(self: Align, batch: Any) -> Any:
        if batch.step == step:
            os.kill(os.getpid(), number)
        yield from original(self, batch)

    patch.setattr(Align, "step", interrupted)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def assert_same_bits(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name
