"""Small recipes for the trainer's tests."""

from pathlib import Path
from typing import Any

from segshift.config import merge, parse
from segshift.engine.recipe import Recipe


def toy_recipe(source: Path, target: Path | None, /, **changes: Any) -> Recipe:
    """Six steps of source-only training of the tiny network with augmentation; `changes` on top."""
    augmentation = {
        "scale": [0.8, 1.2],
        "crop": [40, 32],
        "flip": True,
        "color_jitter": {"brightness": 0.2, "probability": 0.5},
        "blur": {"sigma": [0.1, 1.0], "probability": 0.5},
    }
    data: dict[str, Any] = {
        "name": "toy",
        "source": {"dataset": str(source), "augmentation": augmentation},
        "target": {"dataset": None if target is None else str(target), "augmentation": augmentation},
        "model": {"backbone": "segshift_tiny", "weights": "none"},
        "optimizers": {"segmenter": {"lr": 0.01, "lr_multipliers": {"head": 2}}},
        "training": {
            "steps": 6,
            "batch_size": 2,
            "checkpoint_every": 2,
            "log_every": 1,
            "workers": 0,
            "threads": 1,
        },
    }
    return parse(Recipe, merge(data, changes), "toy recipe")


ADVERSARIAL = {"name": "align", "terms": [{"term": "advent", "base_channels": 4, "weight": 0.01}]}
MEAN_TEACHER = {"name": "align", "terms": [{"term": "mean_teacher", "confidence": 0.5}]}
EVERY_TERM = {
    "name": "align",
    "terms": [
        {"term": "output_alignment", "base_channels": 4},
        {"term": "output_alignment", "base_channels": 4, "level": "auxiliary"},
        {"term": "advent", "base_channels": 4, "normalized": True},
        {"term": "feature_alignment", "base_channels": 4},
        {"term": "minent"},
        {"term": "adabn"},
        {"term": "mean_teacher", "deploy": "teacher", "start_step": 3},
        {"term": "masked_consistency", "block_px": 16},
        {"term": "feature_distance", "classes": [0, 1]},
    ],
}
