"""Whether an output can be written, asked before the work of hours rather than after it."""

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from segshift.files import kind_of, remove_partials, unwritable

# More than a file system keeps in a directory's entry, so that a full disk shows.
_PROBE = bytes(4096)


def check_folder(path: str | Path, option: str = "--out") -> None:
    """Find out whether files can be written into a folder, there or yet to be made. Nothing is left behind.

    Raises:
        OutputError: they cannot; it names `option` as the remedy.
    """
    _check(Path(path), option, stat.S_ISDIR)


def check_file(path: str | Path, option: str = "--out") -> None:
    """Find out whether a file can be written, there or not. What killed writers of it left is removed.

    Raises:
        OutputError: it cannot; it names `option` as the remedy.
    """
    file = Path(path)
    _check(file, option, stat.S_ISREG)
    remove_partials(file.parent, of=file)


def _check(path: Path, option: str, fits: Callable[[int], bool]) -> None:
    try:
        mode = _mode(path)
        if mode is None or fits(mode):
            _write_into(path if mode is not None and stat.S_ISDIR(mode) else path.absolute().parent)
            return
    except OSError as error:
        raise unwritable(path, error, option) from error
    except ValueError as error:  # a NUL in the name
        raise unwritable(path, str(error), option) from error
    raise unwritable(path, kind_of(mode), option)


def _mode(path: Path) -> int | None:
    """What lies at a path, None for nothing. Raises OSError for a name or a way to it that cannot be."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _write_into(folder: Path) -> None:
    """Write a file without a name into a folder or, where it is yet to be made, above it."""
    there = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
    with tempfile.TemporaryFile(dir=there) as file:
        file.write(_PROBE)
        file.flush()
