"""How much memory there is, and how much a piece of work takes at most."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


class Peak:
    """The most memory that was taken inside `watched`.

    Attributes:
        bytes: of the whole process, on the device; None where the system does not say.
    """

    bytes: int | None = None


@contextmanager
def watched(device: torch.device) -> Iterator[Peak]:
    """Watch how much memory the block takes at most: a GPU's allocator, or the process's pages (Linux)."""
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak.bytes = torch.cuda.max_memory_allocated(device)
        return
    try:
        _CLEAR.write_text("5")  # forgets the highest so far
    except OSError:
        yield peak
        return
    yield peak
    peak.bytes = _of_process("VmHWM")


def taken(device: torch.device) -> int | None:
    """Bytes that this process has now; None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return _of_process("VmRSS")


def there_is(device: torch.device) -> int | None:
    """Bytes that this process can have in all, what it has included; None where the system does not say."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device)
    own, available = _of_process("VmRSS"), _of_system("MemAvailable")
    if own is None or available is None:
        return None
    return min([own + available, *_limits(own)])


def _limits(own: int) -> Iterator[int]:
    """What the container, or `ulimit -v`, allows, where `own` bytes are taken now."""
    for file in _CGROUPS:
        try:
            yield int(file.read_text())
        except (OSError, ValueError):
            continue
    if os.name == "posix":
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            # It counts addresses, of which not all have memory behind them.
            yield limit - (_of_process("VmSize") or own) + own


def _of_process(key: str) -> int | None:
    return _kilobytes(_STATUS, key)


def _of_system(key: str) -> int | None:
    return _kilobytes(Path("/proc/meminfo"), key)


def _kilobytes(file: Path, key: str) -> int | None:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith(f"{key}:")), None)
    return None if found is None else 1024 * int(found.split()[1])
