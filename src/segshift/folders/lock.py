"""One writer at a time in a folder: a lock that the system releases when its holder ends, however it ends."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from segshift.errors import InputError
from segshift.files import is_at, remove_partials, try_lock, writing

LOCK_FILE = ".lock"

# A child that is forked (a loader's worker) would go on holding the lock of a killed parent.
_held: set[int] = set()


def _drop_in_child() -> None:
    for handle in _held:
        os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_drop_in_child)


@contextmanager
def lock_folder(folder: str | Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a folder while the block runs, made if it is missing, and free of what killed writers left there.

    The lock is the kernel's (flock on `FOLDER/.lock`), so that a killed holder frees it. It holds over NFS
    where the server supports locks (NFSv4 does); a mount with `nolock` or `local_lock=flock` keeps out the
    processes of one machine only.

    Args:
        folder: what to hold.
        wait: until another holder is done, instead of being refused.

    Raises:
        InputError: another process holds the folder; the message says which, where and since when.
        OutputError: the folder cannot be written.
    """
    path = Path(folder) / LOCK_FILE
    is_new = not os.path.lexists(path.parent)
    handle = _take(path, wait)
    _held.add(handle)
    try:
        remove_partials(path.parent)
        yield
    finally:
        # Removed while it is held: who opened it meanwhile sees that it is gone, and opens a new one.
        path.unlink(missing_ok=True)
        _held.discard(handle)
        os.close(handle)
        if is_new:
            with suppress(OSError):  # what failed before it wrote anything leaves no folder
                path.parent.rmdir()


@dataclass(frozen=True)
class Writer:
    """The process that holds a folder, or that did when it was killed.

    Attributes:
        pid: its number.
        host: the machine that it is on.
        since: when it took the folder.
        is_alive: whether it is running; None on another machine, where nobody can tell.
    """

    pid: int
    host: str
    since: datetime
    is_alive: bool | None


def writer_of(folder: Path) -> Writer | None:
    """Who holds a folder, read without touching the lock; None where nobody does, or is about to say so."""
    try:
        said = json.loads((folder / LOCK_FILE).read_bytes())
        pid, host, since = int(said["pid"]), str(said["host"]), datetime.fromisoformat(said["since"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Writer(pid, host, since, _is_running(pid) if host == socket.gethostname() else None)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True  # somebody else's
    except (OSError, OverflowError):
        return False
    return True


def is_free(folder: Path) -> bool:
    """Whether a folder is not there or holds nothing but a lock. Raises OutputError for a file."""
    with writing(folder):
        return not os.path.lexists(folder) or all(name == LOCK_FILE for name in os.listdir(folder))


def _take(path: Path, wait: bool) -> int:
    while True:
        with writing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if wait:
            with suppress(OSError):  # as `try_lock` does, where there are no locks
                fcntl.flock(handle, fcntl.LOCK_EX)
        elif not try_lock(handle):
            holder = os.pread(handle, 4096, 0)
            os.close(handle)
            raise InputError(
                f"{path.parent}: {_in_words(holder)} is writing there; wait, or choose another --out"
            )
        if is_at(handle, path):
            with writing(path.parent):
                os.ftruncate(handle, 0)
                os.pwrite(handle, _myself(), 0)
            return handle
        os.close(handle)


def _myself() -> bytes:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}).encode()


def _in_words(holder: bytes) -> str:
    """Who holds a lock; it may just be about to say so."""
    try:
        said = json.loads(holder)
        return f"process {said['pid']} on {said['host']} (since {said['since']})"
    except (ValueError, KeyError, TypeError):
        return "another process"
