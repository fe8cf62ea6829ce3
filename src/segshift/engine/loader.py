"""Loader processes: they leave signals to the run, and a dead or silent one ends it with one line."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from segshift.errors import InputError, is_out_of_memory
from segshift.making import kill_children, leave_signals_to_the_parent, time_limit


def load(dataset: Dataset[Any], workers: int, timeout_s: int, **settings: Any) -> Iterator[Any]:
    """The batches of a DataLoader; take them inside `loader_faults`.

    Args:
        dataset: what to load.
        workers: loader processes; 0 loads in this one.
        timeout_s: so long they may take for one batch.
        settings: of the DataLoader.
    """
    loader = DataLoader(
        dataset,
        num_workers=workers,
        worker_init_fn=_start_worker,
        prefetch_factor=4 if workers else None,
        **settings,
    )
    return _patient(iter(loader), timeout_s) if workers else iter(loader)


def _patient(batches: Iterator[Any], timeout_s: int) -> Iterator[Any]:
    """The batches, each within the time limit. Raises TimeoutError."""
    while True:
        # The loader's own limit is for its queue alone: fetching a tensor from a stopped process never ends.
        with time_limit(timeout_s):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


@contextmanager
def loader_faults(lower: str) -> Iterator[None]:
    """Say in one line that a loader process died or stands still, and let none outlive the block.

    The block is all that happens while loader processes live: torch raises their death out of a signal
    handler, at whatever line the run is.

    Args:
        lower: the settings that save memory, for the line.

    Raises:
        InputError: with the likely reason and the remedy.
    """
    try:
        yield
    except TimeoutError as error:
        _end_loaders()
        raise InputError(
            f"a loader process has delivered nothing for {error} s: it was stopped, or its drive is stuck; "
            "begin again where this ended, if need be with workers 0"
        ) from None
    except RuntimeError as error:
        _end_loaders()
        reason = str(error)
        if is_out_of_memory(error):
            raise InputError(f"memory ran out while images were loaded; lower {lower}") from None
        if "DataLoader worker" in reason:
            how = reason.partition(") is ")[2].partition(". ")[0] or "it ended by itself"
            raise InputError(
                f"a loader process died ({how}), most likely because memory ran out; lower {lower}, "
                "and begin again where this ended"
            ) from None
        raise
    except BaseException:
        _end_loaders()
        raise


def _end_loaders() -> None:
    """End the loader processes without torch's handler, which would raise the death of each of them."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGCHLD"):
        kill_children()
        return
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    kill_children()
    signal.signal(signal.SIGCHLD, handler)


def _start_worker(worker: int) -> None:
    leave_signals_to_the_parent()
    # What goes wrong with an item travels to the parent; this is for threads whose parent left meanwhile.
    sys.excepthook = lambda *_: None
    torch.set_num_threads(1)
