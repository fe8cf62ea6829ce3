"""The one folder of uploads and results: private, emptied of what is old, and gone when the service ends."""

import os
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from segshift.errors import InputError
from segshift.files import try_lock

_PREFIX = "segshift-serve-"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new folder that nobody else may enter (mode 700), removed at the end.

    Those of killed services, whose locks are free, are removed as well.
    """
    root = Path(tempfile.gettempdir()).resolve()
    for old in root.glob(f"{_PREFIX}*"):
        _remove_abandoned(old)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
    handle = os.open(folder, os.O_RDONLY)
    try:
        try_lock(handle)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _remove_abandoned(folder: Path) -> None:
    try:
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            return
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        if try_lock(handle):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


def new_folder(folder: Path) -> Path:
    """A folder for one request's results, of a name that cannot be guessed."""
    path = folder / "results" / secrets.token_hex(16)
    path.mkdir(parents=True)
    return path


def remove_old(folder: Path, age_s: float, kept: Collection[Path] = ()) -> None:
    """Remove the files that have not changed for so long, half-written ones too, and folders left empty.

    Args:
        folder: of uploads and results.
        age_s: seconds.
        kept: files that stay, such as examples.
    """
    latest = time.time() - age_s
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(parent, name)
            try:
                if path not in kept and path.lstat().st_ctime < latest:
                    path.unlink()
            except OSError:
                continue
        try:
            # A new folder may be about to be filled.
            if parent != str(folder) and os.lstat(parent).st_ctime < latest:
                os.rmdir(parent)
        except OSError:
            continue


@contextmanager
def kept_tidy(folder: Path, age_s: float, every_s: float = 30) -> Iterator[None]:
    """`remove_old` in a thread again and again while the block runs; what is there already stays."""
    kept, ended = frozenset(path for path in folder.rglob("*") if path.is_file()), threading.Event()

    def tidy() -> None:
        while not ended.wait(every_s):
            remove_old(folder, age_s, kept)

    thread = threading.Thread(target=tidy, daemon=True, name="segshift-serve-tidy")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def without_folder(error: InputError | str, folder: Path) -> str:
    """A message in which files of the folder are called by their names: its place is nobody's business."""
    return re.sub(re.escape(f"{folder}/") + r"(?:[\w-]+/)*", "", str(error))
