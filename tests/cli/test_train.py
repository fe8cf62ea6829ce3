"""`segshift train`, `segshift compare` and `segshift demo` on small data."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import segshift as package
from segshift.engine.trainer import Trainer
from segshift.errors import NonFiniteLossError, StoppedError
from tests.cli.conftest import Segshift
from tests.engine.recipes import toy_recipe


@pytest.fixture
def recipe(tmp_path: Path, toy_source: Path, toy_target: Path) -> Path:
    path = tmp_path / "toy.yaml"
    data = toy_recipe(toy_source, toy_target, training={"steps": 2}).model_dump(mode="json")
    path.write_text(yaml.safe_dump(data))
    return path


def test_train_prints_one_json_document(segshift: Segshift, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    outcome = segshift("train", recipe, "--out", out, "--json", "--set", "training.steps=3")
    data = outcome.json()
    assert data == {"folder": str(out), **json.loads((out / "results.json").read_text())}
    assert data["steps"] == 3 and set(data["evaluation"]["iou"]) == {"sky", "ground", "box"}
    assert "step 3/3" in outcome.err
    assert package.load(out).class_names == ("sky", "ground", "box")


def test_train_prints_a_table_and_where_things_are(segshift: Segshift, recipe: Path, tmp_path: Path) -> None:
    outcome = segshift("train", recipe, "--out", tmp_path / "run")
    assert outcome.status == 0
    assert str(tmp_path / "run" / "model.safetensors") in outcome.out and "ground" in outcome.out
    assert outcome.out.endswith(f"report     segshift report {tmp_path / 'run'}\n")
    again = segshift("train", recipe, "--out", tmp_path / "run")
    assert again.status == 0 and "finished before" in again.err and again.out == outcome.out


def test_train_takes_its_data_from_the_command_line(
    segshift: Segshift, recipe: Path, tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    arguments = ["train", recipe, "--source", f"{toy_target}:val", "--target", f"{toy_source}:unlabelled"]
    data = segshift(*arguments, "--out", tmp_path / "run", "--json").json()
    assert data["source"] == "toy val (6 images)" and data["target"] == "toy unlabelled (6 images)"


def test_a_target_without_labels_is_no_mistake(
    segshift: Segshift, tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    data = yaml.safe_load(toy_target.read_text())
    data["root"] = str(toy_target.parent)
    data["splits"] = {"train": data["splits"]["unlabelled"]}
    (tmp_path / "bare.yaml").write_text(yaml.safe_dump(data))
    made = toy_recipe(toy_source, tmp_path / "bare.yaml", training={"steps": 1}).model_dump(
        mode="json", exclude={"evaluation"}
    )
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(made))
    outcome = segshift("train", tmp_path / "toy.yaml", "--out", tmp_path / "run")
    assert outcome.status == 0 and "No labelled images" in outcome.out
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["evaluation"] is None and results["evaluated_on"] is None


def test_a_run_in_progress_is_not_continued_by_accident(
    segshift: Segshift, recipe: Path, tmp_path: Path
) -> None:
    assert segshift("train", recipe, "--out", tmp_path / "run").status == 0
    (tmp_path / "run" / "results.json").unlink()
    assert "--resume" in segshift("train", recipe, "--out", tmp_path / "run").refusal()
    assert segshift("train", recipe, "--out", tmp_path / "run", "--resume").status == 0
    other = segshift("train", recipe, "--out", tmp_path / "run", "--set", "training.steps=4")
    assert "other settings" in other.refusal()


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (StoppedError(15, 7), 143, "--resume"),
        (StoppedError(2, 7), 130, "stopped after step 7"),
        (NonFiniteLossError(3, ("segmenter",), {"a": float("nan")}), 1, "a = nan"),
    ],
)
def test_runs_that_end_early(
    segshift: Segshift,
    recipe: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    message: str,
) -> None:
    def end(self: Trainer) -> None:
        raise error

    monkeypatch.setattr(Trainer, "run", end)
    outcome = segshift("train", recipe, "--out", tmp_path / "run", "--json")
    assert outcome.status == status and outcome.out == ""
    assert message in outcome.err and "Traceback" not in outcome.err


def comparison_file(folder: Path, source: Path, target: Path) -> Path:
    shared: dict[str, Any] = toy_recipe(source, target, training={"steps": 2}).model_dump(mode="json")
    arms = {
        "control": {"label": "source only"},
        "minent": {"label": "MinEnt", "changes": {"method": {"terms": [{"term": "minent"}]}}},
        "oracle": {"label": "oracle", "changes": {"oracle": True}},
    }
    data = {"name": "toys [small]", "recipe": shared, "start": {"training": {"steps": 1}}, "arms": arms}
    path = folder / "toys.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def test_compare_writes_a_page_and_a_document(
    segshift: Segshift, tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    path, out = comparison_file(tmp_path, toy_source, toy_target), tmp_path / "out"
    data = segshift("compare", path, "--seeds", "0,3", "--out", out, "--json").json()
    page = Path(data.pop("page"))
    # What is printed holds the page's numbers as well.
    assert data.pop("report")["runs"]
    assert data == json.loads((out / "comparison.json").read_text())
    assert data["seeds"] == [0, 3] and [row["arm"] for row in data["rows"]] == [
        "start",
        "control",
        "minent",
        "oracle",
    ]
    assert page == out / "report.html"
    html = page.read_text()
    assert "MinEnt" in html and "toys [small]" in html and "<img" in html
    assert (out / "seed_3" / "oracle" / "model.safetensors").is_file()
    text = segshift("compare", path, "--seeds", "0,3", "--out", out)
    assert text.status == 0 and "MinEnt" in text.out
    assert "oracle (uses" in text.out and "target labels)" in text.out  # a name is folded in its column


def test_compare_takes_its_data_from_the_command_line(
    segshift: Segshift, tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    path, out = comparison_file(tmp_path, toy_source, toy_source), tmp_path / "out"
    arguments = ["--target", toy_target, "--set", "arms.oracle=null", "--out", out, "--json"]
    assert "arms.oracle" in segshift("compare", path, *arguments).refusal()
    data = segshift("compare", path, "--target", toy_target, "--out", out, "--json").json()
    results = json.loads((out / "seed_0" / "control" / "results.json").read_text())
    config = yaml.safe_load((out / "seed_0" / "control" / "config.yaml").read_text())
    assert config["target"]["dataset"] == str(toy_target) and data["rows"][1]["miou"][0] == pytest.approx(
        results["evaluation"]["miou"]
    )


def test_the_demo_compares_on_the_city(segshift: Segshift, tmp_path: Path, city_cache: Path) -> None:
    out = tmp_path / "demo"
    changes = [
        "recipe.source.dataset=city:game,size=64x48,count=4,val=1",
        "recipe.target.dataset=city:dusk,size=64x48,count=4,val=2",
        "recipe.source.augmentation.resize=[64, 48]",
        "recipe.target.augmentation.resize=[64, 48]",
        "recipe.training.steps=2",
        "recipe.training.batch_size=2",
        "start.training.steps=2",
    ]
    options = [word for change in changes for word in ("--set", change)]
    data = segshift("demo", "--out", out, "--json", *options).json()
    assert (out / "report.html").stat().st_size > 5000
    rows = {row["arm"]: row for row in data["rows"]}
    assert {"start", "control", "adabn", "oracle"} < set(rows)
    assert {row["steps"] for name, row in rows.items() if name != "start"} == {2}
    assert rows["oracle"]["uses_target_labels"] and rows["control"]["gain"] == [0.0]
