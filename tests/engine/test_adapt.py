"""Adapting to photos alone: what is kept, resume, early end, and other ways to name model and images."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import segshift
from segshift.config import parse
from segshift.engine import trainer
from segshift.engine.adapt import PRESETS, adapt
from segshift.engine.presets import load_recipe
from segshift.engine.recipe import Recipe
from segshift.engine.run import run_recipe
from segshift.errors import InputError, StoppedError
from segshift.progress import SILENT
from tests.engine.recipes import toy_recipe
from tests.engine.runs import assert_same_bits, weights

QUICK = ("training.workers=0", "training.threads=1", "training.log_every=1", "training.batch_size=2")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, toy_source: Path, toy_target: Path) -> Path:
    """A network that tells the toy classes apart, more or less."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    recipe = toy_recipe(toy_source, toy_target, training={"steps": 10}, evaluation={"input_size": [40, 32]})
    run_recipe(recipe, folder, SILENT)
    return folder


@pytest.fixture
def photos(toy_target: Path) -> Path:
    return toy_target.parent / "images" / "train"


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Arrange the label-free scores of the evaluations, in their order."""

    def arrange(*values: float) -> None:
        left = iter(values)

        def scores(self: Any, segmenter: Any) -> dict[str, float]:
            value = next(left)
            return {"information_maximization": value, "entropy": value}

        monkeypatch.setattr(trainer.Selection, "scores", scores)

    return arrange


@pytest.mark.parametrize("method", sorted(PRESETS))
def test_every_method_leaves_a_run_like_any_other(
    method: str, trained: Path, photos: Path, tmp_path: Path, scored: Any
) -> None:
    scored(0.5, 0.9, 0.9)
    steps = None if method == "adabn" else 1
    found = adapt(trained, photos, tmp_path / "run", method=method, steps=steps, settings=QUICK)
    assert found.kept == "adapted" and found.step == 1 and found.worse == ("entropy",)
    assert "Got worse: mean entropy" in found.verdict
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["source"] is None and results["source_images_per_step"] == 0
    assert results["target"] == "photos train (6 images)" and not results["uses_target_labels"]
    before, after = weights(trained), weights(tmp_path / "run")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    statistics = {name for name in before if "running" in name or "num_batches" in name}
    trainable = changed - statistics
    assert changed & statistics
    assert (not trainable) == (method == "adabn")
    assert ("backbone.stage1.conv1.weight" in trainable) == (method == "self_training")
    recipe = load_recipe(tmp_path / "run" / "config.yaml")
    assert not recipe.has_source and recipe.target.augmentation.crop == (40, 32)
    assert segshift.load(tmp_path / "run").predict(photos / "000.png").shape == (40, 56)


def test_the_original_is_kept_where_the_score_falls(
    trained: Path, photos: Path, tmp_path: Path, scored: Any
) -> None:
    scored(0.8, 0.7, 0.6)
    found = adapt(trained, photos, tmp_path / "run", method="tent", steps=2, settings=QUICK)
    assert found.kept == "original" and found.step == 0
    assert "The original network was kept" in found.verdict and "0.800 before, 0.700 after" in found.verdict
    close = replace(found, after={found.score: 0.80001})
    assert "0.800000 before, 0.800010 after" in close.verdict
    assert found.results["selected"].startswith("the start, since no checkpoint was better")
    assert_same_bits(weights(trained), weights(tmp_path / "run"))


def test_it_ends_when_the_score_has_stopped_rising(
    trained: Path, photos: Path, tmp_path: Path, scored: Any
) -> None:
    scored(0.5, 0.6, 0.55, 0.6, *[0.9] * 9)
    settings = (*QUICK, "training.evaluate_every=1", "training.patience=2")
    found = adapt(trained, photos, tmp_path / "run", method="tent", steps=8, settings=settings)
    # Equal is no better; the earlier of equals is kept.
    assert (found.results["steps"], found.step, found.kept) == (3, 1, "adapted")


def test_a_stopped_run_goes_on_to_the_same_bits(
    trained: Path, photos: Path, tmp_path: Path, stop_after: Any
) -> None:
    settings = (*QUICK, "training.evaluate_every=2", "training.checkpoint_every=1", "training.select=entropy")

    def go(folder: Path, resume: bool = False) -> Any:
        return adapt(trained, photos, folder, steps=4, seed=3, settings=settings, resume=resume)

    straight = go(tmp_path / "straight")
    stop_after(2)
    with pytest.raises(StoppedError):
        go(tmp_path / "stopped")
    with pytest.raises(InputError, match="--resume"):
        go(tmp_path / "stopped")
    resumed = go(tmp_path / "stopped", resume=True)
    assert resumed.step == straight.step and resumed.after == straight.after
    assert_same_bits(weights(tmp_path / "straight"), weights(tmp_path / "stopped"))


def test_networks_and_images_by_other_names(
    trained: Path, toy_target: Path, photos: Path, tmp_path: Path, scored: Any
) -> None:
    scored(*[0.5, 0.6] * 3)
    network = segshift.load(trained)
    first = adapt(network, [photos / "000.png", photos / "001.png"], method="adabn", settings=QUICK)
    assert first.results["target"] == "photos train (2 images)" and not first.folder.exists()
    second = adapt(
        trained / "model.safetensors", f"{toy_target}:val", tmp_path / "b", method="adabn", settings=QUICK
    )
    assert second.results["target"] == "toy val (6 images)"
    assert second.results["evaluated_on"] == "toy val (6 images)" and "target_miou" in second.before
    # Other classes than the network's are no matter: labels are not opened.
    data = toy_target.read_text().replace("[sky, ground, box]", "[a, b, c, d]")
    other = toy_target.with_name("other.yaml")
    other.write_text(data)
    third = adapt(trained, f"{other}:train", tmp_path / "c", method="adabn", settings=QUICK)
    assert third.results["evaluation"] is None and third.segmenter.class_names == network.class_names


def test_what_needs_a_source_says_so(trained: Path, toy_target: Path, tmp_path: Path) -> None:
    recipe = toy_recipe(
        toy_target,
        toy_target,
        source={"dataset": "none"},
        init_from=str(trained),
        method={"name": "align", "terms": [{"term": "advent", "base_channels": 4}]},
    )
    with pytest.raises(InputError, match="this method needs source images"):
        run_recipe(recipe, tmp_path / "advent", SILENT)
    plain = recipe.model_copy(update={"method": {"name": "align"}})
    with pytest.raises(InputError, match="this method needs source images"):
        run_recipe(plain, tmp_path / "plain", SILENT)
    with pytest.raises(InputError, match="patience waits for a better score"):
        parse(Recipe, {"name": "x", "training": {"patience": 2}}, "x")
