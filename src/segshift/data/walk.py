"""Walking folders, one rule for everyone: what is followed, what is an image, what is nobody's data.

Links to files and folders are followed, but for a link that leads back to a folder in which it lies. Hidden
files and folders, and what operating systems leave behind (`._x.png`, `Thumbs.db`, `__MACOSX`), are passed
over. Upper and lower case of a file's suffix do not matter.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")
"""Of the formats that are read; what a file holds is judged by its content."""

_LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin"}


VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg")
"""Of the containers that `predict` takes as videos."""


def is_video_name(name: str) -> bool:
    """Whether a file's suffix is a video's, in upper or lower case."""
    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES


def is_image_name(name: str) -> bool:
    """Whether a file's suffix is an image's, in upper or lower case."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def is_litter(name: str) -> bool:
    """Whether a name is hidden, or one that operating systems leave behind."""
    return name.startswith(".") or name.lower() in _LITTER


@dataclass(frozen=True)
class Folder:
    """A folder on a walk: its `path`, its place `below` the start with `/`, and the folders it lies in."""

    path: Path
    below: str
    chain: frozenset[tuple[int, int]] = field(repr=False, compare=False)

    def joined(self, name: str) -> str:
        """The place of an entry of this folder below the start."""
        return f"{self.below}/{name}" if self.below else name


@dataclass
class Walk:
    """The folders below `root`, and what was passed over on the way.

    Attributes:
        root: where it starts.
        loops: links that lead back to a folder in which they lie, below the root.
        litter: how many hidden files and leftovers were passed over.
        unreadable: folders that could not be opened, below the root.
    """

    root: Path
    loops: set[str] = field(default_factory=set)
    litter: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)

    def start(self, below: str = "") -> Folder | None:
        """The folder at a place below the root, or None if there is none."""
        path = self.root / below
        try:
            real = path.resolve()
            chain = frozenset(_identity(one) for one in (real, *real.parents))
        except (OSError, RuntimeError):
            return None
        return Folder(path, below, chain) if path.is_dir() else None

    def entries(self, folder: Folder) -> tuple[list[str], list[Folder]]:
        """The names of the files of a folder and its sub-folders, both sorted.

        Pipes and links to nothing are files here: whoever reads them says what is wrong.
        """
        files: list[str] = []
        folders: list[Folder] = []
        try:
            with os.scandir(folder.path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            self.unreadable.add(folder.below or ".")
            return [], []
        for entry in entries:
            below = folder.joined(entry.name)
            if is_litter(entry.name):
                self.litter.add(below)
            elif not _is_folder(entry):
                files.append(entry.name)
            else:
                identity = _identity(Path(entry.path))
                if identity in folder.chain:
                    self.loops.add(below)
                else:
                    folders.append(Folder(Path(entry.path), below, folder.chain | {identity}))
        return files, folders

    def all_files(self) -> Iterator[str]:
        """Every file below the root, by its place, folder by folder."""
        start = self.start()
        waiting = [] if start is None else [start]
        while waiting:
            folder = waiting.pop()
            files, folders = self.entries(folder)
            yield from map(folder.joined, files)
            waiting += reversed(folders)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
