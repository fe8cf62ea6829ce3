"""Problems summed up, and those of whole splits."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segshift.data.check import check
from segshift.data.problems import Problem, equal_images, summed_up
from tests.data.files import dataset, ids, pixels, save, truncated


def messages(yaml: Path) -> str:
    return "\n".join(problem.message for problem in check(str(yaml)).problems)


def test_one_line_for_many_files_of_one_kind(tmp_path: Path) -> None:
    yaml = dataset(tmp_path, train=9)
    for index in range(4):
        truncated(tmp_path / f"rgb/train/{index:03}.png")
    for index in range(4, 7):
        Image.fromarray(ids(0)).save(tmp_path / f"mask/train/{index:03}_id.png", format="JPEG")
    save(tmp_path / "mask/train/007_id.png", ids(0, width=5))
    problems = check(str(yaml)).problems
    short = [problem.message for problem in summed_up(problems)]
    assert len([problem for problem in problems if problem.severity == "error"]) == 8
    assert [line for line in short if "truncated" in line and "3 more files like it" in line]
    assert [line for line in short if "a JPEG label" in line and "2 more files like it" in line]
    assert [line for line in short if "5 x 8" in line and "more" not in line]


def test_what_concerns_the_whole_set_is_said_once() -> None:
    same = [Problem("error", split, None, "own.yaml: no root") for split in ("train", "val")]
    assert summed_up(same) == (same[0],)


def test_hundreds_of_unmapped_values_are_one_line(tmp_path: Path) -> None:
    yaml = dataset(tmp_path, labels={"kind": "rgb", "map": {"0,0,0": "floor"}})
    for split, count in (("train", 3), ("val", 2)):
        for index in range(count):
            save(tmp_path / f"mask/{split}/{index:03}_id.png", pixels(index))
    report = check(str(yaml))
    found = [problem.message for problem in report.warnings if "never mapped" in problem.message]
    assert len(found) == 2 and "288 values" in found[0] and "saved with compression" in found[0]
    assert len(report.splits[0].unmapped) == 288


def test_equal_images_within_and_between_splits(tmp_path: Path) -> None:
    yaml = dataset(tmp_path, train=4, val=3)
    # The same pixels in another file format are the same picture.
    Image.open(tmp_path / "rgb/train/001.png").save(tmp_path / "rgb/val/000.png", format="BMP")
    save(tmp_path / "rgb/train/003.png", pixels(0))
    said = messages(yaml)
    assert "split 'train': 1 image equals another one of the split" in said
    assert "1 image of split 'val' also in split 'train'" in said
    assert f"{tmp_path}/rgb/val/000.png = {tmp_path}/rgb/train/001.png" in said


@pytest.mark.parametrize(("one", "other", "found"), [("trainval", "train", 0), ("train", "val", 1)])
def test_a_split_may_hold_another_if_its_name_says_so(one: str, other: str, found: int) -> None:
    digests = {one: {"x": ["1.png"], "y": ["2.png"]}, other: {"x": ["1.png"]}}
    assert len(equal_images(digests)) == found


def test_binary_masks_read_as_train_ids(tmp_path: Path) -> None:
    yaml = dataset(tmp_path, classes=["ground", "road"])
    for split, count in (("train", 3), ("val", 2)):
        for index in range(count):
            save(tmp_path / f"mask/{split}/{index:03}_id.png", ids(index, count=2) * np.uint8(255))
    assert "`labels: {kind: ids, map: {0: ground, 255: road}}`" in messages(yaml)


def test_labels_without_any_class(tmp_path: Path) -> None:
    yaml = dataset(tmp_path, labels={"kind": "ids", "map": {"100": "floor"}})
    assert "no pixel of split 'train' has a class" in messages(yaml)


def test_images_that_no_split_takes_and_conversions_are_counted(tmp_path: Path) -> None:
    yaml = dataset(tmp_path)
    save(tmp_path / "rgb/train/extra.jpg", pixels(77))
    save(tmp_path / "rgb/train/000.png", ids(3))
    said = messages(yaml)
    assert "1 image beside those of the splits belong to none, first rgb/train/extra.jpg" in said
    assert "split 'train': 1 of 3 images are converted to 8-bit RGB (1 grey)" in said


def test_ranges_of_deep_images_are_counted(tmp_path: Path) -> None:
    yaml = dataset(tmp_path)
    for index, top in enumerate((60000, 50000, 900)):
        save(tmp_path / f"rgb/train/{index:03}.png", (pixels(index)[..., 0] / 255 * top).astype(np.uint16))
    said = messages(yaml)
    assert "(2 16-bit of which 16 are used, 1 16-bit of which 10 are used)" in said


def test_an_image_that_is_missing_for_what_nobody_sees(tmp_path: Path) -> None:
    splits = {"train": {"list": "train.txt", "images": "rgb/train/{stem}.png"}}
    yaml = dataset(tmp_path, splits=splits)
    (tmp_path / "train.txt").write_text("000\n001\u200b\n", encoding="utf-8")
    assert "no such image (the name holds an invisible character, U+200B, zero width space)" in messages(yaml)
