"""Writing files so that a reader, or a killed process, never meets half of one."""

import errno
import fcntl
import json
import os
import re
import resource
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from segshift.errors import InputError, OutputError

_PARTIAL = re.compile(r"\..*\.[a-z0-9_]{8}\.partial(\.[^.]*)?")
# It is read by setting it: two threads at once would leave the other's 0 behind.
_UMASK = threading.Lock()
# Of the stem in a temporary name, so that what is added to it does not make a legal name too long.
_KEPT_STEM = 40


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


def size_of(path: Path) -> int:
    """The size of a file in bytes. Raises InputError for a missing one, or a link that leads nowhere."""
    try:
        return path.stat().st_size
    except OSError as error:
        kind = "is a link to nothing" if path.is_symlink() else "cannot be read"
        raise InputError(f"{path}: {kind} ({error.strerror}); remove it, or put the file there") from None


def expanded(path: str | Path) -> Path:
    """`path` with a leading `~` or `~USER` replaced. Raises InputError for a user who does not exist."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(f"{path}: there is no such user; write the whole path") from None


def unwritable(path: str | Path, reason: OSError | str, option: str = "--out") -> OutputError:
    """The error of an output that cannot be written, in one line with the remedy.

    Args:
        path: of the output.
        reason: what the system says, or a reason of one's own.
        option: where another place can be chosen.
    """
    said = reason if isinstance(reason, str) else reason.strerror or str(reason)
    if any(os.strerror(full) in said for full in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)):
        remedy = f"{room()}, then call again"
    elif Path(path).is_relative_to(cache_root()):
        remedy = "set SEGSHIFT_CACHE to a folder that can be written"
    else:
        remedy = f"choose another {option}"
    return OutputError(f"{path}: cannot be written ({said}); {remedy}")


def room() -> str:
    """How to get room for a file: the system lets files grow until a disk or a limit is reached."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit == resource.RLIM_INFINITY:
        return "free some space"
    return f"raise the limit on the size of a file ({limit} bytes; ulimit -f) or free some space"


def kind_of(mode: int) -> str:
    """What something on the disk is, from its mode, for messages."""
    if stat.S_ISDIR(mode):
        return "is a folder"
    return "is a file" if stat.S_ISREG(mode) else "is no regular file"


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn the system's errors about writing `path` into an OutputError; those about other files pass."""
    try:
        yield
    except OSError as error:
        if not _is_about(error, Path(path)):
            raise
        raise unwritable(path, error) from error


def _is_about(error: OSError, path: Path) -> bool:
    if error.filename is None:
        # Pillow's own errors have no number, whether it reads or writes.
        return error.errno is not None or "writ" in str(error)
    named = Path(os.fsdecode(error.filename))
    # Hidden files in it or beside it are our temporary ones.
    hidden = named.name.startswith(".") and named.parent in (path, path.parent)
    return hidden or named in (path, *path.parents)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, it becomes `path` in one step.

    The data is on the disk (fsync) before the rename, so that even a power cut leaves the old file or the
    new one. When the block raises, the temporary file is removed and `path` is as it was.

    Raises:
        OutputError: there is no place for the file, or something other than a file is there.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise unwritable(path, kind_of(path.stat().st_mode))
        handle, temporary = _open_temporary(path)
    try:
        with writing(path):
            yield temporary
            # mkstemp makes private files; outputs follow the user's umask like any other file.
            with _UMASK:
                umask = os.umask(0)
                os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def _open_temporary(path: Path) -> tuple[int, Path]:
    """A new file beside `path`, and a handle that holds a lock on it, by which others know it is in use."""
    while True:
        # The suffix is kept at the end: savers choose their format by it.
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem[:_KEPT_STEM]}.", suffix=f".partial{path.suffix}"
        )
        if try_lock(handle) and is_at(handle, name):
            return handle, Path(name)
        os.close(handle)


def remove_partials(folder: Path, of: Path | None = None) -> None:
    """Remove the temporary files that killed processes left in a folder and below it, none that is in use.

    Args:
        folder: where to look.
        of: the one output whose temporary files are meant; then the folders below are left alone.
    """
    stem = "." if of is None else f".{of.stem[:_KEPT_STEM]}."
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.startswith(stem) and _PARTIAL.fullmatch(name):
                _remove_unused(Path(parent, name))
        if of is not None:
            break


def _remove_unused(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if try_lock(handle):
            path.unlink(missing_ok=True)
    finally:
        os.close(handle)


def try_lock(handle: int) -> bool:
    """Lock an open file (the kernel's flock, gone with its holder), or say that another process has it.

    A file system without locks says yes to everybody: there, nobody is kept out.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def is_at(handle: int, path: str | Path) -> bool:
    """Whether an open file still lies at a path; another process may have removed or replaced it."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8; names of files that are none keep their bytes."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


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
