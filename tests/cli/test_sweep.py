"""`segshift sweep`: table, files and curve."""

import json
from pathlib import Path

import yaml
from PIL import Image

from tests.cli.conftest import Segshift
from tests.engine.recipes import toy_recipe


def test_a_sweep_and_what_it_writes(
    segshift: Segshift, toy_source: Path, toy_target: Path, tmp_path: Path
) -> None:
    made = toy_recipe(toy_source, toy_target, training={"steps": 1, "checkpoint_every": 50})
    recipe, out = tmp_path / "toy.yaml", tmp_path / "out"
    recipe.write_text(yaml.safe_dump(made.model_dump(mode="json")))
    arguments = [
        "sweep",
        recipe,
        "--set",
        "optimizers.segmenter.lr=0.1,0.001",
        "--seeds",
        "0,1",
        "--out",
        out,
    ]
    document = segshift(*arguments, "--json").json()
    assert [row["values"]["optimizers.segmenter.lr"] for row in document["rows"]] == [0.1, 0.001]
    written = json.loads((out / "sweep.json").read_text())
    assert {key: document[key] for key in written} == written
    with Image.open(document["curve"]) as picture:
        assert min(picture.size) > 300
    assert (out / "sweep.svg").is_file()
    lines = (out / "sweep.md").read_text().splitlines()
    assert lines[:2] == [
        "| optimizers.segmenter.lr | mIoU | seed 0 | seed 1 |",
        "| --- | ---: | ---: | ---: |",
    ]
    mean, first = document["rows"][0]["miou_mean"], document["rows"][0]["miou"]["0"]
    assert lines[2].startswith(f"| 0.1 | {100 * mean:.1f} ± ") and f"| {100 * first:.1f} |" in lines[2]
    again = segshift(*arguments)
    assert again.status == 0 and f"{100 * mean:.1f}" in again.out and "sweep.png" in again.out
    assert "finished before" in again.err


def test_bad_input_is_one_line(segshift: Segshift, tmp_path: Path) -> None:
    def refused(*arguments: object) -> str:
        return segshift("sweep", *arguments, "--out", tmp_path / "out").refusal()

    assert "no setting has several values" in refused("advent", "--set", "training.steps=5")
    assert "is neither a preset nor a file" in refused("advant", "--set", "training.steps=5,6")
    assert "unknown key `training.stops`" in refused("advent", "--set", "training.stops=5,6")
    assert "write whole numbers" in refused("advent", "--set", "training.steps=5,6", "--seeds", "a")
    assert not (tmp_path / "out").exists()
