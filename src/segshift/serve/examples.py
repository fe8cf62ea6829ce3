"""Images to try the page with: the owner's own, or rendered streets where the networks know their classes."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from segshift.city import render
from segshift.data.containers import read_header
from segshift.data.labels import class_set
from segshift.data.photos import photo_files
from segshift.models.segmenter import Segmenter

_MOST = 8
_RENDERED = (("game", 3), ("overcast", 5), ("dusk", 8))


def place_examples(paths: Sequence[Path] | None, models: Sequence[Segmenter], folder: Path) -> list[Path]:
    """Copies of at most `_MOST` images in the folder of uploads, since the page reads nothing outside.

    Args:
        paths: images and folders; None renders streets, if half of a network's classes are the city's.
        models: that are served.
        folder: of uploads.

    Raises:
        InputError: a path that does not exist, or no image.
    """
    place = folder / "examples"
    place.mkdir()
    if paths is None:
        return _rendered(place) if any(_knows_streets(model) for model in models) else []
    found, _ = photo_files(paths)
    copies = []
    for index, path in enumerate(found[:_MOST]):
        read_header(path)
        copy = place / f"{index}_{path.name}"
        shutil.copyfile(path, copy)
        copies.append(copy)
    return copies


def _knows_streets(model: Segmenter) -> bool:
    known = set(model.class_names) & set(class_set("cityscapes19").names)
    return 2 * len(known) >= len(model.class_names)


def _rendered(place: Path) -> list[Path]:
    files = []
    for style, seed in _RENDERED:
        file = place / f"{style}.png"
        Image.fromarray(render(style, seed, (480, 320)).image).save(file)
        files.append(file)
    return files
