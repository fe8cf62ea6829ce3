"""Dataset arguments, from text to files."""

from pathlib import Path

import pytest

import segshift.city
from segshift.data.resolve import agree, catalog, resolve
from segshift.errors import InputError
from tests.data.files import assert_one_line, dataset, write_yaml


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return dataset(tmp_path / "data")


def test_a_yaml_with_and_without_split(own: Path) -> None:
    assert resolve(str(own)).title == "warehouse:train"
    assert resolve(str(own), "val").title == "warehouse:val"
    assert resolve(f"{own}:val").title == "warehouse:val"
    assert resolve(f"{own}:train", "val").title == "warehouse:train", "the argument's split wins"


def test_a_yaml_with_a_root(own: Path, tmp_path: Path) -> None:
    other = tmp_path / "other:place"
    dataset(other, train=1)
    assert len(resolve(f"{own}:{other}").samples) == 1
    assert resolve(f"{own}:{other}:val").name == "val"


def test_a_folder_named_like_a_split_needs_a_dot(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dataset(tmp_path / "val", train=1)
    assert resolve(f"{own}:val").samples[0].image.is_relative_to(own.parent)
    assert len(resolve(f"{own}:./val").samples) == 1


def test_a_home_folder(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve(f"~/data/{own.name}:~/data:val").name == "val"


def test_wrong_split_or_root(own: Path) -> None:
    with pytest.raises(InputError) as caught:
        resolve(f"{own}:trian")
    assert_one_line(
        caught.value, "'trian' is neither an existing folder nor a split", "did you mean `train`?"
    )
    with pytest.raises(InputError) as caught:
        resolve(f"{own}:{own.parent}:vall")
    assert_one_line(caught.value, "'vall' is no split", "did you mean `val`?")
    with pytest.raises(InputError) as caught:
        resolve(str(own), "test")
    assert_one_line(caught.value, "no split 'test'", "train, val")


@pytest.mark.parametrize(
    ("argument", "parts"),
    [
        ("camvit:/data", ["'camvit' is no data set", "did you mean `camvid`?"]),
        ("", ["is no data set", "camvid"]),
        ("absent.yaml", ["absent.yaml", "no such file"]),
        ("camvid", ["needs the folder of its files", "camvid:PATH"]),
        ("camvid:train", ["needs the folder of its files"]),
        ("camvid:/no/such/folder", ["'/no/such/folder' is neither an existing folder nor a split"]),
        ("city:nite", ["'nite' is no style", "overcast"]),
        ("city:", ["'' is no style"]),
    ],
)
def test_arguments_that_name_nothing(argument: str, parts: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        resolve(argument)
    assert_one_line(caught.value, *parts)


def test_a_folder_is_told_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        resolve(str(tmp_path))
    assert_one_line(caught.value, str(tmp_path), "is a folder", "YAML")


@pytest.fixture
def rendered(own: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    calls: list[tuple[str, dict[str, object]]] = []

    def cached_dataset(style: str, **settings: object) -> Path:
        calls.append((style, {key: value for key, value in settings.items() if key != "progress"}))
        return own

    monkeypatch.setattr(segshift.city, "cached_dataset", cached_dataset)
    monkeypatch.setattr(segshift.city, "STYLES", {"city:day": None, "city:dusk": None})
    return calls


def test_the_citys_defaults_and_settings(rendered: list[tuple[str, dict[str, object]]]) -> None:
    assert resolve("city:day").name == "train"
    assert resolve("city:dusk,size=160x96,count=5,val=0,seed=7:val").name == "val"
    assert rendered == [
        ("day", {"count": 2000, "val": 200, "size": (480, 360), "seed": 0}),
        ("dusk", {"count": 5, "val": 0, "size": (160, 96), "seed": 7}),
    ]


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ("size=480", ["size='480'", "size=480x360"]),
        ("size=0x9", ["size='0x9'"]),
        ("count=0", ["count='0'"]),
        ("count=many", ["count='many'", "whole number"]),
        ("seed=-1", ["seed='-1'"]),
        ("cout=5", ["'cout'", "did you mean `count`?"]),
        ("count=5:test", ["'test' is no split", "train or val"]),
    ],
)
def test_wrong_city_settings(
    rendered: list[tuple[str, dict[str, object]]], settings: str, parts: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        resolve(f"city:day,{settings}")
    assert_one_line(caught.value, f"city:day,{settings}", *parts)
    assert not rendered, "nothing may be rendered for a wrong argument"


def test_the_catalogue_lists_camvid_and_every_style_of_the_city() -> None:
    entries = {entry.name: entry for entry in catalog()}
    assert entries["camvid"].classes.name == "camvid11"
    assert "dusk_train" in entries["camvid"].splits
    assert set(segshift.city.STYLES) == {name for name, entry in entries.items() if entry.spec is None}
    assert all(entry.description and "\n" not in entry.description for entry in entries.values())


def test_camvid_as_published(camvid_root: Path) -> None:
    expected = {
        "train": 367, "val": 101, "test": 233, "day_train": 305, "day_val": 101, "day_test": 171,
        "dusk_train": 62, "dusk_test": 62,
    }  # fmt: skip
    for name, count in expected.items():
        split = resolve(f"camvid:{camvid_root}:{name}")
        assert len(split.samples) == count
        assert split.labelled
    assert resolve(f"camvid:{camvid_root}").name == "train"


def test_two_data_sets_must_agree(own: Path, tmp_path: Path) -> None:
    split = resolve(str(own))
    assert agree(split, resolve(f"{own}:val"), None) == split.classes
    other = resolve(str(dataset(tmp_path / "other", name="sea", classes=["floor", "rack", "fish"])))
    with pytest.raises(InputError) as caught:
        agree(split, other, None)
    assert_one_line(
        caught.value,
        "warehouse:train",
        "sea:train",
        "floor, rack, person",
        "floor, rack, fish",
        "[floor, rack]",
    )
    assert agree(split, other, ["rack", "floor"]).names == ("rack", "floor")


def test_a_yaml_error_keeps_the_name_of_the_file(tmp_path: Path) -> None:
    path = write_yaml(
        tmp_path / "own.yml", {"name": "x", "splits": {"train": {"images": "*.png"}}, "clases": ["a"]}
    )
    with pytest.raises(InputError) as caught:
        resolve(f"{path}:train")
    assert_one_line(caught.value, str(path), "did you mean `classes`?")


def test_a_city_is_rendered_into_the_cache_and_found_there_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGSHIFT_CACHE", str(tmp_path))
    split = resolve("city:dusk,size=64x48,count=1,val=0")
    assert len(split.samples) == 1
    assert split.labelled
    assert split.classes.name == "cityscapes19"
    image = split.samples[0].image
    assert image.is_relative_to(tmp_path)
    written = image.stat().st_mtime_ns
    assert resolve("city:dusk,size=64x48,count=1,val=0") == split
    assert image.stat().st_mtime_ns == written
