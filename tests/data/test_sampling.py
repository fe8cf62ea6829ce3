"""Subsets of a split, and what the settings refuse."""

from pathlib import Path

import pytest

from segshift.config import parse
from segshift.data.resolve import resolve
from segshift.data.sampling import SamplingConfig, SubsetConfig, take_subset
from segshift.data.spec import Split
from segshift.errors import InputError
from tests.data.files import assert_one_line, dataset


@pytest.fixture
def split(tmp_path: Path) -> Split:
    return resolve(str(dataset(tmp_path, train=20)))


def stems(split: Split) -> list[str]:
    return [sample.stem for sample in split.samples]


def test_the_first_images(split: Split) -> None:
    assert stems(take_subset(split, SubsetConfig(first=7))) == stems(split)[:7]
    assert take_subset(split, None) is split
    with pytest.raises(InputError) as caught:
        take_subset(split, SubsetConfig(first=21))
    assert_one_line(caught.value, "subset.first = 21", "20 images", "warehouse:train")


def test_every_nth_image_begins_with_the_first(split: Split) -> None:
    every = take_subset(split, SubsetConfig(every=3))
    assert stems(every) == stems(split)[::3]
    assert every.taken.endswith("images, one in 3")
    assert stems(take_subset(split, SubsetConfig(every=10**6))) == stems(split)[:1]


def test_a_fraction_is_random_but_fixed_and_nested(split: Split) -> None:
    tenth, half = (stems(take_subset(split, SubsetConfig(fraction=share))) for share in (0.1, 0.5))
    assert (len(tenth), len(half)) == (2, 10)
    assert set(tenth) < set(half)
    assert half == sorted(half), "the split's order stays"
    assert half == stems(take_subset(split, SubsetConfig(fraction=0.5)))
    others = {tuple(stems(take_subset(split, SubsetConfig(fraction=0.5, seed=seed)))) for seed in range(8)}
    assert len(others) == 8
    assert len(stems(take_subset(split, SubsetConfig(fraction=0.001)))) == 1
    assert stems(take_subset(split, SubsetConfig(fraction=1.0))) == stems(split)


def test_a_list_of_stems(split: Split, tmp_path: Path) -> None:
    path = tmp_path / "few.txt"
    path.write_text("# chosen by hand\n013\n\n004 \n")
    assert stems(take_subset(split, SubsetConfig(list=str(path)))) == ["004", "013"]
    path.write_text("013\n099\n")
    with pytest.raises(InputError) as caught:
        take_subset(split, SubsetConfig(list=str(path)))
    assert_one_line(caught.value, "few.txt", "'099'", "'000'")
    path.write_text("\n")
    with pytest.raises(InputError, match="empty"):
        take_subset(split, SubsetConfig(list=str(path)))
    with pytest.raises(InputError, match=r"nowhere\.txt"):
        take_subset(split, SubsetConfig(list=str(tmp_path / "nowhere.txt")))


@pytest.mark.parametrize(
    ("data", "part"),
    [
        ({}, "exactly one"),
        ({"first": 3, "fraction": 0.5}, "exactly one"),
        ({"first": 3, "seed": 1}, "seed belongs to fraction"),
        ({"first": 0}, "greater than or equal to 1"),
        ({"fraction": 1.5}, "less than or equal to 1"),
    ],
)
def test_contradictions_are_refused(data: dict[str, float], part: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(SubsetConfig, data, "subset")
    assert_one_line(caught.value, part)


def test_the_pixels_that_are_needed() -> None:
    assert SamplingConfig(kind="rare_class").needed_pixels == 3000
    assert SamplingConfig(kind="class_balanced").needed_pixels == 1
    assert SamplingConfig(kind="rare_class", min_pixels=40).needed_pixels == 40


def test_what_a_crop_has_to_show() -> None:
    assert SamplingConfig(kind="rare_class", crop_tries=10).crop_pixels == 1500
    assert SamplingConfig(kind="rare_class", min_pixels=25, min_crop_share=0.5).crop_pixels == 13
    with pytest.raises(InputError) as caught:
        parse(SamplingConfig, {"kind": "class_balanced", "crop_tries": 10}, "sampling")
    assert_one_line(caught.value, "crop_tries belongs to kind: rare_class")
