"""Loader processes that are asked to end, die, or stand still."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from segshift.engine.loader import load, loader_faults
from segshift.errors import InputError


class Fated(Dataset[Tensor]):
    """Eight items; before the fifth, its process meets its fate."""

    def __init__(self, fate: Callable[[int], None]) -> None:
        self.fate = fate

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Tensor:
        if index == 4:
            self.fate(os.getpid())
        return torch.tensor([index])


def loaded(fate: Callable[[int], None], timeout_s: int = 30) -> Iterator[int]:
    with loader_faults("workers"):
        for item in load(Fated(fate), 2, timeout_s, batch_size=None):
            yield int(item)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_workers_leave_signals_to_the_parent(name: str) -> None:
    number = getattr(signal, name)
    assert list(loaded(lambda process: os.kill(process, number))) == list(range(8))


def test_a_dead_worker_is_one_line_with_what_to_lower() -> None:
    items = loaded(lambda process: os.kill(process, signal.SIGKILL))
    with pytest.raises(InputError, match=r"a loader process died .*memory ran out; lower workers"):
        list(items)


def test_a_stopped_worker_ends_the_run_after_the_time_limit() -> None:
    items = loaded(lambda process: os.kill(process, signal.SIGSTOP), timeout_s=1)
    with pytest.raises(InputError, match=r"delivered nothing for 1 s: it was stopped"):
        list(items)


def test_a_bad_item_stays_what_it_is() -> None:
    def bad(process: int) -> None:
        raise KeyError("item")

    with pytest.raises(KeyError, match="item"):
        list(loaded(bad))
