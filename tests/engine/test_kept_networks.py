"""The networks of a run's checkpoints: which are kept, and what is said of the others."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import segshift
from segshift.engine.build import build
from segshift.engine.datasets import resolve_domains
from segshift.engine.target_labels import saw_target_labels
from segshift.errors import InputError
from segshift.folders import RunFolder
from segshift.models import Segmenter
from segshift.models.translators import load_translator
from tests.engine.recipes import MEAN_TEACHER, toy_recipe
from tests.engine.runs import assert_same_bits, run, weights


def tensors(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return dict(network.state_dict())


@pytest.fixture(scope="module")
def kept(toy_source: Path, toy_target: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six steps with a checkpoint after every second, all of whose networks are kept."""
    folder = tmp_path_factory.mktemp("kept") / "run"
    run(toy_recipe(toy_source, toy_target, training={"keep_checkpoints": "all"}), folder)
    return folder


def test_all_networks_are_kept_and_two_states(kept: Path) -> None:
    assert RunFolder(kept).network_steps() == [0, 2, 4, 6]
    assert RunFolder(kept).checkpoint_steps() == [4, 6]
    assert list(kept.rglob("model.safetensors")) == [kept / "model.safetensors"]
    assert not list(kept.rglob(".*"))


def test_every_step_is_a_model(kept: Path, toy_source: Path, toy_target: Path) -> None:
    recipe = toy_recipe(toy_source, toy_target)
    untrained = build(recipe, resolve_domains(recipe).classes).deployed()
    assert isinstance(untrained, Segmenter)
    assert_same_bits(tensors(segshift.load(f"{kept}@0")), tensors(untrained))
    state = torch.load(RunFolder(kept).checkpoint(4), weights_only=True)["method"]
    state = {name.removeprefix("segmenter."): value for name, value in state.items()}
    assert_same_bits(tensors(segshift.load(f"{kept}@4")), state)
    assert_same_bits(tensors(segshift.load(f"{kept}@6")), weights(kept))
    assert_same_bits(tensors(segshift.load(f"{kept}@000006")), weights(kept))


def test_as_many_networks_as_states_are_kept_otherwise(
    toy_source: Path, toy_target: Path, tmp_path: Path
) -> None:
    recipe = toy_recipe(toy_source, toy_target, training={"keep_checkpoints": 3})
    run(recipe, tmp_path / "run")
    assert (
        RunFolder(tmp_path / "run").network_steps()
        == RunFolder(tmp_path / "run").checkpoint_steps()
        == [2, 4, 6]
    )


def test_what_is_kept_is_what_would_be_deployed(toy_source: Path, toy_target: Path, tmp_path: Path) -> None:
    recipe = toy_recipe(toy_source, toy_target, method=MEAN_TEACHER, training={"steps": 2})
    run(recipe, tmp_path / "run")
    assert_same_bits(tensors(segshift.load(f"{tmp_path / 'run'}@2")), weights(tmp_path / "run"))


def test_a_run_starts_from_a_step(kept: Path, toy_source: Path, toy_target: Path, tmp_path: Path) -> None:
    recipe = toy_recipe(toy_source, toy_target, init_from=f"{kept}@2", training={"steps": 0})
    run(recipe, tmp_path / "here")
    assert_same_bits(weights(tmp_path / "here"), tensors(segshift.load(f"{kept}@2")))
    # It is the network that counts, not how it was named.
    file = kept / "checkpoints" / "step_00000002.safetensors"
    again = toy_recipe(toy_source, toy_target, init_from=str(file), training={"steps": 0})
    assert run(again, tmp_path / "here", resume=True)["fingerprint"]


def test_the_untrained_network_is_a_run(
    kept: Path, toy_source: Path, toy_target: Path, tmp_path: Path
) -> None:
    results = run(toy_recipe(toy_source, toy_target, training={"steps": 0}), tmp_path / "run")
    assert results["steps"] == 0 and results["evaluation"] is not None
    assert_same_bits(weights(tmp_path / "run"), tensors(segshift.load(f"{kept}@0")))
    assert_same_bits(weights(tmp_path / "run"), tensors(segshift.load(f"{tmp_path / 'run'}@0")))


def test_a_step_that_is_not_there(kept: Path, tmp_path: Path) -> None:
    cases: dict[str, str] = {
        f"{kept}@3": "@3: the run kept its networks of the steps 0, 2, 4, 6",
        f"{tmp_path}@3": "kept no networks of single steps; train with training.keep_checkpoints: all",
        f"{tmp_path}/nowhere@3": "nowhere; write RUN@STEP with the folder of a run",
    }
    for model, message in cases.items():
        with pytest.raises(InputError, match=message) as error:
            segshift.load(model)
        assert len(str(error.value).splitlines()) == 1
        with pytest.raises(InputError, match=message):
            load_translator(model)
    (tmp_path / "2_adapt" / "checkpoints").mkdir(parents=True)
    (tmp_path / "2_adapt" / "checkpoints" / "step_00000003.safetensors").touch()
    with pytest.raises(InputError, match=r"stages with steps of their own; write .*2_adapt@STEP"):
        segshift.load(f"{tmp_path}@3")


def test_a_folder_that_is_called_so_comes_first(kept: Path, tmp_path: Path) -> None:
    odd = tmp_path / "run@2"
    segshift.load(f"{kept}@4").save(odd / "model.safetensors")
    assert_same_bits(tensors(segshift.load(odd)), tensors(segshift.load(f"{kept}@4")))


def test_a_step_belongs_to_its_run(kept: Path) -> None:
    for model in (kept, f"{kept}@2", kept / "model.safetensors", RunFolder(kept).network(2)):
        assert RunFolder.of(model) == RunFolder(kept)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, False), ({"oracle": True}, True), ({"evaluation": {"split": "train"}}, False)],
)
def test_labels_that_a_run_in_progress_has_seen(
    toy_source: Path, toy_target: Path, tmp_path: Path, changes: dict[str, Any], expected: bool
) -> None:
    recipe = toy_recipe(toy_source, toy_target, training={"steps": 2}, **changes)
    run(recipe, tmp_path / "run")
    assert saw_target_labels(f"{tmp_path / 'run'}@2") is expected
    (tmp_path / "run" / "results.json").unlink()
    assert saw_target_labels(f"{tmp_path / 'run'}@2") is expected


def test_a_translator_of_a_step(toy_source: Path, toy_target: Path, tmp_path: Path) -> None:
    cyclegan = {
        "name": "cyclegan",
        "generator": {"base_channels": 4, "blocks": 1},
        "discriminator_channels": 4,
    }
    augmentation = {"resize": [32, 32], "crop": None, "scale": None, "color_jitter": None, "blur": None}
    recipe = toy_recipe(
        toy_source,
        toy_target,
        method=cyclegan,
        source={"augmentation": augmentation},
        target={"augmentation": augmentation},
        optimizers={"segmenter": {"lr_multipliers": {}}},
        training={"steps": 2},
    )
    run(recipe, tmp_path / "run")
    first, last = (tensors(load_translator(f"{tmp_path / 'run'}@{step}")) for step in (0, 2))
    assert_same_bits(last, tensors(load_translator(tmp_path / "run")))
    assert any(not torch.equal(first[name], last[name]) for name in first)
    assert json.loads((tmp_path / "run" / "results.json").read_text())["steps"] == 2
