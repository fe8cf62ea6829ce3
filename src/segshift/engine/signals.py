"""Ctrl-C, SIGTERM and SIGHUP ask a run to end after the step in progress."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from segshift.making import stop_signals

# Launchers pass on at once what their whole process group has got; a person presses Ctrl-C again later.
_SAME_REQUEST_S = 1.0


class StopRequest:
    """Set by the signal handler, read by the loop between steps.

    Attributes:
        signal_number: 0 until a signal came.
    """

    def __init__(self) -> None:
        self.signal_number = 0

    def __bool__(self) -> bool:
        return self.signal_number != 0


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Catch the signals that ask to end while the block runs; a second Ctrl-C ends it at once.

    Other signals may come twice, from a scheduler and from a launcher: they never end a save. A SIGHUP that
    was ignored before (nohup) stays so. Outside the main thread nothing is caught.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    came = 0.0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if not request:
            request.signal_number, came = number, time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - came > _SAME_REQUEST_S:
            signal.signal(number, before[number])
            signal.raise_signal(number)

    before = {number: signal.getsignal(number) for number in stop_signals()}
    nohup = {number for number, handler in before.items() if handler == signal.SIG_IGN} - {signal.SIGINT}
    for number in before.keys() - nohup:
        signal.signal(number, handle)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
