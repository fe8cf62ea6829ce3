"""Looking through a folder tree: image files and list files, by their paths below the root."""

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from segshift.data.walk import IMAGE_SUFFIXES, Walk, is_image_name
from segshift.errors import InputError
from segshift.plain import counted

LIST_SUFFIXES = (".txt", ".lst", ".csv")
POLYGON_LINE = r"\A\s*\d+(?:[ \t]+\d*\.?\d+){4,}\s"
"""How a file of YOLO's begins: a class and coordinates, apart by blanks."""
MAX_FILES = 2_000_000
"""Trees with more image files are refused: a folder above the data set was given by mistake."""

# What labels of other tools and pictures that are not read look like; each is named if it is met.
_NAMED_SUFFIXES = (".json", ".xml", ".heic", ".heif", ".avif", ".jp2", ".gif", ".npy", ".npz", ".mat")


@dataclass(frozen=True)
class Tree:
    """What a folder holds, paths relative to `root` with `/`.

    Attributes:
        root: the folder.
        pictures: image files, sorted.
        texts: files that may be lists, sorted.
        others: files of further kinds that people take for images or labels, sorted.
        unreadable: folders that could not be opened.
        notes: what was passed over, in sentences.
    """

    root: Path
    pictures: tuple[str, ...]
    texts: tuple[str, ...]
    others: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def scan(root: Path) -> Tree:
    """All image and list files below `root`, by the rule of `segshift.data.walk`.

    Raises:
        InputError: `root` is no folder, holds no image, or holds more than `MAX_FILES`.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the folder that holds the images and labels")
    walk = Walk(root)
    pictures: list[str] = []
    texts: list[str] = []
    others: list[str] = []
    special: list[str] = []
    for place in walk.all_files():
        suffix = PurePosixPath(place).suffix.lower()
        kind = pictures if is_image_name(place) else texts if suffix in LIST_SUFFIXES else others
        if kind is not others or suffix in _NAMED_SUFFIXES:
            (kind if os.path.isfile(root / place) else special).append(place)
        if len(pictures) > MAX_FILES:
            raise InputError(
                f"{root}: more than {MAX_FILES} image files; give the folder of one data set, not one above"
            )
    if not pictures:
        more = f" ({len(walk.unreadable)} folders could not be opened)" if walk.unreadable else ""
        raise InputError(
            f"{root}: no image file ({', '.join(IMAGE_SUFFIXES[:5])} ...) below it{more}{_kinds(others)}; "
            f"give the folder that holds the images"
        )
    # Thousands of text files named like the images are no lists.
    stems = {PurePosixPath(place).stem for place in pictures}
    polygons = {one for one in texts if PurePosixPath(one).stem in stems and _of_polygons(root / one)}
    return Tree(
        root,
        tuple(sorted(pictures)),
        tuple(sorted(set(texts) - polygons)),
        tuple(sorted({*others, *polygons})),
        tuple(sorted(walk.unreadable)),
        tuple(_notes(walk, special, others)),
    )


def _of_polygons(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(1000)
    except OSError:
        return False
    return not head or re.match(POLYGON_LINE, head.decode("latin-1") + "\n") is not None


def _notes(walk: Walk, special: list[str], others: list[str]) -> list[str]:
    notes = []
    if walk.loops:
        notes.append(
            f"{counted(len(walk.loops), 'link leads', 'links lead')} back to a folder that "
            f"holds them and not followed, first {min(walk.loops)}"
        )
    if special:
        what = counted(len(special), "link to nothing, pipe or device", "links to nothing, pipes or devices")
        notes.append(f"{what} left out, first {min(special)}")
    pictures = [place for place in others if PurePosixPath(place).suffix.lower() in _UNREAD]
    if pictures:
        notes.append(
            f"{counted(len(pictures), 'picture')} of formats that are not read left out{_kinds(pictures)}, "
            f"first {min(pictures)}: convert them to PNG or JPEG"
        )
    hidden = [place for place in walk.litter if is_image_name(place)]
    if hidden:
        notes.append(
            f"{counted(len(hidden), 'hidden file')} named like images (as macOS leaves them) left out"
        )
    return notes


_UNREAD = (".heic", ".heif", ".avif", ".jp2", ".gif")


def _kinds(places: list[str]) -> str:
    counts = Counter(PurePosixPath(place).suffix.lower() for place in places)
    listed = ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common(4))
    return f" (there are {listed})" if listed else ""
