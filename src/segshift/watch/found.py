"""Which run folders lie below a folder, and what belongs together."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from segshift.folders import RunFolder

# Folders of a run that hold no runs, some of them with thousands of files.
_NO_RUNS = {"checkpoints", "pictures", "trackers", "best", "data", "images", "labels", "__pycache__"}
_DEEPEST = 8


@dataclass(frozen=True)
class Place:
    """A run folder below the folder that is watched.

    Attributes:
        key: its path below that folder, "." for the folder itself.
        group: the comparison, sweep or folder that it is part of, as such a path.
        kind: of the group: comparison, sweep, or folder.
        name: within the group.
        run: the folder.
    """

    key: str
    group: str
    kind: str
    name: str
    run: RunFolder


def find_runs(root: Path) -> list[Place]:
    """The run folders below a folder, sorted; stages belong to their run. Links are not followed."""
    root = root.resolve()
    return sorted((_place(root, folder) for folder in _run_folders(root)), key=_order)


def _run_folders(root: Path) -> Iterator[Path]:
    for at, folders, files in os.walk(root):
        here = Path(at)
        depth = len(here.relative_to(root).parts)
        run = RunFolder(here)
        is_run = run.config.name in files and not run.config.is_symlink()
        stages = {stage.path.name for stage in run.stages_there()} if is_run else set()
        folders[:] = [
            name for name in folders if not (name.startswith(".") or name in _NO_RUNS or name in stages)
        ]
        if depth >= _DEEPEST:
            folders.clear()
        if is_run:
            yield here


def _place(root: Path, folder: Path) -> Place:
    parts = folder.relative_to(root).parts
    group, kind = parts[:-1], "folder"
    seeds = [index for index, part in enumerate(parts) if RunFolder(Path(part)).is_seed]
    if seeds and seeds[-1] < len(parts) - 1:
        group, kind = parts[: seeds[-1]], "comparison"
    elif seeds:
        kind = "sweep"
        group = parts[: seeds[-1] - 1] if seeds[-1] and "=" in parts[seeds[-1] - 1] else parts[: seeds[-1]]
    key = "/".join(parts) or "."
    name = "/".join(parts[len(group) :]) or root.name
    return Place(key, "/".join(group) or ".", kind, name, RunFolder(folder))


def _order(place: Place) -> tuple[object, ...]:
    """Runs of their own first; numbers in names as numbers."""
    parts = re.split(r"(\d+)", place.name)
    return (
        place.group != ".",
        place.group,
        [(0, int(one), "") if one.isdecimal() else (1, 0, one) for one in parts if one],
    )
