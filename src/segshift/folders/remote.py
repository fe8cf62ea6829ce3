"""Files in object storage (`s3://…` and whatever else fsspec knows): copies of them in the cache.

A copy is made beside its place and moved there when it is whole. `index.json` says of which version it is
(size and etag), so that the next use looks the versions up, and copies what has changed. Credentials and
endpoints are those of the storage's own library: `AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, `AWS_ENDPOINT_URL` ...
"""

import errno
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from segshift.errors import InputError, OutputError
from segshift.extras import module_of_extra
from segshift.files import atomic_path, cache_root, unwritable, write_json
from segshift.folders.lock import lock_folder
from segshift.progress import LISTENER

INDEX = "index.json"
# A path object makes one slash of two. Local files are called by their paths, and `c:/` is a drive.
_URL = re.compile(r"(?P<scheme>(?!file:)[a-z][a-z0-9+.\-]+):/{1,2}(?P<rest>[^/].*)", re.DOTALL)
_VERSIONS = (
    "ETag",
    "etag",
    "md5Hash",
    "content_md5",
    "checksum",
    "LastModified",
    "updated",
    "mtime",
    "created",
)
_OF_THIS_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_AT_ONCE = 8
_SAVE_EVERY = 200


def url_of(path: str | Path) -> str | None:
    """The URL that a path or argument is, `s3://bucket/data`; None for a path on this machine."""
    found = _URL.fullmatch(str(path))
    return None if found is None else f"{found['scheme']}://{found['rest']}".rstrip("/")


def fetched_file(url: str) -> Path:
    """The copy of one file, as new as the file.

    Raises:
        InputError: no such file, no access, no library for such URLs; in one line.
        OutputError: the cache cannot be written.
    """
    parent, _, name = url.rpartition("/")
    storage, place = _storage(url)
    with _errors(url):
        found = storage.info(place)
    if found.get("type") == "directory":
        raise InputError(f"{url}: is a folder; give the file in it")
    folder = mirror_folder(parent)
    _update(folder, parent, storage, {name: (place, found)})
    return folder / name


def fetched_model(url: str, model_file: str, suffixes: tuple[str, ...]) -> Path:
    """The copy of a model: of the file, if the URL ends like one, else of the run folder's `model_file`.

    Raises:
        InputError, OutputError: as `fetched_file`.
    """
    return fetched_file(url if url.endswith(suffixes) else f"{url}/{model_file}")


def mirror_folder(url: str) -> Path:
    """Where the copies of what lies below a URL are: it need not be there yet."""
    name = re.sub(r"[^A-Za-z0-9.\-]+", "_", url.rpartition("/")[2])[:40]
    return cache_root() / "remote" / f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:16]}"


def mirrored(url: str, wanted: Callable[[str], bool]) -> Path:
    """A folder with copies of the files below a URL, as new as these. What is gone there is removed.

    Args:
        url: of a folder.
        wanted: whether a file is needed, from its place below the folder; others are not copied.

    Raises:
        InputError: nothing is there, no access, no library for such URLs, no room; in one line.
        OutputError: the cache cannot be written.
    """
    storage, place = _storage(url)
    with _errors(url):
        listed: Mapping[str, Any] = storage.find(place, detail=True)
    if not listed:
        raise InputError(f"{url}: holds no files; correct `root:` or the address")
    start = place.rstrip("/") + "/"
    found = {key.removeprefix(start): (key, facts) for key, facts in listed.items() if key.startswith(start)}
    for below in found:
        if ".." in below.split("/") or below.startswith("/") or "\0" in below:
            raise InputError(f"{url}: holds {below!r}, which cannot be a file's name here; rename it")
    folder = mirror_folder(url)
    chosen = {below: one for below, one in found.items() if not below.endswith("/") and wanted(below)}
    _update(folder, url, storage, chosen, everything=set(found))
    return folder


