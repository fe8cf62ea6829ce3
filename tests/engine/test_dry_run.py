"""`segshift train --dry-run`: the cost of every stage, and nothing written."""

from pathlib import Path
from typing import Any

import pytest
import torch

from segshift.engine.cost import Cost
from segshift.engine.dry_run import dry_run
from segshift.errors import InputError
from tests.engine.recipes import MEAN_TEACHER, toy_recipe


def test_every_stage_has_its_cost_or_a_reason_and_nothing_is_written(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    stages: list[dict[str, Any]] = [
        {"name": "first", "changes": {"training": {"steps": 40}}},
        {"name": "labels", "kind": "pseudo_label", "changes": {}},
        {"name": "second", "changes": {"init_from": "{first}", "method": MEAN_TEACHER}},
        {"name": "start", "changes": {"training": {"steps": 0}}},
    ]
    folder = tmp_path / "runs" / "dry"
    costs = dry_run(toy_recipe(toy_source, toy_target, stages=stages), folder)
    first, labels, second, start = costs.values()
    assert isinstance(first, Cost) and first.steps == 40 and first.images_per_step == 2
    assert isinstance(labels, str) and "earlier stage's network" in labels
    assert isinstance(second, str) and "earlier stage writes" in second
    assert start == "takes no steps"
    assert not folder.exists()


def test_out_of_memory_is_told_as_the_run_would(
    tmp_path: Path, toy_source: Path, toy_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr("segshift.engine.cost.train_step", full)
    with pytest.raises(InputError, match=r"memory.* ran out on cpu in step 0, with 2 images of 40x32 px"):
        dry_run(toy_recipe(toy_source, toy_target), tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": {"dataset": "city:noon"}}, "stage later: .*'noon' is no style"),
        (
            {"init_from": "nowhere/model.safetensors"},
            "stage later: init_from = nowhere/model.safetensors: there is no",
        ),
    ],
)
def test_what_cannot_be_had_is_said_before_any_image_is_looked_for(
    changes: dict[str, Any],
    message: str,
    toy_source: Path,
    toy_target: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def looked(*_: Any) -> None:
        raise AssertionError("looked for images")

    monkeypatch.setattr("segshift.engine.dry_run.DomainFinder.__call__", looked)
    stages = [{"name": "first"}, {"name": "later", "changes": changes}]
    with pytest.raises(InputError, match=message):
        dry_run(toy_recipe(toy_source, toy_target, stages=stages), tmp_path / "run")
