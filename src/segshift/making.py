"""What all commands that write data sets share: worker processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from segshift.errors import InputError

Job = TypeVar("Job")
Result = TypeVar("Result")
_CHUNK = 4  # jobs that a worker takes at once
# A chunk takes seconds; a worker may have to start first, on a machine that does much else.
_PATIENCE_S = 300.0
# So long workers have to finish what they are at, when what they make is no longer wanted.
_GRACE_S = 10.0


def cores() -> int:
    """The number of cores that this process may use; inside containers fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    workers: int | None = None,
    *,
    start: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
) -> Generator[Result, None, None]:
    """The results of `work` for all jobs, in their order; close the generator to end early.

    Args:
        work: a function of a module, since workers are spawned; a script that gets here needs the usual
            `if __name__ == "__main__"` guard.
        jobs: what to do.
        workers: processes, None for one per core; with one, or few jobs, this process does the work.
        start, arguments: called as start(*arguments) before the first job of every process.

    Raises:
        InputError: a process died, or stood still for `_PATIENCE_S`.
    """
    # A process takes seconds to start, so that few jobs are not worth one.
    processes = min(workers or cores(), -(-len(jobs) // _CHUNK))
    if processes <= 1:
        if start is not None:
            start(*arguments)
        yield from map(work, jobs)
        return
    # Spawn, because the caller may hold CUDA or threads, which a fork would break.
    pool = ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(start, arguments),
    )
    try:
        results = pool.map(work, jobs, chunksize=_CHUNK)
        for _ in jobs:
            with time_limit(_PATIENCE_S):
                result = next(results)
            yield result
    except BrokenProcessPool:
        kill_children()
        raise InputError(
            "a worker process died, most likely because memory ran out; what is done is kept: run the same "
            "command again with fewer --workers"
        ) from None
    except TimeoutError as error:
        kill_children()
        raise InputError(
            f"the worker processes have made nothing for {error} s: one was stopped, or its drive is stuck; "
            "what is done is kept: run the same command again, if need be with --workers 1"
        ) from None
    finally:
        try:
            with time_limit(_GRACE_S):
                pool.shutdown(cancel_futures=True)
        except TimeoutError:
            kill_children()


def kill_children() -> None:
    """End all of this process's workers: one that ignores SIGTERM, is stopped or waits for a dead one's lock
    leaves by nothing else, and Python would wait for it at its own end.
    """
    for child in multiprocessing.active_children():
        child.kill()
        child.join()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError(seconds) when the block takes longer, whatever it waits for.

    Without limit outside the main thread, and where there is no alarm signal (Windows).
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(seconds)

    handler = signal.signal(signal.SIGALRM, ring)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)


def leave_signals_to_the_parent() -> None:
    """Ignore Ctrl-C, SIGTERM and SIGHUP, which reach the whole process group; the parent decides what ends.

    Workers that took them would die under a parent that still needs them, and bury its line in tracebacks.
    """
    for number in stop_signals():
        signal.signal(number, signal.SIG_IGN)


def stop_signals() -> list[int]:
    """The signals that ask a program to end, of those that this system has."""
    return [int(getattr(signal, name)) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def _start_worker(start: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    leave_signals_to_the_parent()
    if start is not None:
        start(*arguments)
