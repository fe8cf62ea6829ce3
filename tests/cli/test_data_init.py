"""`segshift data init`: proposes, asks, refuses; `segshift data check --html` on what it wrote."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segshift.data.resolve import resolve
from tests.cli.conftest import Segshift
from tests.data.files import assert_one_line


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of four images with ids 3, 7 and 255; the working folder is the one above it."""
    root = tmp_path / "warehouse"
    generator = np.random.default_rng(0)
    for index in range(4):
        for kind in ("images", "labels"):
            (root / kind).mkdir(parents=True, exist_ok=True)
        label = np.full((32, 48), 3, np.uint8)
        label[16:] = 7
        label[:2] = 255
        image = generator.integers(0, 256, (32, 48, 3), np.uint8)
        Image.fromarray(image).save(root / "images" / f"{index}.jpg")
        Image.fromarray(label).save(root / "labels" / f"{index}.png")
    monkeypatch.chdir(tmp_path)
    return root


def answer(monkeypatch: pytest.MonkeyPatch, *lines: str) -> list[str]:
    """A person at a terminal who types these lines; what they were asked is collected."""
    waiting: Iterator[str] = iter(lines)
    asked: list[str] = []

    def prompt(text: str, **_: object) -> str:
        asked.append(text)
        return next(waiting)

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", prompt)
    return asked


def test_the_result_is_used_as_it_stands(segshift: Segshift, warehouse: Path, tmp_path: Path) -> None:
    outcome = segshift("data", "init", "warehouse")
    assert outcome.status == 0
    for part in ("train: 4 images with labels", "class_3", "class_7", "ignored", "43.75 %", "6.25 %",
                 "written to warehouse.yaml", "segshift data check warehouse.yaml --html"):  # fmt: skip
        assert part in outcome.out, part
    split = resolve("warehouse.yaml")
    assert split.classes.names == ("class_3", "class_7") and len(split.samples) == 4
    assert 'root: "warehouse"' in (tmp_path / "warehouse.yaml").read_text()
    checked = segshift("data", "check", "warehouse.yaml", "--html", "check.html", "--json").json()
    assert checked["errors"] == 0 and checked["html"] == "check.html"
    assert checked["splits"][0]["class_images"] == {"class_3": 1.0, "class_7": 1.0}
    assert "No problems found. 4 images in 1 split." in (tmp_path / "check.html").read_text()
    assert "page  check.html" in segshift("data", "check", "warehouse.yaml", "--html", "check.html").out


def test_json_and_names_from_the_command_line(segshift: Segshift, warehouse: Path, tmp_path: Path) -> None:
    out = tmp_path / "own" / "spec.yaml"
    found = segshift("data", "init", "warehouse", "--classes", "rack,floor", "--out", out, "--json").json()
    assert found["classes"] == ["rack", "floor"] and found["spec"] == str(out)
    assert found["splits"] == [{"name": "train", "images": 4, "labelled": True, "without_label": 0}]
    assert found["labels"]["values"] == [
        {"value": "3", "share": pytest.approx(14 / 32), "files": 4, "class": "rack"},
        {"value": "7", "share": pytest.approx(16 / 32), "files": 4, "class": "floor"},
        {"value": "255", "share": pytest.approx(2 / 32), "files": 4, "class": None},
    ]
    label = resolve(str(out)).decoder.read(warehouse / "labels" / "0.png")
    assert (label[:2] == 255).all() and (label[2:16] == 0).all() and (label[16:] == 1).all()


def test_a_person_is_asked_until_the_names_fit(
    segshift: Segshift, warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answer(monkeypatch, "rack", "3=rack,7=floor,255=ignore")
    outcome = segshift("data", "init", "warehouse")
    assert outcome.status == 0 and len(asked) == 2 and "VALUE=NAME" in outcome.err
    assert resolve("warehouse.yaml").classes.names == ("rack", "floor")
    answer(monkeypatch, "")
    assert segshift("data", "init", "warehouse", "--force").status == 0
    assert resolve("warehouse.yaml").classes.names == ("class_3", "class_7")


def test_refusals(segshift: Segshift, warehouse: Path, tmp_path: Path) -> None:
    (tmp_path / "warehouse.yaml").write_text("mine")
    assert_one_line(ValueError(segshift("data", "init", "warehouse").refusal()), "warehouse.yaml", "--force")
    assert (tmp_path / "warehouse.yaml").read_text() == "mine"
    for arguments, parts in (
        (("nowhere", "--out", "a.yaml"), ("nowhere: no such folder",)),
        (("warehouse", "--out", "spec"), ("--out spec", ".yaml")),
        (("warehouse", "--out", "a.yaml", "--classes", "a,b,c,d"), ("4 names", "3 values (3, 7, 255)")),
        (("warehouse", "--out", "images.yaml/a.yaml", "--force"), ("images.yaml",)),
    ):
        if "images.yaml/a.yaml" in arguments:
            (tmp_path / "images.yaml").write_text("a file where a folder is needed")
        assert_one_line(ValueError(segshift("data", "init", *arguments).refusal()), *parts)
    assert not (tmp_path / "a.yaml").exists()
    assert "segshift data init warehouse" in segshift("data", "check", "warehouse").refusal()
