"""The folder of an export: made beside its place and put there as a whole, or not at all."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segshift.documents import read_json_object
from segshift.errors import InputError
from segshift.files import try_lock, write_json, writing

SUMMARY_FILE = "export.json"
_DIGESTS = "sha256"
_DAMAGED = "is no summary of an export; move it away, or choose another --out"
# Of the name in a temporary one, so that what is added to it does not make a legal name too long.
_KEPT_NAME = 40


@dataclass(frozen=True)
class ExportFolder:
    """A folder that holds one export and nothing else: its files, and a summary that names them.

    Attributes:
        path: of the folder.
    """

    path: Path

    def check(self) -> None:
        """Find out whether an export may be put here, in the place of an earlier one if there is one.

        Raises:
            InputError: the folder holds files that no export has written, or that were changed since.
        """
        if not self.path.is_dir():
            return
        there = sorted(file.name for file in self.path.iterdir())
        if not there:
            return
        digests = self._digests() if SUMMARY_FILE in there else {}
        for name in there:
            if name != SUMMARY_FILE and name not in digests:
                raise InputError(
                    f"{self.path}: holds {name}, which is not of an export, and an export is put in place "
                    "as a whole; choose another --out, or move that away"
                )
        for name in there:
            if digests.get(name) and _digest(self.path / name) != digests[name]:
                raise InputError(
                    f"{self.path / name}: was changed since it was exported; move it away, or choose another "
                    "--out"
                )

    @contextmanager
    def replaced(self) -> Iterator[Path]:
        """Yield a new folder to write the files into; when the block ends well, it takes this one's place.

        When the block raises, or the process ends, whatever was here stays as it was.

        Raises:
            InputError: as `check`.
            OutputError: there is no place for the folder.
        """
        place = self.path.absolute()
        place = place.resolve() if place.is_symlink() else place
        with writing(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            _remove_left(place)
            temporary = Path(tempfile.mkdtemp(prefix=_prefix(place), suffix=".partial", dir=place.parent))
        handle = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
        try:
            try_lock(handle)  # says to others that somebody is at work here
            yield temporary
            self.check()
            with writing(place):
                _flush(temporary)
                _put(temporary, place)
        finally:
            os.close(handle)
            shutil.rmtree(temporary, ignore_errors=True)

    def _digests(self) -> Mapping[str, Any]:
        """Of the files that the summary names; None for those of a summary that has none."""
        summary = read_json_object(self.path / SUMMARY_FILE, _DAMAGED)
        digests = summary.get(_DIGESTS)
        if isinstance(digests, dict):
            return digests
        listed = summary.get("files")
        named = (
            [one.get("file") for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        )
        return dict.fromkeys([*map(str, named), "README.md", "config.json"])


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write an export's summary, with the SHA-256 of all other files of its folder."""
    digests = {file.name: _digest(file) for file in sorted(folder.iterdir()) if file.name != SUMMARY_FILE}
    write_json(folder / SUMMARY_FILE, {**summary, _DIGESTS: digests})


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _prefix(place: Path) -> str:
    return f".{place.name[:_KEPT_NAME]}.export."


def _put(new: Path, place: Path) -> None:
    """Rename the new folder to its place; an earlier one steps aside for a moment, and is removed then."""
    # mkdtemp makes private folders; outputs follow the user's umask like any other.
    umask = os.umask(0)
    os.umask(umask)
    new.chmod(0o777 & ~umask)
    if not place.is_dir():
        new.rename(place)
        return
    former = Path(tempfile.mkdtemp(prefix=_prefix(place), suffix=".partial", dir=place.parent))
    place.rename(former)
    try:
        new.rename(place)
    except OSError:
        former.rename(place)
        raise
    shutil.rmtree(former)


def _remove_left(place: Path) -> None:
    """Remove what killed exports to this place left beside it, and none that is at work."""
    for left in place.parent.glob(f"{_prefix(place)}*.partial"):
        handle = os.open(left, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if try_lock(handle):
                shutil.rmtree(left)
        finally:
            os.close(handle)


def _flush(folder: Path) -> None:
    """Have the disk hold all files, so that a power cut after the rename leaves none empty."""
    for file in folder.iterdir():
        with file.open("rb+") as stream:
            os.fsync(stream.fileno())
