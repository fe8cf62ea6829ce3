"""What differs beside the method, and what does not although it looks so."""

from pathlib import Path
from typing import Any

import pytest

from segshift.report.build import unfair
from tests.report.runs import made_up, read


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """What control and arms start from: 500 steps of its own."""
    return made_up(tmp_path / "start", "start's weights", training={"steps": 500})


@pytest.fixture
def control(tmp_path: Path, start: Path) -> Path:
    return made_up(tmp_path / "control", "control's weights", init_from=str(start))


def test_equal_starts_steps_and_batches_are_fair(tmp_path: Path, start: Path, control: Path) -> None:
    copy = made_up(tmp_path / "copy", "start's weights", training={"steps": 7})
    method = {"name": "align", "terms": [{"term": "minent"}]}
    model = {"auxiliary_head": True}
    for name, where in (("folder", start), ("file", start / "model.safetensors"), ("copied", copy)):
        arm = made_up(
            tmp_path / name, init_from=str(where), method=method, model=model, target={"dataset": "a"}
        )
        assert unfair(read(arm), read(control)) == (), name


def test_steps_count_from_the_common_start(tmp_path: Path, start: Path, control: Path) -> None:
    after = {"init_from": str(control), "training": {"steps": 0, "batch_size": 9}}
    adabn = made_up(tmp_path / "adabn", method={"name": "adabn"}, **after)
    assert unfair(read(adabn), read(control)) == ()
    # The trap of many tables: adapting a finished source-only model also trains it for longer.
    assert unfair(read(control), read(start)) == ("600 steps since their common start, start 500",)
    assert unfair(read(start), read(control)) == ("500 steps since their common start, control 600",)
    longer = made_up(tmp_path / "longer", init_from=str(start), training={"steps": 150})
    assert unfair(read(longer), read(control)) == ("150 steps, control 100",)


def test_another_start(tmp_path: Path, control: Path, start: Path) -> None:
    gone = tmp_path / "gone"
    stranger = made_up(tmp_path / "stranger", init_from=str(gone))
    assert unfair(read(stranger), read(control)) == (f"starts from {gone}, control from {start}",)
    again = made_up(tmp_path / "again", init_from=str(gone))
    assert unfair(read(again), read(stranger)) == (), "one path is one start, also after the file is gone"
    # Models that started from each other, as moved folders may say, come to an end.
    circle = made_up(tmp_path / "circle", init_from=str(tmp_path / "circle"))
    assert unfair(read(circle), read(circle)) == ()


def test_a_start_that_was_moved_with_the_run_is_still_known(tmp_path: Path) -> None:
    was = tmp_path / "was"
    start = made_up(was / "start", "start's weights", training={"steps": 500})
    made_up(was / "control", init_from=str(start))
    made_up(was / "longer", init_from=str(was / "control"))
    # A start of the same name somewhere else is another one.
    made_up(was / "stranger", init_from=str(tmp_path / "elsewhere" / "stranger"))
    was.rename(tmp_path / "now")
    control, longer, stranger = (read(tmp_path / "now" / name) for name in ("control", "longer", "stranger"))
    assert unfair(longer, control) == ("200 steps since their common start, control 100",)
    (other,) = unfair(stranger, control)
    assert other.startswith(f"starts from {tmp_path}/elsewhere/stranger, control from {tmp_path}/now/start")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"training": {"batch_size": 8}}, "8 source images per step, control 4"),
        ({"model": {"classifiers": 2}}, "model.classifiers is 2, control has 1"),
        ({"model": {"backbone": "vgg16"}}, "model.backbone is vgg16, control has resnet101"),
        ({"source": {"split": "val"}}, "another source: city:game val, control city:game train"),
        (
            {"evaluation": {"scales": [0.5, 1], "flip": True}},
            "judged with scales: 0.5, 1.0, control with 1.0|judged with flip: True, control with False",
        ),
        ({"evaluation": {"input_size": [640, 320]}}, "judged with input_size: 640x320, control with none"),
        ({"init_from": None}, "100 steps since their common start, control 600"),
        (
            {"init_from": None, "model": {"weights": "none"}},
            "starts from resnet101 with weights: none, control from {start}",
        ),
    ],
)
def test_reasons(tmp_path: Path, start: Path, control: Path, changes: dict[str, Any], reason: str) -> None:
    arm = made_up(tmp_path / "arm", **{"init_from": str(start), **changes})
    assert unfair(read(arm), read(control)) == tuple(reason.format(start=start).split("|"))


def test_one_size_for_all_makes_their_own_sizes_irrelevant(
    tmp_path: Path, control: Path, start: Path
) -> None:
    evaluation = {"input_size": [640, 320], "mode": "sliding", "window": [320, 320]}
    arm = made_up(tmp_path / "arm", init_from=str(start), evaluation=evaluation)
    window = "judged with window: 320x320, control with none"
    assert unfair(read(arm), read(control), same_size=True) == (window,)
    size = "judged with input_size: 640x320, control with none"
    assert unfair(read(arm), read(control)) == (size, window)


def test_target_labels_are_told_on_either_side(tmp_path: Path) -> None:
    oracle, arm = made_up(tmp_path / "oracle", "weights", True), made_up(tmp_path / "arm")
    unknown = made_up(tmp_path / "unknown", "weights", None)
    assert unfair(read(oracle), read(arm)) == ("used labels of the target, arm did not",)
    assert unfair(read(arm), read(oracle)) == ("oracle used labels of the target",)
    assert unfair(read(unknown), read(arm)) == ("nobody knows whether labels of the target were used",)
    assert unfair(read(oracle), read(oracle)) == ()
