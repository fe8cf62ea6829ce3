"""Fixtures of the engine's tests."""

import os
import signal
from typing import Any

import pytest

from segshift.methods.align import Align


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Arrange a signal to this process during a given step."""

    def arrange(step: int, number: int = signal.SIGINT) -> None:
        original = Align.step

        def interrupted(self: Align, batch: Any) -> Any:
            if batch.step == step:
                os.kill(os.getpid(), number)
            yield from original(self, batch)

        monkeypatch.setattr(Align, "step", interrupted)

    yield arrange
    monkeypatch.undo()
