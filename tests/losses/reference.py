"""Inputs and plain-Python formulas for the losses' tests."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    """float64 tensor from a fixed seed."""
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def softmax(scores: list[float]) -> list[float]:
    """Of one pixel, by the definition."""
    largest = max(scores)
    powers = [math.exp(score - largest) for score in scores]
    return [power / sum(powers) for power in powers]


def goldens(root: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The public codes' values: scalars and arrays."""
    scalars = json.loads((root / "golden.json").read_text())
    with np.load(root / "golden.npz") as file:
        arrays = {key: torch.from_numpy(file[key]) for key in file.files if file[key].dtype.kind in "iuf"}
    return scalars, arrays
