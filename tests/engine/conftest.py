"""Fixtures of the engine's tests."""

import signal
from pathlib import Path
from typing import Any

import pytest

from segshift.data import dataset
from segshift.data.decoder import LabelDecoder
from tests.engine.runs import stop_during


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Arrange a signal to this process during a given step."""

    def arrange(step: int, number: int = signal.SIGINT) -> None:
        stop_during(monkeypatch, step, number)

    yield arrange
    monkeypatch.undo()


@pytest.fixture
def opened_images(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The images that data sets read."""
    return _opened(monkeypatch, dataset, "read_image", 0)


@pytest.fixture
def opened_labels(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The label maps that are read."""
    return _opened(monkeypatch, LabelDecoder, "read", 1)


def _opened(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, position: int) -> list[Path]:
    seen: list[Path] = []
    original = getattr(owner, name)

    def spy(*given: Any, **options: Any) -> Any:
        seen.append(Path(given[position]))
        return original(*given, **options)

    monkeypatch.setattr(owner, name, spy)
    return seen
