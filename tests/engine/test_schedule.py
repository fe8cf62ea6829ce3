"""Learning rates as functions of the step."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segshift.config import parse
from segshift.engine.presets import load_recipe
from segshift.engine.schedule import ScheduleConfig, poly
from segshift.errors import InputError


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


# CLAN's public code at 100 000 iterations, 5000 of them warm-up, for a base of 2.5e-4: called as it is.
CLAN_RATES = {
    0: 0.0,
    1: 5.0000000000000004e-08,
    2500: 0.000125,
    4999: 0.00024995000000000003,
    5000: 0.00023872134540537494,
    5001: 0.00023871908383354395,
    50000: 0.00013397168281703665,
    99999: 7.905694150388566e-09,
}


@pytest.mark.parametrize(
    "preset", ["clan_public_code_gta5_cityscapes_resnet101", "clan_public_code_synthia_cityscapes_resnet101"]
)
def test_clans_warm_up_is_the_ramp_alone_as_in_its_public_code(preset: str) -> None:
    recipe = load_recipe(preset)
    for step, rate in CLAN_RATES.items():
        for network, base in (("segmenter", 2.5e-4), ("adversary", 1e-4)):
            settings = recipe.optimizers[network]
            found = settings.schedule.at(settings.lr, step, recipe.training.steps)
            assert found == pytest.approx(rate * base / 2.5e-4, rel=1e-12), (network, step)


def test_steps_fall_as_in_lsds_public_code() -> None:
    """A tenth after every eight epochs of 2975 iterations; the rates are those of its golden table."""
    schedule = ScheduleConfig(kind="step", step_every=8 * 2975)
    for epoch, rate in {0: 1e-5, 7: 1e-5, 8: 1e-6, 16: 1e-7, 24: 1e-8, 32: 1e-9}.items():
        assert schedule.at(1e-5, epoch * 2975, 100_000) == pytest.approx(rate, rel=1e-12)
        assert schedule.at(1e-5, epoch * 2975 + 2974, 100_000) == pytest.approx(rate, rel=1e-12)
    halving = ScheduleConfig(kind="step", step_every=3, step_factor=0.5)
    assert [halving.at(8.0, step, 7) for step in range(8)] == [8, 8, 8, 4, 4, 4, 2, 2]
    warmed = ScheduleConfig(kind="step", step_every=3, step_factor=0.5, warmup_steps=2)
    assert [warmed.at(8.0, step, 7) for step in range(7)] == [4, 8, 8, 4, 4, 4, 2]
    ramp = ScheduleConfig(warmup_steps=4, warmup="ramp")
    assert [ramp.at(1.0, step, 10) for step in range(6)] == [
        0,
        0.25,
        0.5,
        0.75,
        *(poly(1.0, s, 10) for s in (4, 5)),
    ]


def test_steps_need_a_length() -> None:
    with pytest.raises(InputError, match="kind: step needs step_every"):
        parse(ScheduleConfig, {"kind": "step"}, "recipe.yaml")


def test_poly_may_end_beyond_the_run() -> None:
    assert ScheduleConfig(max_steps=250_000).at(1.0, 149_999, 150_000) == poly(1.0, 149_999, 250_000)


def test_daformers_warm_up_and_linear_decay() -> None:
    """6e-5 up to step 1500, then straight to 0 at 40 000, as DAFormer's configuration has it."""
    schedule = ScheduleConfig(kind="linear", warmup_steps=1500)
    for step in (0, 1, 749, 1499, 1500, 20_000, 39_999):
        expected = 6e-5 * (1 - step / 40_000) * min(1.0, (step + 1) / 1500)
        assert schedule.at(6e-5, step, 40_000) == pytest.approx(expected, rel=1e-12)
    assert ScheduleConfig(kind="linear", power=0.9, max_steps=80_000).at(1.0, 40_000, 40_000) == 0.5


def test_poly_may_wait() -> None:
    """CycleGAN: constant for the first half, then linear to zero."""
    schedule = ScheduleConfig(power=1.0, constant_share=0.5)
    rates = [schedule.at(1.0, step, 10) for step in range(11)]
    assert rates == pytest.approx([1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0])
    assert ScheduleConfig(constant_share=0.5, max_steps=20).at(1.0, 9, 10) == 1.0
    assert ScheduleConfig(constant_share=0.25).at(1.0, 7, 8) == poly(1.0, 5, 6)
