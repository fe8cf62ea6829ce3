"""Learning rates as functions of the step."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segshift.engine.schedule import ScheduleConfig, poly


def test_ends() -> None:
    assert poly(0.1, 0, 100) == 0.1
    assert poly(0.1, 100, 100) == 0
    assert poly(0.1, 130, 100) == 0


@given(st.integers(0, 999), st.floats(0.1, 2.0))
def test_falls(step: int, power: float) -> None:
    assert poly(1.0, step + 1, 1000, power) < poly(1.0, step, 1000, power)


@pytest.mark.parametrize(("step", "max_steps"), [(-1, 10), (0, 0)])
def test_bad_arguments(step: int, max_steps: int) -> None:
    with pytest.raises(ValueError, match="poly"):
        poly(1.0, step, max_steps)


def test_public_codes_agree(goldens_root: Path) -> None:
    table = json.loads((goldens_root / "golden.json").read_text())["advent_adaptsegnet_lr"]
    for row in table:
        assert poly(2.5e-4, row["iter"], 250_000) == pytest.approx(row["lr_backbone"], rel=1e-9)
        assert poly(1e-4, row["iter"], 250_000) == pytest.approx(row["lr_D"], rel=1e-9)


def test_warm_up_starts_above_zero_and_meets_the_schedule() -> None:
    schedule = ScheduleConfig(kind="constant", warmup_steps=4)
    assert [schedule.at(1.0, step, 10) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    decaying = ScheduleConfig(warmup_steps=4)
    assert decaying.at(1.0, 4, 10) == poly(1.0, 4, 10)


def test_poly_may_end_beyond_the_run() -> None:
    assert ScheduleConfig(max_steps=250_000).at(1.0, 149_999, 150_000) == poly(1.0, 149_999, 250_000)


def test_poly_may_wait() -> None:
    """CycleGAN: constant for the first half, then linear to zero."""
    schedule = ScheduleConfig(power=1.0, constant_share=0.5)
    rates = [schedule.at(1.0, step, 10) for step in range(11)]
    assert rates == pytest.approx([1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0])
    assert ScheduleConfig(constant_share=0.5, max_steps=20).at(1.0, 9, 10) == 1.0
    assert ScheduleConfig(constant_share=0.25).at(1.0, 7, 8) == poly(1.0, 5, 6)
