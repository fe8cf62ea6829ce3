"""AdaptPatch in whole runs: resume, and the stages of its integrations."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from segshift.config import merge, parse
from segshift.engine import source_labels
from segshift.engine.feed import TrainingData
from segshift.engine.presets import load_recipe
from segshift.engine.recipe import Recipe
from segshift.engine.smoke import smoke_recipe
from segshift.errors import StoppedError
from tests.engine.recipes import toy_recipe
from tests.engine.runs import assert_same_bits, run, weights

RUN_TERM = {
    "term": "patch",
    "modes": 4,
    "patch_px": [10, 8],
    "weight": 0.01,
    "hidden_channels": 7,
    "start_step": 1,
}


def test_a_resumed_run_equals_a_straight_one_and_does_not_cluster_again(
    tmp_path: Path,
    toy_source: Path,
    toy_target: Path,
    stop_after: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEGSHIFT_CACHE", str(tmp_path / "cache"))
    recipe = toy_recipe(
        toy_source,
        toy_target,
        method={"name": "align", "terms": [RUN_TERM]},
        training={"steps": 5},
        evaluation={"input_size": [40, 32]},
    )
    run(recipe, tmp_path / "straight")
    stop_after(2)
    with pytest.raises(StoppedError):
        run(recipe, tmp_path / "resumed")
    monkeypatch.undo()

    def unexpected(*_: Any) -> Any:
        raise AssertionError("clustered again")

    monkeypatch.setattr("segshift.methods.patch.cached_centers", unexpected)
    run(recipe, tmp_path / "resumed", resume=True)
    assert_same_bits(weights(tmp_path / "straight"), weights(tmp_path / "resumed"))
    states = [
        torch.load(max((tmp_path / name / "checkpoints").glob("step_*.pt")), weights_only=True)["method"]
        for name in ("straight", "resumed")
    ]
    assert_same_bits(*states)
    assert states[0]["terms.0.centers"].abs().sum() > 0


def tiny(preset: str, source: Path, target: Path) -> Recipe:
    """A preset on toy data with the tiny network, two steps per stage."""
    changes = {
        "source": {"dataset": str(source)},
        "target": {"dataset": str(target)},
        "model": {"backbone": "segshift_tiny", "output_stride": 8},
        "training": {"threads": 1},
    }
    return parse(Recipe, merge(smoke_recipe(load_recipe(preset)).model_dump(mode="json"), changes), preset)


def losses_of(folder: Path) -> set[str]:
    """The names of all losses that a run logged."""
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return {name for line in lines for name in line.get("losses", ())}


def written_data(folder: Path) -> dict[Path, int]:
    """Images and labels that stages wrote, and when; not the picture that shows some of them."""
    files = [path for path in folder.rglob("*") if path.suffix in {".png", ".jpg"}]
    return {path: path.stat().st_mtime_ns for path in files if path.name != "translated.png"}


def test_fusion_runs_all_its_stages_from_one_call_and_a_second_skips_them(
    tmp_path: Path, toy_source: Path, toy_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGSHIFT_CACHE", str(tmp_path / "cache"))
    label_maps = []
    original = TrainingData.source_labels

    def counting(self: TrainingData, batch_size: int, limit: int | None) -> Any:
        for labels in original(self, batch_size, limit):
            if limit != source_labels._MAPS:  # the look before the first step is not what is counted
                label_maps.append(labels)
            yield labels

    monkeypatch.setattr(TrainingData, "source_labels", counting)
    recipe = tiny("adaptpatch_fusion", toy_source, toy_target)
    first = run(recipe, tmp_path / "run")
    stages = ["1_translator", "2_translated", "3_adapt", "4_pseudo_labels", "5_retrain"]
    assert [path.name for path in sorted((tmp_path / "run").glob("?_*"))] == stages
    # Six label maps of the source and their six translated twins are clustered, once for both stages.
    assert len(label_maps) == 12 and len(list((tmp_path / "cache" / "patch_modes").iterdir())) == 1
    losses = {stage: losses_of(tmp_path / "run" / stage) for stage in ("3_adapt", "5_retrain")}
    game = {
        "segmenter/patch_mode",
        "segmenter/patch_adversarial",
        "segmenter/output_alignment_adversarial",
        "patch/source",
        "output_alignment/target",
    }
    assert game <= losses["3_adapt"] and "segmenter/pseudo_labelled" not in losses["3_adapt"]
    assert game | {"segmenter/pseudo_labelled"} <= losses["5_retrain"]
    assert weights(tmp_path / "run").keys() == weights(tmp_path / "run" / "3_adapt").keys()

    def unexpected(*_: Any) -> Any:
        raise AssertionError("a finished stage was trained again")

    monkeypatch.setattr("segshift.engine.run.Trainer", unexpected)
    before = written_data(tmp_path / "run")
    assert run(recipe, tmp_path / "run") == first
    assert len(before) >= 6 + 6 + 6 and written_data(tmp_path / "run") == before
