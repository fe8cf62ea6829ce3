"""The YAML of a data set, and the splits that come of it."""

from pathlib import Path
from typing import Any

import pytest

from segshift.data.spec import load_dataset
from segshift.errors import InputError
from tests.data.files import CLASSES, assert_one_line, dataset, description, ids, pixels, save, write_yaml


def test_the_designs_example(tmp_path: Path) -> None:
    for name in ("x/1", "2"):
        save(tmp_path / f"rgb/train/{name}.png", pixels(0))
        save(tmp_path / f"mask/train/{Path(name).name}_id.png", ids(0))
    (tmp_path / "warehouse.yaml").write_text(
        """
name: warehouse
splits:
  train: {images: "rgb/train/**/*.png", labels: "mask/train/{stem}_id.png"}
classes: [floor, rack, pallet, person]
labels: {kind: ids, map: {7: floor, 11: rack, 12: rack, 24: person}, other: ignore}
palette: cityscapes
"""
    )
    split = load_dataset(tmp_path / "warehouse.yaml").split("train")
    assert split.title == "warehouse:train"
    assert split.classes.name == "warehouse"
    assert split.classes.names == ("floor", "rack", "pallet", "person")
    assert split.classes.colors[3] == (220, 20, 60)
    assert [sample.stem for sample in split.samples] == ["2", "x/1"]
    assert split.labelled
    assert split.decoder.values == {7: 0, 11: 1, 12: 1, 24: 3}


def test_the_root_is_relative_to_the_yaml_and_overruled_by_the_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yaml = dataset(tmp_path / "home", root="../data")
    dataset(tmp_path / "data")
    dataset(tmp_path / "given", train=1)
    monkeypatch.chdir(tmp_path)
    assert load_dataset(yaml).split("train").samples[0].image.resolve() == tmp_path / "data/rgb/train/000.png"
    assert len(load_dataset(yaml, "given").split("train").samples) == 1
    monkeypatch.setenv("HOME", str(tmp_path))
    own = write_yaml(tmp_path / "home/own.yaml", description(root="~/given"))
    assert len(load_dataset(own).split("train").samples) == 1


def test_an_unlabelled_split(tmp_path: Path) -> None:
    yaml = dataset(tmp_path, splits={"train": {"images": "rgb/train/*.png"}})
    split = load_dataset(yaml).split("train")
    assert not split.labelled
    assert all(sample.label is None for sample in split.samples)


def test_missing_root(tmp_path: Path) -> None:
    yaml = dataset(tmp_path, root=str(tmp_path / "nowhere"))
    with pytest.raises(InputError) as caught:
        load_dataset(yaml).split("train")
    assert_one_line(caught.value, str(yaml), str(tmp_path / "nowhere"), "no folder", "`root:`")


def test_images_without_labels_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    yaml = dataset(tmp_path, train=4)
    for index in (1, 3):
        (tmp_path / f"mask/train/{index:03}_id.png").unlink()
    with pytest.raises(InputError) as caught:
        load_dataset(yaml).split("train")
    assert_one_line(
        caught.value, "2 of 4", "rgb/train/001.png", "mask/train/001_id.png", "`splits.train.labels`"
    )
    found = load_dataset(yaml).find("train")
    assert [sample.stem for sample in found.without_label] == ["001", "003"]
    assert [sample.stem for sample in found.split.samples] == ["000", "002"]


def test_listed_images_that_are_missing_are_counted(tmp_path: Path) -> None:
    yaml = dataset(tmp_path, splits={"train": {"list": "l.txt", "images": "rgb/train/{stem}.png"}})
    (tmp_path / "l.txt").write_text("000\n009\n")
    with pytest.raises(InputError) as caught:
        load_dataset(yaml).split("train")
    assert_one_line(caught.value, "1 of 2", "rgb/train/009.png", "correct the list")


def test_an_empty_split(tmp_path: Path) -> None:
    yaml = dataset(tmp_path, train=0)
    with pytest.raises(InputError) as caught:
        load_dataset(yaml).split("train")
    assert_one_line(caught.value, str(yaml), "rgb/train/*.png", "matches no file", str(tmp_path))


def test_unknown_split_suggests(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_dataset(dataset(tmp_path)).split("trian")
    assert_one_line(caught.value, "'trian'", "did you mean `train`?")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"clases": CLASSES}, ["`clases`", "did you mean `classes`?"]),
        ({"classes": None}, ["`classes` is missing"]),
        ({"classes": []}, ["empty"]),
        ({"classes": ["a", "a"]}, ["'a' stands twice"]),
        ({"classes": "cityscapes18"}, ["'cityscapes18'", "did you mean `cityscapes19`?"]),
        ({"palette": "cityscape"}, ["palette", "did you mean"]),
        ({"palette": [[1, 2, 3]]}, ["1 colors for 3 classes"]),
        ({"splits": {}}, ["`splits`"]),
        ({"splits": {"train": {"image": "a"}}}, ["splits.train.image", "did you mean `images`?"]),
        ({"splits": {"train": {"images": "*.png", "labels": "{sten}"}}}, ["did you mean `stem`?"]),
        ({"labels": {"kinds": "ids"}}, ["`labels.kinds`", "did you mean `kind`?"]),
        ({"labels": {"kind": "ids", "map": {1: "rak"}}}, ["1 = 'rak'", "did you mean `rack`?"]),
        ({"labels": {"other": "skip"}}, ["`labels.other` = 'skip'", "ignore"]),
        ({"labels": {"channel": -1}}, ["`labels.channel` = -1"]),
        ({"name": ""}, ["`name`"]),
    ],
)
def test_bad_keys_and_values(tmp_path: Path, changes: dict[str, Any], parts: list[str]) -> None:
    yaml = write_yaml(tmp_path / "own.yaml", description(**changes))
    with pytest.raises(InputError) as caught:
        load_dataset(yaml)
    assert_one_line(caught.value, "own.yaml", *parts)


def test_a_file_that_is_no_yaml(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("name: [")
    with pytest.raises(InputError) as caught:
        load_dataset(tmp_path / "own.yaml")
    assert_one_line(caught.value, "own.yaml", "not valid YAML")
