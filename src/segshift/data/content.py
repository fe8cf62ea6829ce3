"""Hashes of files' contents, remembered while a file's size and times are what they were."""

import hashlib
import json
import os
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from segshift.documents import read_json
from segshift.errors import InputError, OutputError
from segshift.files import cache_root, write_text
from segshift.making import cores

_CHUNK = 1 << 20


def content_hashes(paths: Sequence[Path], *, workers: int | None = None) -> tuple[str, ...]:
    """The SHA-256 of every file in hexadecimal; empty for one that cannot be read or is no regular file.

    A file is read again when its size, its time of change or the time of change of its entry differ from
    those in the cache ($SEGSHIFT_CACHE): a corrected file of the same size is seen, whatever its times say.

    Args:
        paths: the files; a set of files is remembered as a whole.
        workers: threads, None for one per core.
    """
    names = [str(path.absolute()) for path in paths]
    listed = hashlib.sha256("\n".join(names).encode("utf-8", "surrogateescape")).hexdigest()
    cache = cache_root() / "contents" / f"{listed}.json"
    before: Any = {}
    with suppress(InputError):
        before = read_json(cache)
    before = before if isinstance(before, dict) else {}
    # Threads suffice: reading and hashing release the interpreter's lock.
    with ThreadPoolExecutor(workers or cores()) as pool:
        found = list(pool.map(lambda name: _hashed(name, before.get(name)), names))
    after = dict(zip(names, found, strict=True))
    if after != before:
        # What cannot be cached is read again.
        with suppress(OSError, OutputError):
            write_text(cache, json.dumps(after))
    return tuple(digest for _, digest in found)


def _hashed(name: str, before: Any) -> list[str]:
    """[size and times, hash] of a file."""
    try:
        status = os.stat(name)
        if not stat.S_ISREG(status.st_mode):
            return ["", ""]
        state = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
        if isinstance(before, list) and len(before) == 2 and before[0] == state:
            return before
        digest = hashlib.sha256()
        with open(name, "rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError:
        return ["", ""]
    return [state, digest.hexdigest()]
