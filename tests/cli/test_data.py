"""`segshift data check` and `segshift data synthesize`."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segshift.data.resolve import resolve
from tests.cli.conftest import Segshift
from tests.conftest import write_toy_dataset


def test_a_good_data_set_has_status_0(segshift: Segshift, toy_source: Path, tmp_path: Path) -> None:
    outcome = segshift("data", "check", toy_source, "--json", "--sheet", tmp_path / "sheet.png")
    report = outcome.json()
    assert report["errors"] == 0 and report["classes"] == ["sky", "ground", "box"]
    assert {split["name"]: split["pairs"] for split in report["splits"]} == {
        "train": 6,
        "val": 6,
        "unlabelled": 0,
    }
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert min(sheet.size) > 32
    assert report["sheet"] == str(tmp_path / "sheet.png")
    text = segshift("data", "check", f"{toy_source}:train")
    assert text.status == 0 and "6" in text.out and "unlabelled" not in text.out


@pytest.mark.parametrize("broken", ["image", "label", "size"])
def test_a_broken_file_is_named_and_has_status_2(segshift: Segshift, tmp_path: Path, broken: str) -> None:
    dataset = write_toy_dataset(tmp_path / "data")
    image = tmp_path / "data" / "images" / "train" / "003.png"
    label = tmp_path / "data" / "labels" / "train" / "003.png"
    if broken == "image":
        image.write_bytes(image.read_bytes()[:200])
    elif broken == "label":
        label.unlink()
    else:
        Image.open(label).resize((20, 20), Image.Resampling.NEAREST).save(label)
    outcome = segshift("data", "check", dataset, "--json")
    report = json.loads(outcome.out)
    assert outcome.status == 2 and report["errors"] >= 1
    assert any("003" in problem["message"] for problem in report["problems"])
    text = segshift("data", "check", dataset)
    assert text.status == 2 and "error" in text.out and "Traceback" not in text.err


def test_no_share_is_broken_over_two_lines(segshift: Segshift, city_cache: Path) -> None:
    """Nineteen classes do not fit one line of 80 characters."""
    argument = "city:game,size=64x48,count=2,val=1:train"
    frequencies = segshift("data", "check", argument, "--json").json()["splits"][0]["class_frequencies"]
    text = segshift("data", "check", argument).out
    assert len(frequencies) == 19
    for name, share in frequencies.items():
        assert re.search(rf"(│|  ) ?{name} {100 * share:.2f} %  ", text), name
    assert "64x48 (2)" in text and "…" not in text


def test_an_id_without_a_class_is_a_warning_with_its_share(segshift: Segshift, tmp_path: Path) -> None:
    dataset = write_toy_dataset(tmp_path / "data")
    label = tmp_path / "data" / "labels" / "val" / "003.png"
    Image.fromarray(np.full((32, 48), 7, np.uint8)).save(label)
    report = segshift("data", "check", f"{dataset}:val", "--json").json()
    assert (report["errors"], report["warnings"]) == (0, 1)
    # One label of six is nothing but this id.
    assert report["splits"][0]["unmapped"] == {"id 7": pytest.approx(1 / 6, rel=0.01)}


def test_synthesize_writes_a_data_set(segshift: Segshift, tmp_path: Path) -> None:
    arguments = [
        "data",
        "synthesize",
        "city:dusk",
        "--count",
        2,
        "--val",
        1,
        "--size",
        "64x48",
        "--workers",
        1,
    ]
    data = segshift(*arguments, "--out", tmp_path / "city", "--json").json()
    for split, count in (("train", 2), ("val", 1)):
        found = resolve(data["dataset"], split)
        assert len(found.samples) == count and found.classes.count == 19
        with Image.open(found.samples[0].image) as image:
            assert image.size == (64, 48)
    again = segshift(*arguments, "--out", tmp_path / "city")
    assert again.status == 0 and data["dataset"] in again.out.replace("\n", "")
