"""Pixels per class: counted right, once, and taken from a prepared set without opening a label."""

from pathlib import Path

import numpy as np
import pytest

from segshift.data.class_statistics import class_pixels, class_shares
from segshift.data.decoder import LabelDecoder
from segshift.data.labels import class_set
from segshift.data.prepare import prepare
from segshift.data.resolve import resolve
from segshift.errors import InputError
from tests.data.files import (
    HEIGHT,
    WIDTH,
    assert_one_line,
    dataset,
    description,
    ids,
    save,
    truncated,
    write_yaml,
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGSHIFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise AssertionError("a label was opened")

    monkeypatch.setattr(LabelDecoder, "read", fail)


def test_pixels_of_every_label(tmp_path: Path) -> None:
    split = resolve(str(dataset(tmp_path)))
    expected = [np.bincount(ids(seed).ravel(), minlength=3) for seed in range(3)]
    np.testing.assert_array_equal(class_pixels(split), expected)


def test_frequencies_of_mapped_classes(tmp_path: Path) -> None:
    split = resolve(str(dataset(tmp_path)))
    labels = np.concatenate([ids(seed).ravel() for seed in range(3)])
    assert class_shares(class_pixels(split)) == pytest.approx(
        [(labels == index).mean() for index in range(3)]
    )
    kept = labels[labels != 1]
    two = class_shares(class_pixels(split, class_set(["person", "floor"])))
    assert two == pytest.approx([(kept == 2).mean(), (kept == 0).mean()])


def test_ignored_pixels_are_not_counted(tmp_path: Path) -> None:
    yaml = dataset(tmp_path, train=1)
    save(tmp_path / "mask/train/000_id.png", np.full((HEIGHT, WIDTH), 255, np.uint8))
    assert class_pixels(resolve(str(yaml))).sum() == 0
    assert class_shares(class_pixels(resolve(str(yaml)))).tolist() == [0, 0, 0]


def test_counted_once_until_a_label_changes(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    yaml = str(dataset(tmp_path))
    announced: list[str] = []
    first = class_pixels(resolve(yaml), announce=announced.append)
    save(tmp_path / "mask/train/001_id.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    second = class_pixels(resolve(yaml), announce=announced.append)
    assert len(announced) == 2 and "warehouse:train (3 labels)" in announced[0]
    assert second[1].tolist() == [WIDTH * HEIGHT, 0, 0] and first[1].tolist() != second[1].tolist()
    request.getfixturevalue("no_reading")
    np.testing.assert_array_equal(class_pixels(resolve(yaml), announce=announced.append), second)
    assert len(announced) == 2


def test_a_damaged_cache_is_counted_again(tmp_path: Path, cache: Path) -> None:
    split = resolve(str(dataset(tmp_path)))
    first = class_pixels(split)
    [file] = (cache / "class_pixels").iterdir()
    file.write_bytes(file.read_bytes()[:40])
    np.testing.assert_array_equal(class_pixels(split), first)


def test_another_map_is_another_count(tmp_path: Path) -> None:
    yaml = dataset(tmp_path)
    class_pixels(resolve(str(yaml)))
    rule = {"kind": "ids", "map": {0: "person", 1: "rack", 2: "floor"}}
    turned = write_yaml(tmp_path / "turned.yaml", description(labels=rule))
    np.testing.assert_array_equal(
        class_pixels(resolve(str(turned))), class_pixels(resolve(str(yaml)))[:, ::-1]
    )


def test_a_prepared_set_carries_its_counts(
    tmp_path: Path, cache: Path, request: pytest.FixtureRequest
) -> None:
    prepare(str(dataset(tmp_path / "raw")), tmp_path / "out", size=(WIDTH, HEIGHT), workers=1)
    split = resolve(str(tmp_path / "out/dataset.yaml"))
    request.getfixturevalue("no_reading")
    expected = [np.bincount(ids(seed).ravel(), minlength=3) for seed in range(3)]
    np.testing.assert_array_equal(class_pixels(split), expected)
    assert not (cache / "class_pixels").exists()


def test_a_label_that_was_edited_after_preparing_is_counted(tmp_path: Path) -> None:
    prepare(str(dataset(tmp_path / "raw")), tmp_path / "out", size=(WIDTH, HEIGHT), workers=1)
    save(tmp_path / "out/labels/train/001.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    split = resolve(str(tmp_path / "out/dataset.yaml"))
    assert class_pixels(split)[1].tolist() == [WIDTH * HEIGHT, 0, 0]


def test_readable_labels_are_needed(tmp_path: Path) -> None:
    split = resolve(str(dataset(tmp_path)))
    truncated(tmp_path / "mask/train/001_id.png", color=False)
    with pytest.raises(InputError) as caught:
        class_pixels(split)
    assert_one_line(caught.value, "001_id.png", "truncated")
    unlabelled = resolve(
        str(write_yaml(tmp_path / "u.yaml", description(splits={"train": {"images": "rgb/train/*.png"}})))
    )
    with pytest.raises(InputError, match="has no labels"):
        class_pixels(unlabelled)
