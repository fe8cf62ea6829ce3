"""Worker processes that stand still or die."""

import os
import signal

import pytest

from segshift import making
from segshift.errors import InputError

pytestmark = pytest.mark.process


def fate(job: tuple[int, int]) -> int:
    """The job's number; before the fifth, its process gets a signal."""
    number, sent = job
    if number == 4 and sent:
        os.kill(os.getpid(), sent)
    return number


def made(sent: int) -> list[int]:
    return list(making.in_processes(fate, [(number, sent) for number in range(8)], workers=2))


def test_results_come_in_order() -> None:
    assert made(0) == list(range(8))


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (signal.SIGKILL, r"a worker process died, .*memory ran out.*fewer --workers"),
        (signal.SIGSTOP, r"made nothing for 4 s: one was stopped"),
    ],
)
def test_a_worker_that_dies_or_is_stopped_ends_the_work_in_one_line(
    monkeypatch: pytest.MonkeyPatch, sent: int, said: str
) -> None:
    if sent == signal.SIGSTOP:
        monkeypatch.setattr(making, "_PATIENCE_S", 4)
    with pytest.raises(InputError, match=said):
        made(sent)


def test_work_that_is_no_longer_wanted_ends_though_a_worker_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(making, "_GRACE_S", 1)
    results = making.in_processes(fate, [(number, signal.SIGSTOP) for number in range(8)], workers=2)
    assert next(results) == 0
    results.close()
