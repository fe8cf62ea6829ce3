"""Folder trees in layouts that people use, filled with rendered streets of known classes."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segshift.city import render

CITY = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
    "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
COLORS = (
    (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153),
    (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60),
    (255, 0, 0), (0, 0, 142), (0, 0, 70), (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32),
)  # fmt: skip
SIZE = (96, 64)
Encode = Callable[[NDArray[np.uint8]], NDArray[Any]]
Truth = dict[Path, NDArray[np.uint8]]


def as_ids(label: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Train ids as they are."""
    return label


def as_colors(
    label: NDArray[np.uint8], colors: tuple[tuple[int, int, int], ...] = COLORS
) -> NDArray[np.uint8]:
    """Train ids as RGB colors; ignored pixels black."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(colors)] = colors
    return table[label]


def fill(root: Path, pairs: list[tuple[str, str | None]], encode: Encode = as_ids) -> Truth:
    """Write (image, label) paths below `root`; the train ids of every image."""
    truth = {}
    for index, (image, label) in enumerate(pairs):
        pixels, train_ids = _scene(index % 3)
        path = root / image
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        truth[path] = train_ids
        if label is not None:
            (root / label).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(encode(train_ids)).save(root / label)
    return truth


@lru_cache(maxsize=3)
def _scene(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    scene = render("overcast", seed, SIZE)
    return scene.image, scene.label
