"""Looking through a folder tree: image files and list files, by their paths below the root."""

import os
from dataclasses import dataclass
from pathlib import Path

from segshift.errors import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
MAX_FILES = 2_000_000
"""Trees with more image files are refused: a folder above the data set was given by mistake."""


@dataclass(frozen=True)
class Tree:
    """What a folder holds, paths relative to `root` with `/`: sorted `pictures` and text files `texts`.

    `unreadable` lists folders that could not be opened.
    """

    root: Path
    pictures: tuple[str, ...]
    texts: tuple[str, ...]
    unreadable: tuple[str, ...]


def scan(root: Path) -> Tree:
    """All image and text files below `root`; links are followed, hidden files and folders left out.

    Raises:
        InputError: `root` is no folder, holds no image, or holds more than `MAX_FILES`.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the folder that holds the images and labels")
    pictures: list[str] = []
    texts: list[str] = []
    unreadable: list[str] = []
    # A link may point upwards; every real folder is entered once.
    entered: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        below = waiting.pop()
        folder = root / below
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    path = f"{below}/{entry.name}" if below else entry.name
                    suffix = os.path.splitext(entry.name)[1].lower()
                    if suffix in IMAGE_SUFFIXES and entry.is_file():
                        pictures.append(path)
                    elif suffix == ".txt" and entry.is_file():
                        texts.append(path)
                    elif entry.is_dir():
                        waiting.append(path)
        except OSError:
            unreadable.append(below or ".")
        if len(pictures) > MAX_FILES:
            raise InputError(
                f"{root}: more than {MAX_FILES} image files; give the folder of one data set, not one above"
            )
    if not pictures:
        more = f" ({len(unreadable)} folders could not be opened)" if unreadable else ""
        raise InputError(
            f"{root}: no image file ({', '.join(IMAGE_SUFFIXES[:5])} ...) below it{more}; give the folder "
            f"that holds the images"
        )
    return Tree(root, tuple(sorted(pictures)), tuple(sorted(texts)), tuple(sorted(unreadable)))
