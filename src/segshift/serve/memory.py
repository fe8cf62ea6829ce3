"""Memory that is freed goes back to the system: a service may run for weeks."""

import ctypes
from contextlib import suppress

_MMAP_THRESHOLD, _BYTES = -3, 2**20


def give_back_freed_memory() -> None:
    """Let glibc take arrays above a MiB from the system one by one; elsewhere nothing happens.

    Left alone, it raises that threshold to 32 MiB and keeps what many threads have freed in their heaps.
    """
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _BYTES)
