"""What a run says that it will cost, and that measuring it changes nothing."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from segshift.engine import cost as costs
from segshift.engine.build import build_optimizers, step_settings
from segshift.engine.cost import Cost, measure_cost
from segshift.engine.doctor.toy import ToyData, toy_batch, toy_method, toy_recipe
from segshift.engine.presets import load_recipe, preset_names
from segshift.engine.seeds import seed_step
from segshift.engine.step import train_step
from segshift.errors import StoppedError
from segshift.methods import METHODS, TERMS, Method
from segshift.models import SegmenterConfig
from tests.engine import recipes
from tests.engine.runs import assert_same_bits, run, weights

TRANSFORMER = SegmenterConfig(
    backbone="vit_tiny_patch16_224", weights="none", head="linear", output_stride=16
)


def families() -> list[str]:
    """A preset of every method and combination of terms."""
    found: dict[tuple[str, ...], str] = {}
    for name in preset_names():
        method = load_recipe(name).method
        terms = [term["term"] for term in method.get("terms", [])]
        # AdaBN takes no steps.
        if method.get("name") != "adabn":
            found.setdefault((method.get("name", "align"), *terms), name)
    return list(found.values())


def state(method: Method) -> dict[str, Tensor]:
    """Everything it remembers, and the random state."""
    return {name: value.clone() for name, value in method.state_dict().items()} | {"": torch.get_rng_state()}


def test_the_families_are_all_methods_and_terms() -> None:
    methods = [load_recipe(name).method for name in families()]
    assert {method.get("name", "align") for method in methods} | {"adabn"} == set(METHODS)
    assert {term["term"] for method in methods for term in method.get("terms", [])} == set(TERMS)


@pytest.mark.parametrize("name", families())
def test_measuring_changes_neither_the_method_nor_its_next_steps(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "_seconds_per_image", lambda *_: [0.01, 0.01])
    recipe = toy_recipe(load_recipe(name), tmp_path)
    if any(term.get("mask") == "tokens" for term in recipe.method.get("terms", [])):
        recipe = recipe.model_copy(update={"model": TRANSFORMER})
    after = []
    for measured in (False, True):
        torch.manual_seed(0)
        method = toy_method(recipe)
        method.prepare(ToyData())
        optimizers = build_optimizers(method, recipe)
        settings = step_settings(recipe.training, torch.device("cpu"))
        for step in range(2):
            batch = toy_batch(recipe, step)
            if measured:
                before = state(method)
                measure_cost(recipe, method, ToyData(), [batch], settings, tmp_path)  # type: ignore[arg-type]
                assert_same_bits(before, state(method))
            seed_step(recipe.seed, step)
            train_step(method, [batch], optimizers, settings)
        after.append(state(method))
    assert_same_bits(*after)


@pytest.mark.parametrize("method", [recipes.ADVERSARIAL, recipes.EVERY_TERM], ids=["advent", "all"])
def test_a_run_that_says_its_cost_equals_one_that_does_not_also_when_resumed(
    tmp_path: Path,
    toy_source: Path,
    toy_target: Path,
    stop_after: Any,
    monkeypatch: pytest.MonkeyPatch,
    method: dict[str, Any],
) -> None:
    settings = {"method": method, "model": {"auxiliary_head": True}, "training": {"steps": 5}}
    recipe = recipes.toy_recipe(toy_source, toy_target, **settings)
    run(recipe, tmp_path / "silent")
    stop_after(2)
    with monkeypatch.context() as patched:
        patched.setattr("segshift.engine.trainer.WORTH_MEASURING", 1)
        with pytest.raises(StoppedError):
            run(recipe, tmp_path / "measured")
    monkeypatch.undo()
    monkeypatch.setattr("segshift.engine.trainer.WORTH_MEASURING", 1)
    run(recipe, tmp_path / "measured", resume=True)
    assert_same_bits(weights(tmp_path / "silent"), weights(tmp_path / "measured"))
    logs = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("silent", "measured")]
    assert logs[0] == logs[1]


def a_cost(**changes: Any) -> Cost:
    values: dict[str, Any] = {
        "steps": 1000,
        "seconds_per_step": 0.5,
        "parameters": 43_000_000,
        "memory_bytes": 2 * 10**9,
        "memory_there_bytes": 8 * 10**9,
        "disk_bytes": 10**9,
        "disk_free_bytes": 10**10,
        "images_per_step": 4,
        "loader_images_per_second": 100.0,
        "workers_needed": 3,
    }
    return Cost(**{**values, **changes})


def test_the_slower_of_loader_and_steps_sets_the_pace() -> None:
    assert a_cost().seconds == 500
    assert a_cost(loader_images_per_second=4.0).seconds == 1000
    assert a_cost().step_images_per_second == 8


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"loader_images_per_second": 4.0}, "`segshift data prepare`"),
        ({"loader_images_per_second": 4.0}, "training.workers: 3"),
        ({"memory_bytes": 9 * 10**9}, "more memory than there is"),
        ({"disk_free_bytes": 10**8}, "training.keep_checkpoints"),
    ],
)
def test_what_is_too_slow_or_too_much_is_warned_of_with_a_remedy(changes: dict[str, Any], words: str) -> None:
    assert not any("warning" in line for line in a_cost().lines())
    warnings = [line for line in a_cost(**changes).lines() if line.startswith("warning")]
    assert len(warnings) == 1 and words in warnings[0]


def test_an_unknown_memory_is_said_to_be_unknown() -> None:
    lines = a_cost(memory_bytes=None, memory_there_bytes=None).lines()
    assert "memory not known" in lines[0]


def test_the_disk_estimate_is_an_upper_bound_close_to_what_a_run_leaves(
    tmp_path: Path, toy_source: Path, toy_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Cost] = []

    def spy(*arguments: Any) -> Cost:
        said.append(measure_cost(*arguments))
        return said[-1]

    monkeypatch.setattr("segshift.engine.trainer.WORTH_MEASURING", 1)
    monkeypatch.setattr("segshift.engine.trainer.measure_cost", spy)
    recipe = recipes.toy_recipe(toy_source, toy_target, method=recipes.MEAN_TEACHER)
    run(recipe, tmp_path / "run")
    left = sum(file.stat().st_size for file in (tmp_path / "run").rglob("*") if file.is_file())
    # One checkpoint more, while the newest is being written; the toy's files are mostly headers.
    assert 0.3 * left < said[0].disk_bytes < 2.5 * left
    assert said[0].steps == 6 and said[0].images_per_step == 4
