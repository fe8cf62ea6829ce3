"""Writing files so that a reader, or a killed process, never meets half of one."""

import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from segshift.errors import InputError


def cache_root() -> Path:
    """The folder of what can be made again: $SEGSHIFT_CACHE, or ~/.cache/segshift."""
    return Path(os.environ.get("SEGSHIFT_CACHE") or Path.home() / ".cache" / "segshift")


_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def refuse_special(path: Path) -> None:
    """Raises InputError for a pipe, socket or device, whose opening or reading may never end.

    What is missing or a folder is left to the reader, who says more about it.

    Raises:
        OSError: the path cannot be looked at.
    """
    mode = path.stat().st_mode
    kind = next((name for test, name in _SPECIAL if test(mode)), None)
    if kind is not None:
        raise InputError(f"{path}: is {kind}, not a regular file; give a file, or take it out of the folder")


def read_text(path: Path) -> str:
    """The text (UTF-8, a byte-order mark left out) of a file that a user named.

    Raises:
        InputError: a pipe, socket or device.
        OSError, UnicodeDecodeError: it cannot be read.
    """
    refuse_special(path)
    return path.read_text(encoding="utf-8-sig")


def expanded(path: str | Path) -> Path:
    """`path` with a leading `~` or `~USER` replaced. Raises InputError for a user who does not exist."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(f"{path}: there is no such user; write the whole path") from None


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, it becomes `path` in one step.

    The data is on the disk (fsync) before the rename, so that even a power cut leaves the old file or the
    new one. When the block raises, the temporary file is removed and `path` is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix is kept at the end: savers choose their format by it.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=f".partial{path.suffix}")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes private files; outputs follow the user's umask like any other file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` to `path` atomically as indented JSON; NaN and infinities become null."""
    write_text(path, json.dumps(json_ready(value), indent=2, allow_nan=False) + "\n")


def json_ready(value: Any) -> Any:
    """A copy of `value` that strict JSON can hold: non-finite floats become None, paths and tuples plain."""
    if isinstance(value, dict):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
