"""Estimates: said once, when some steps have been timed."""

import pytest

from segshift.engine import opening
from segshift.engine.opening import Estimate, duration


def test_the_estimate_comes_after_the_first_steps_and_leaves_the_very_first_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([100.0, 110.0])
    monkeypatch.setattr(opening.time, "monotonic", lambda: next(clock))
    estimate = Estimate(10, 116)
    said = {step: line for step in range(11, 30) if (line := estimate.after(step))}
    assert said == {16: "about 3 min to go, at 2 s a step"}


def test_a_short_run_has_none() -> None:
    estimate = Estimate(0, 6)
    assert [estimate.after(step) for step in range(1, 7)] == [None] * 6


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (61, "61 s"), (100, "2 min"), (5000, "83 min"), (9000, "2.5 h")]
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
