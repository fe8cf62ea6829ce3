"""`segshift compare`: rows of arms and seeds on the page, in the table and in JSON, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Segshift
from tests.engine.recipes import toy_recipe


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory, toy_source: Path, toy_target: Path) -> Path:
    """Two ways from one start, a few steps each."""
    recipe = toy_recipe(toy_source, toy_target, training={"steps": 3}).model_dump(mode="json")
    arms: dict[str, Any] = {
        "control": {"label": "source only"},
        "own": {"label": "MinEnt", "changes": {"method": {"terms": [{"term": "minent", "weight": 0.1}]}}},
    }
    path = tmp_path_factory.mktemp("comparison") / "toys.yaml"
    data = {"name": "toys [a|b]", "recipe": recipe, "start": {"training": {"steps": 2}}, "arms": arms}
    path.write_text(yaml.safe_dump(data))
    return path


def test_every_arm_and_seed_has_its_interval_everywhere(
    segshift: Segshift, comparison: Path, tmp_path: Path
) -> None:
    out = tmp_path / "compared"
    call = ("compare", comparison, "--seeds", "0,1", "--set", "start.seed=0", "--out", out)
    document = segshift(*call, "--json").json()
    assert {path.name for path in out.iterdir() if path.is_file()} >= {
        "comparison.json",
        "report.html",
        "before_after.png",
    }
    stored = json.loads((out / "comparison.json").read_text())
    rows = {row["name"]: row for row in document["report"]["runs"]}
    assert list(rows) == ["source only", "common start", "MinEnt"]
    arm = next(row for row in stored["rows"] if row["arm"] == "own")
    assert [one["miou"] for one in rows["MinEnt"]["seeds"]] == pytest.approx(arm["miou"])
    assert rows["MinEnt"]["miou"] == pytest.approx(arm["miou_mean"])
    assert rows["MinEnt"]["miou_spread"] == pytest.approx(arm["miou_std"])
    gain = rows["MinEnt"]["gain"]
    assert gain["difference"] == pytest.approx(arm["gain_mean"]) and gain["trainings"] == 2
    assert gain["interval"][0] <= gain["difference"] <= gain["interval"][1]
    assert [one["gain"]["difference"] for one in rows["MinEnt"]["seeds"]] == pytest.approx(arm["gain"])
    assert rows["source only"]["gain"] is None and rows["MinEnt"]["unfair"] == []
    assert rows["common start"]["unfair"] == ["2 steps since their common start, source only 5"]
    page = (out / "report.html").read_text()
    assert f"compare {comparison} --seeds 0,1 --set start.seed=0 --out {out}" in page
    assert "toys [a|b]" in page and "Every seed" in page

    outcome = segshift(*call)
    assert outcome.status == 0 and "step" not in outcome.err.replace("steps", "")
    text = " ".join(outcome.out.split())
    assert "toys [a|b]: mIoU in %" in text and "MinEnt" in text and text.count("seed 1") == 3


def test_bad_input_is_one_line(segshift: Segshift, comparison: Path, tmp_path: Path) -> None:
    assert "give a YAML, or --methods" in segshift("compare").refusal()
    assert "give a YAML, or --methods" in segshift("compare", "--methods", "clan").refusal()
    said = segshift("compare", comparison, "--methods", "claan,cbst", "--out", tmp_path / "x").refusal()
    assert "2 of 4 arms" in said and "did you mean `clan`?" in said and "cbst has stages" in said


def test_all_options_that_are_wrong_are_told_at_once(segshift: Segshift, toy_target: Path) -> None:
    call = ("compare", "--methods", "clann,minent", "--source", "gone.yaml", "--target", "cityscape:x")
    said = segshift(*call, "--seeds", "0,a").refusal()
    for words in (
        "4 of 4 options are wrong",
        "did you mean `clan`",
        "gone.yaml: no such file",
        "did you mean `cityscapes`",
        "--seeds 0,a: write whole numbers",
    ):
        assert words in said
    data = ("--source", toy_target, "--target", toy_target)
    said = segshift("compare", "--methods", "minent", *data, "--set", "a=1").refusal()
    assert said.startswith("--set: unknown key `a`")
    assert "give a YAML, or --methods" in segshift("compare", "--methods", ",", *data).refusal()