def _update(
    folder: Path,
    url: str,
    storage: Any,
    chosen: Mapping[str, tuple[str, Mapping[str, Any]]],
    everything: set[str] | None = None,
) -> None:
    """Copy what is missing or of another version; one process at a time, the others then find it done."""
    with lock_folder(folder, wait=True):
        index = _read_index(folder)
        for gone in [] if everything is None else [name for name in index if name not in everything]:
            (folder / gone).unlink(missing_ok=True)
            del index[gone]
        versions = {name: _version(facts) for name, (_, facts) in chosen.items()}
        stale = [
            name for name in sorted(chosen) if not _is_current(folder / name, index.get(name), versions[name])
        ]
        if not stale:
            return
        _refuse_full(folder, url, sum(int(versions[name][0] or 0) for name in stale))
        listener = LISTENER.get()

        def copy(name: str) -> str:
            with atomic_path(folder / name) as temporary, _errors(f"{url}/{name}"):
                storage.get_file(chosen[name][0], str(temporary))
                _check_size(temporary, versions[name][0])
            return name

        with listener.bar(f"copying {url}", len(stale)) as advance, ThreadPoolExecutor(_AT_ONCE) as pool:
            try:
                for number, name in enumerate(pool.map(copy, stale), 1):
                    index[name] = versions[name]
                    advance(1)
                    if number % _SAVE_EVERY == 0:
                        write_json(folder / INDEX, index)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
            finally:
                write_json(folder / INDEX, index)
        listener.say(f"{url}: {len(stale)} of {len(chosen)} files copied into {folder}")


def _read_index(folder: Path) -> dict[str, list[Any]]:
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return index if isinstance(index, dict) else {}


def _version(facts: Mapping[str, Any]) -> list[Any]:
    """Size in bytes and what the storage knows its version by, as JSON gives them back."""
    mark = next((str(facts[key]) for key in _VERSIONS if facts.get(key) is not None), "")
    return [facts.get("size"), mark]


def _is_current(copy: Path, indexed: list[Any] | None, version: list[Any]) -> bool:
    if indexed != version or not copy.is_file():
        return False
    return version[0] is None or copy.stat().st_size == version[0]


def _check_size(copy: Path, size: int | None) -> None:
    written = copy.stat().st_size
    if size is not None and written != size:
        raise OSError(f"{written} of {size} bytes came")


def _refuse_full(folder: Path, url: str, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        reason = f"{needed / 1e9:.2f} GB of {url} are to be copied, {free / 1e9:.2f} GB are free"
        raise unwritable(folder, reason)


def _storage(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the URL's place in it."""
    core = module_of_extra("fsspec.core")
    try:
        storage, place = core.url_to_fs(url)
    except ImportError as error:
        # fsspec's own words name the package of other protocols.
        raise InputError(
            f'{url}: {_first_line(error)}; for s3:// run `pip install "segshift[remote]"`'
        ) from None
    except ValueError as error:
        raise InputError(
            f"{url}: {_first_line(error)}; write s3://BUCKET/PATH, or copy the files here"
        ) from None
    # What an earlier call of this process saw may be out of date.
    storage.invalidate_cache()
    return storage, place


@contextmanager
def _errors(url: str) -> Iterator[None]:
    """Whatever a storage's library raises, in one line with the remedy."""
    try:
        yield
    except (InputError, OutputError):
        raise
    except FileNotFoundError:
        raise InputError(f"{url}: there is no such bucket, folder or file; correct the address") from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OF_THIS_MACHINE:
            raise
        raise _refused(url, error) from None


def _refused(url: str, error: Exception) -> InputError:
    kind = type(error).__name__
    if isinstance(error, PermissionError) or "Credentials" in kind or "Token" in kind:
        remedy = "set the storage's credentials (s3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_PROFILE)"
    else:
        remedy = "try again, or copy the files here"
    return InputError(f"{url}: cannot be read ({_first_line(error) or kind}); {remedy}")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0]
