"""`segshift health`, and what `segshift train --select` prints."""

import json
import math
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.cli.conftest import Segshift
from tests.engine.recipes import toy_recipe


def write_run(folder: Path, level: float) -> Path:
    folder.mkdir(parents=True)
    lines = [
        {
            "step": 20 * k,
            "roles": {"advent": "adversary"},
            "losses": {"segmenter/supervised": 0.5 + 0.1 * (k % 3), "advent/source": level},
        }
        for k in range(1, 13)
    ]
    lines.append(
        {"step": 240, "evaluation": {"miou": 0.3}, "unsupervised": {"snd": 4.1, "largest_class_share": 0.4}}
    )
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_health_says_what_is_sick_and_what_to_try(segshift: Segshift, tmp_path: Path) -> None:
    sick, well = write_run(tmp_path / "sick", math.log(2)), write_run(tmp_path / "well", 0.6)
    outcome = segshift("health", sick, well)
    assert outcome.status == 0
    first, second = outcome.out.splitlines()
    assert (
        first.startswith(f"{sick} from step 160 on: advent is pinned at log 2") and "learning rate" in first
    )
    assert second == f"{well}: nothing looks sick"
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "metrics.jsonl").touch()
    assert segshift("health", begun).out == f"{begun}: no step is recorded\n"
    document = segshift("health", sick, well, "--json").json()
    assert [entry["run"] for entry in document["runs"]] == [str(sick), str(well)]
    assert document["runs"][0]["advice"][0]["symptom"] == "discriminator at chance: advent"
    assert document["runs"][1]["advice"] == []


def test_stages_and_their_pseudo_labels_are_looked_at(segshift: Segshift, tmp_path: Path) -> None:
    write_run(tmp_path / "run" / "2_adapt", 0.6)
    labels = tmp_path / "run" / "1_labels" / "pseudo_labels.json"
    labels.parent.mkdir()
    rows = {
        "road": {"predicted_pixels": 99, "kept_share": 1.0},
        "car": {"predicted_pixels": 9, "kept_share": 0.0},
    }
    labels.write_text(json.dumps({"classes": rows}))
    entries = {
        Path(e["run"]).name: e["advice"]
        for e in segshift("health", tmp_path / "run", "--json").json()["runs"]
    }
    assert (
        entries["2_adapt"] == [] and "100 % of the pseudo labels are road" in entries["1_labels"][0]["seen"]
    )
    labels.write_text("{}")
    assert "no summary of pseudo labels" in segshift("health", tmp_path / "run").refusal()


def test_the_chart(segshift: Segshift, tmp_path: Path) -> None:
    run, single = write_run(tmp_path / "run", 0.6), tmp_path / "adabn"
    single.mkdir()
    (single / "metrics.jsonl").write_text('{"step": 0, "evaluation": {"miou": 0.2}}\n')
    outcome = segshift("health", run, single, "--chart", tmp_path / "curves.png")
    assert outcome.status == 0 and "curves.svg" in outcome.err
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 1000 and picture.height > 600
    assert "</svg>" in (tmp_path / "curves.svg").read_text()
    assert "no loss was logged" in segshift("health", single, "--chart", tmp_path / "no").refusal()
    assert not (tmp_path / "no.png").exists()


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_folders_that_are_no_runs(segshift: Segshift, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    assert "give the folder of a run" in segshift("health", tmp_path / name).refusal()


def test_train_selects_by_a_score_and_says_so(
    segshift: Segshift, tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    recipe = tmp_path / "toy.yaml"
    made = toy_recipe(toy_source, toy_target, training={"steps": 2})
    recipe.write_text(yaml.safe_dump(made.model_dump(mode="json")))
    often = ["--set", "training.evaluate_every=1"]
    assert "set training.evaluate_every" in segshift("train", recipe, "--select", "bnm").refusal()
    assert (
        "goes with oracle_selection" in segshift("train", recipe, "--select", "target_miou", *often).refusal()
    )
    outcome = segshift("train", recipe, "--select", "bnm", *often, "--out", tmp_path / "free")
    assert outcome.status == 0 and "best by bnm at step" in outcome.out
    assert "TARGET LABELS" not in outcome.out
    outcome = segshift("train", recipe, "--oracle", *often, "--out", tmp_path / "oracle")
    assert outcome.status == 0 and "best by target_miou at step" in outcome.out
    assert "USES TARGET LABELS: they chose the checkpoint" in outcome.out
