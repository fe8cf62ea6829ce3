"""A run is the same one wherever its folder lies, however that is written, and for one process at a time."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from segshift.config import parse
from segshift.documents import dump_yaml
from segshift.engine.comparison import Comparison, run_comparison
from segshift.engine.config_file import read_config
from segshift.engine.datasets import resolve_domains
from segshift.engine.recipe import Recipe
from segshift.engine.run import run_recipe
from segshift.engine.sweep import run_sweep
from segshift.engine.trainer import Trainer
from segshift.errors import InputError
from segshift.folders import RunFolder, lock_folder
from segshift.progress import SILENT
from tests.engine.recipes import toy_recipe

STAGES: list[dict[str, Any]] = [
    {"name": "start"},
    {"name": "labels", "kind": "pseudo_label", "settings": {"portion": 0.5}},
    {"name": "again", "changes": {"pseudo_labelled": {"dataset": "{labels}/dataset.yaml"}}},
]


@pytest.fixture
def refuse_training(monkeypatch: pytest.MonkeyPatch) -> Any:
    """From its call on nothing trains."""

    def refuse(self: Trainer) -> None:
        raise AssertionError("trained again")

    return lambda: monkeypatch.setattr(Trainer, "run", refuse)


def run(recipe: Recipe, folder: Path, resume: bool = False) -> Mapping[str, Any]:
    return run_recipe(recipe, folder, SILENT, resume)


def test_a_run_of_stages_is_known_by_every_way_to_it_and_after_a_move(
    tmp_path: Path,
    toy_source: Path,
    toy_target: Path,
    monkeypatch: pytest.MonkeyPatch,
    refuse_training: Any,
) -> None:
    training = {"steps": 1}
    recipe = toy_recipe(toy_source, toy_target, training=training, stages=STAGES)
    first = run(recipe, tmp_path / "run")
    refuse_training()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "run")
    for same in (Path("run"), Path("../") / tmp_path.name / "run", tmp_path / "link"):
        assert run(recipe, same) == first
    (tmp_path / "new" / "place").mkdir(parents=True)
    moved = (tmp_path / "run").rename(tmp_path / "new" / "place" / "other")
    assert run(recipe, moved) == first
    # Also by the recipe that it holds itself, and what stands in its last stage leads to the labels.
    assert run(read_config(RunFolder(moved)), moved) == first
    last = read_config(RunFolder(moved).stage(2, "again"))
    assert last.pseudo_labelled is not None
    assert last.pseudo_labelled.dataset == str(moved / "2_labels" / "dataset.yaml")
    assert last.init_from == str(moved / "1_start")
    resolve_domains(last)


def test_other_settings_of_a_stage_are_still_other_settings(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    recipe = toy_recipe(toy_source, toy_target, training={"steps": 1}, stages=STAGES[:1])
    run(recipe, tmp_path / "run")
    other = toy_recipe(toy_source, toy_target, training={"steps": 2}, stages=STAGES[:1])
    with pytest.raises(InputError, match="other settings"):
        run(other, tmp_path / "run")


def test_relative_paths_of_a_recipe_hold_from_everywhere(
    tmp_path: Path, toy_source: Path, monkeypatch: pytest.MonkeyPatch, refuse_training: Any
) -> None:
    shutil.copytree(toy_source.parent, tmp_path / "data")
    (tmp_path / "few.txt").write_text("000\n001\n")
    monkeypatch.chdir(tmp_path)
    recipe = toy_recipe(
        Path("data/dataset.yaml"),
        Path("data/dataset.yaml:val"),
        source={"dataset": "data/dataset.yaml:data", "subset": {"list": "few.txt"}},
        training={"steps": 1},
    )
    first = run(recipe, Path("run"))
    refuse_training()
    assert run(recipe, tmp_path / "run") == first
    monkeypatch.chdir("/")
    stored = read_config(RunFolder(tmp_path / "run"))
    assert stored.source.dataset == f"{tmp_path}/data/dataset.yaml:{tmp_path}/data"
    assert stored.target.dataset == f"{tmp_path}/data/dataset.yaml:val"
    assert stored.source.subset is not None and stored.source.subset.list == f"{tmp_path}/few.txt"
    assert len(resolve_domains(stored).source.samples) == 2
    assert run(stored, tmp_path / "run") == first


def test_one_process_at_a_time_in_every_folder_of_runs(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    recipe = toy_recipe(toy_source, toy_target, training={"steps": 1})
    comparison = parse(
        Comparison,
        {"name": "c", "recipe": recipe.model_dump(mode="json"), "arms": {"control": {"label": "c"}}},
        "c",
    )
    file = tmp_path / "toy.yaml"
    file.write_text(dump_yaml(recipe.model_dump(mode="json")))
    held = rf"{tmp_path}: process {os.getpid()} on .* is writing there"
    with lock_folder(tmp_path):
        with pytest.raises(InputError, match=held):
            run(recipe, tmp_path)
        with pytest.raises(InputError, match=held):
            run_comparison(comparison, tmp_path, SILENT, resume=True)
        with pytest.raises(InputError, match=held):
            run_sweep(str(file), {"training.steps": [1, 2]}, [0], tmp_path, SILENT)
    with lock_folder(tmp_path / "seed_0" / "start"), pytest.raises(InputError, match="start: process"):
        run_comparison(comparison, tmp_path, SILENT, resume=True)


def test_what_killed_writers_left_in_a_run_is_removed(tmp_path: Path, toy_source: Path) -> None:
    run(toy_recipe(toy_source, None, training={"steps": 1}), tmp_path)
    left = [
        tmp_path / ".model.abcd1234.partial.safetensors",
        tmp_path / "checkpoints" / ".step_00000001.abcd1234.partial.pt",
    ]
    for path in left:
        path.touch()
    run(toy_recipe(toy_source, None, training={"steps": 1}), tmp_path)
    assert not any(path.exists() for path in left)
    assert not (tmp_path / ".lock").exists()
