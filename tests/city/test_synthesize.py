"""Writing rendered datasets: layout, resuming, disjoint splits, settings that do not match."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segshift.city import cached_dataset, render, synthesize
from segshift.city import synthesize as _exported
from segshift.documents import read_yaml
from segshift.errors import InputError

SIZE = (64, 48)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def make(out: Path, **changes: object) -> Path:
    settings = {"count": 3, "val": 2, "size": SIZE, "seed": 4, "workers": 1} | changes
    style = str(settings.pop("style", "city:game"))
    return synthesize(style, out, **settings)  # type: ignore[arg-type]


def test_writes_an_ordinary_dataset(tmp_path: Path) -> None:
    spec = make(tmp_path / "set")
    assert spec == tmp_path / "set" / "dataset.yaml"
    data = read_yaml(spec)
    assert data["name"] == "city-game"
    assert data["classes"] == "cityscapes19"
    assert data["labels"] == {"kind": "train_ids"}
    assert "no restrictions" in data["license"]  # a model card repeats it
    for split, length in (("train", 3), ("val", 2)):
        images = sorted(spec.parent.glob(data["splits"][split]["images"]))
        assert [path.name for path in images] == [f"{k:06d}.png" for k in range(length)]
        for path in images:
            label = spec.parent / data["splits"][split]["labels"].format(stem=path.stem)
            with Image.open(path) as image, Image.open(label) as ids:
                assert (image.mode, image.size) == ("RGB", SIZE)
                assert (ids.mode, ids.size) == ("L", SIZE)
    record = json.loads((spec.parent / "city.json").read_text())
    assert record["style"] == "city:game"
    assert (record["seed"], record["size"], record["train"], record["val"]) == (4, [64, 48], 3, 2)


def test_no_image_is_in_two_splits_or_twice(tmp_path: Path) -> None:
    make(tmp_path / "a", count=6, val=6)
    make(tmp_path / "b", count=6, val=6, seed=5)
    pictures = [path.read_bytes() for path in tmp_path.glob("*/images/*/*.png")]
    assert len(pictures) == 24
    assert len(set(pictures)) == 24


def test_resuming_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "whole")
    done: list[int] = []

    def stop_after_three(style: str, seed: int, size: tuple[int, int]) -> object:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(seed)
        return render(style, seed, size)

    module = __import__(_exported.__module__, fromlist=["render"])
    with monkeypatch.context() as patch:
        patch.setattr(module, "render", stop_after_three)
        with pytest.raises(KeyboardInterrupt):
            make(tmp_path / "broken")
    assert not (tmp_path / "broken" / "dataset.yaml").exists()
    assert len(list((tmp_path / "broken").glob("images/*/*.png"))) == 3
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "broken").glob("images/*/*.png")}
    make(tmp_path / "broken")
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())


def test_an_image_without_its_label_is_rendered_again(tmp_path: Path) -> None:
    make(tmp_path)
    before = contents(tmp_path)
    (tmp_path / "labels" / "train" / "000001.png").unlink()
    make(tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.process
def test_several_workers_write_what_one_writes(tmp_path: Path) -> None:
    make(tmp_path / "one", count=5)
    make(tmp_path / "two", count=5, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.parametrize("change", [{"seed": 5}, {"count": 4}, {"size": (80, 48)}, {"style": "city:dusk"}])
def test_other_settings_in_the_same_folder_are_an_error(tmp_path: Path, change: dict[str, object]) -> None:
    make(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"city\.json"):
        make(tmp_path, **change)
    assert contents(tmp_path) == before


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("do not touch")
    with pytest.raises(InputError, match="other files"):
        make(tmp_path)
    assert contents(tmp_path) == {"thesis.txt": b"do not touch"}


def test_a_damaged_record_is_explained(tmp_path: Path) -> None:
    (tmp_path / "city.json").write_text("{")
    with pytest.raises(InputError, match=r"city\.json"):
        make(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"style": "city:duks"}, "city:dusk"),
        ({"count": 0}, "count"),
        ({"val": -1}, "val"),
        ({"seed": -1}, "seed"),
        ({"size": (8, 8)}, "8x8"),
        ({"workers": 0}, "workers"),
    ],
)
def test_bad_input_is_explained_before_anything_is_written(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make(tmp_path / "new", **change)
    assert not (tmp_path / "new").exists()


def test_without_validation_images_there_is_no_such_split(tmp_path: Path) -> None:
    assert list(read_yaml(make(tmp_path, val=0))["splits"]) == ["train"]


def test_cache_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSHIFT_CACHE", str(tmp_path))
    first = cached_dataset("city:overcast", count=1, val=1, size=SIZE, seed=0, workers=1)
    assert first.is_relative_to(tmp_path / "city")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert cached_dataset("city:overcast", count=1, val=1, size=SIZE, seed=0, workers=1) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    other = cached_dataset("city:overcast", count=1, val=1, size=SIZE, seed=1, workers=1)
    pictures = [np.asarray(Image.open(spec.parent / "images/train/000000.png")) for spec in (first, other)]
    assert not np.array_equal(pictures[0], pictures[1])
