"""The plain training steps compute what ours do, and the script's table says what both cost."""

from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.benchmarks.scripts import imported

SMALL = ["model.backbone=segshift_tiny", "model.head=deeplab_v2", "model.output_stride=8"]
SLIM = {
    "adaptsegnet": ["method.terms.0.base_channels=4", "method.terms.1.base_channels=4"],
    "advent": ["method.terms.0.base_channels=4", "method.terms.1.base_channels=4"],
    "clan": ["method.terms.0.base_channels=4"],
    "fada": ["method.terms.0.hidden_channels=[8,4]"],
    "mean_teacher": [],
    "lsd": [
        "method.generator_channels=4",
        "method.discriminator_channels=8",
        "method.discriminator_blocks=1",
    ],
}


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with imported("training_steps") as module:
        yield module


def sides(script: ModuleType, name: str) -> dict[str, object]:
    return {side: script.Side(side, name, [*SMALL, *SLIM[name]]) for side in script.SIDES}


@pytest.mark.parametrize("name", SLIM)
def test_both_sides_compute_the_same_from_the_first_step_on(script: ModuleType, name: str) -> None:
    row = script.measured(name, (64, 64), 1, 1, sides(script, name))
    assert row["ours"]["gflop"] <= row["plain"]["gflop"]
    assert row["ours"]["factor_gflop"] > 1
    assert f"| {name} | 64x64, 1 |" in script.table([row])


def test_sides_that_differ_are_no_comparison(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = script.step_of

    def other(name: str, method: object) -> object:
        step = plain(name, method)
        return lambda batch: {key: 1.01 * value for key, value in step(batch).items()}

    monkeypatch.setattr(script, "step_of", other)
    with pytest.raises(ValueError, match="fada: the first step's losses differ"):
        script.measured("fada", (64, 64), 1, 1, sides(script, "fada"))


def test_a_side_in_a_process_of_its_own_takes_the_same_steps(script: ModuleType) -> None:
    arguments = ("plain", "fada", [*SMALL, *SLIM["fada"]], 1)
    with script.RemoteSide(*arguments) as remote:
        told, gflop = remote.first(False, (64, 64), 1)
        peak_mb = remote.peak_mb((64, 64), 1)
        _, wall_s, cpu_s = remote.timed(False, (64, 64), 1, 1)
    own, own_gflop = script.Side(*arguments).first(False, (64, 64), 1)
    assert told == pytest.approx(own) and gflop == own_gflop
    assert wall_s > 0 and cpu_s > 0 and peak_mb > 0
