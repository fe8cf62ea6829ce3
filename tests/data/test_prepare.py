"""Prepared sets: faithful, resumable, verified, and refused where they do not fit."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import segshift.data.prepare as module
from segshift.data.augmentation import Augmentation
from segshift.data.check import check
from segshift.data.class_statistics import class_pixels
from segshift.data.convert import Job, convert
from segshift.data.dataset import SegmentationDataset
from segshift.data.manifest import Entry, read_manifest, verify
from segshift.data.prepare import prepare
from segshift.data.resolve import resolve
from segshift.data.writing import fingerprint
from segshift.errors import InputError
from tests.data.files import (
    CLASSES,
    HEIGHT,
    WIDTH,
    assert_one_line,
    dataset,
    description,
    ids,
    pixels,
    png,
    save,
    truncated,
    write_yaml,
)

SIZE = (6, 4)


def smooth(folder: Path) -> None:
    """Give the images of a data set content that JPEG keeps."""
    for index, path in enumerate(sorted(folder.glob("rgb/*/*.png"))):
        ramp = np.linspace(20, 200, WIDTH)[None, :] + np.linspace(0, 30 + index, HEIGHT)[:, None]
        save(path, np.stack([ramp, ramp[::-1], ramp[:, ::-1]], axis=-1).astype(np.uint8))


def make(folder: Path, **changes: Any) -> tuple[str, Path]:
    source = dataset(folder / "raw", **changes)
    smooth(folder / "raw")
    return str(source), folder / "out"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_prepared_set_is_what_training_makes_of_the_original(tmp_path: Path) -> None:
    source, out = make(tmp_path)
    reports = prepare(source, out, size=SIZE, workers=1)
    assert [(one.name, one.images, one.converted, one.kept, one.labelled) for one in reports] == [
        ("train", 3, 3, 0, True),
        ("val", 2, 2, 0, True),
    ]
    assert check(str(out / "dataset.yaml")).problems == ()
    for name in ("train", "val"):
        raw, prepared = resolve(f"{source}:{name}"), resolve(f"{out}/dataset.yaml:{name}")
        assert [one.stem for one in raw.samples] == [one.stem for one in prepared.samples]
        assert prepared.classes == raw.classes and prepared.title == raw.title
        resize = Augmentation(resize=SIZE)
        originals, copies = (SegmentationDataset(split, raw.classes, resize) for split in (raw, prepared))
        for original, copy in zip(originals, copies, strict=True):
            assert original.label is not None and copy.label is not None
            assert torch.equal(original.label, copy.label)
            assert (original.image.int() - copy.image.int()).abs().float().mean() < 3
    with Image.open(out / "images/train/000.jpg") as image:
        assert image.layer[0][1:3] == image.layer[1][1:3] == (1, 1), "colors are stored at full resolution"


def test_colors_ids_and_16_bit_become_train_ids(tmp_path: Path) -> None:
    rgb = {"kind": "rgb", "map": {"1,2,3": "floor", "4,5,6": "rack", "7,8,9": "person"}}
    source, out = make(tmp_path / "rgb", train=1, val=1, labels=rgb)
    table = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9], [200, 0, 0]], np.uint8)
    for split in ("train", "val"):
        colors = table[ids(0, count=4)]
        save(tmp_path / f"rgb/raw/mask/{split}/000_id.png", colors)
    prepare(source, out, size=(WIDTH, HEIGHT), splits=["train"], workers=1)
    expected = np.array([0, 1, 2, 255], np.uint8)[ids(0, count=4)]
    np.testing.assert_array_equal(np.asarray(Image.open(out / "labels/train/000.png")), expected)

    deep = {"kind": "ids", "channel": 0, "map": {3: "rack", 1: "floor", 2: "person"}}
    source, out = make(tmp_path / "deep", train=1, val=1, labels=deep)
    channels = np.zeros((HEIGHT, WIDTH, 3), ">u2")
    channels[..., 0], channels[..., 1] = ids(1) + 1, 777
    png(tmp_path / "deep/raw/mask/train/000_id.png", channels.tobytes(), WIDTH, HEIGHT, 16, 2)
    prepare(source, out, size=(WIDTH, HEIGHT), splits=["train"], workers=1)
    made = np.asarray(Image.open(out / "labels/train/000.png"))
    np.testing.assert_array_equal(made, np.array([0, 2, 1], np.uint8)[ids(1)])


def test_palette_labels_are_read_by_their_indices(tmp_path: Path) -> None:
    source, out = make(
        tmp_path, train=1, labels={"kind": "ids", "map": {7: "rack", 8: "floor", 200: "person"}}
    )
    label = Image.fromarray(np.array([8, 7, 200], np.uint8)[ids(2)], mode="P")
    label.putpalette(list(range(255, -1, -1)) * 3)
    label.save(tmp_path / "raw/mask/train/000_id.png")
    prepare(source, out, size=(WIDTH, HEIGHT), splits=["train"], workers=1)
    np.testing.assert_array_equal(np.asarray(Image.open(out / "labels/train/000.png")), ids(2))


def test_unlabelled_splits_stems_in_folders_and_what_the_yaml_keeps(tmp_path: Path) -> None:
    for city in ("a", "b"):
        save(tmp_path / f"raw/rgb/{city}/one_rgb.png", pixels(1))
        save(tmp_path / f"raw/mask/{city}/one_id.png", ids(1))
    splits = {
        "train": {"images": "rgb/**/{stem}_rgb.png", "labels": "mask/{parent}/{stem}_id.png"},
        "bare": {"images": "rgb/**/{stem}_rgb.png"},
    }
    source = write_yaml(
        tmp_path / "raw/s.yaml",
        description(splits=splits, palette=[[1, 2, 3], [4, 5, 6], [7, 8, 9]], description="Racks"),
    )
    out = tmp_path / "out"
    reports = {one.name: one for one in prepare(str(source), out, size=SIZE, workers=1)}
    assert (reports["train"].labelled, reports["bare"].labelled) == (True, False)
    prepared = resolve(f"{out}/dataset.yaml:bare")
    assert [one.stem for one in prepared.samples] == ["a/one", "b/one"] and not prepared.labelled
    assert resolve(f"{out}/dataset.yaml:train").labelled
    assert prepared.classes.colors == ((1, 2, 3), (4, 5, 6), (7, 8, 9))
    assert yaml.safe_load((out / "dataset.yaml").read_text())["description"] == "Racks, prepared at 6x4"


def test_a_second_call_keeps_everything_and_mends_what_is_damaged(tmp_path: Path) -> None:
    source, out = make(tmp_path)
    prepare(source, out, size=SIZE, workers=1)
    before = contents(out)
    assert [(one.converted, one.kept) for one in prepare(source, out, size=SIZE)] == [(0, 3), (0, 2)]
    assert contents(out) == before
    assert verify(out) == {"train": [], "val": []}
    (out / "images/train/001.jpg").write_bytes(before["images/train/000.jpg"])
    (out / "labels/val/001.png").unlink()
    (out / "lists/train.txt").write_text("000\n")
    problems = verify(out)
    assert [len(problems[name]) for name in ("train", "val")] == [2, 1]
    assert "001.jpg: differs" in problems["train"][0] and "001.png: is missing" in problems["val"][0]
    assert "train.txt" in problems["train"][1]
    assert [(one.converted, one.kept) for one in prepare(source, out, size=SIZE)] == [(1, 2), (1, 1)]
    assert contents(out) == before


def test_a_killed_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = make(tmp_path, train=6)
    prepare(source, tmp_path / "straight", size=SIZE, workers=1)
    calls: list[str] = []

    def dying(job: Job) -> Entry | str:
        calls.append(job.sample.stem)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return convert(job)

    with monkeypatch.context() as patch:
        patch.setattr(module, "convert", dying)
        with pytest.raises(KeyboardInterrupt):
            prepare(source, out, size=SIZE, workers=1)
    assert not (out / "dataset.yaml").exists(), "half a set is no data set"
    with pytest.raises(InputError, match="no complete prepared data set"):
        verify(out)
    journal = out / "manifest/train.partial.jsonl"
    journal.write_text(journal.read_text() + '{"stem": "004", "sou')
    (out / "images/train/004.jpg").write_bytes(b"half")
    reports = prepare(source, out, size=SIZE, workers=1)
    assert [(one.converted, one.kept) for one in reports] == [(2, 4), (2, 0)]
    assert contents(out) == contents(tmp_path / "straight")


@pytest.mark.process
def test_processes_make_the_same_files(tmp_path: Path) -> None:
    source, out = make(tmp_path, train=9)
    truncated(tmp_path / "raw/rgb/train/004.png")
    prepare(source, out, size=SIZE, workers=1, on_error="skip")
    [train, val] = prepare(source, tmp_path / "two", size=SIZE, workers=2, on_error="skip")
    assert (train.images, val.images, len(train.skipped)) == (8, 2, 1)
    assert contents(out) == contents(tmp_path / "two")


def test_an_original_that_changed_is_converted_again(tmp_path: Path) -> None:
    source, out = make(tmp_path)
    prepare(source, out, size=SIZE, workers=1)
    save(tmp_path / "raw/mask/train/001_id.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    assert prepare(source, out, size=SIZE)[0].converted == 1
    assert np.asarray(Image.open(out / "labels/train/001.png")).max() == 0
    assert verify(out)["train"] == []


def test_splits_can_be_added(tmp_path: Path) -> None:
    source, out = make(tmp_path)
    prepare(f"{source}:val", out, size=SIZE, workers=1)
    assert list(yaml.safe_load((out / "dataset.yaml").read_text())["splits"]) == ["val"]
    prepare(source, out, size=SIZE, splits=["train"], workers=1)
    assert list(yaml.safe_load((out / "dataset.yaml").read_text())["splits"]) == ["train", "val"]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"size": (6, 5)}, ["size is [6, 4]", "[6, 5]"]),
        ({"interpolation": "bicubic"}, ["interpolation is 'bilinear'"]),
    ],
)
def test_a_folder_of_other_settings_is_refused(
    tmp_path: Path, changes: dict[str, Any], parts: list[str]
) -> None:
    source, out = make(tmp_path)
    prepare(source, out, size=SIZE, workers=1)
    with pytest.raises(InputError) as caught:
        prepare(source, out, **({"size": SIZE} | changes))
    assert_one_line(caught.value, "prepared.json", *parts)


def test_a_folder_of_another_label_rule_or_of_other_files_is_refused(tmp_path: Path) -> None:
    source, out = make(tmp_path)
    prepare(source, out, size=SIZE, workers=1)
    write_yaml(Path(source), description(labels={"kind": "ids", "map": {0: "rack", 1: "floor", 2: "person"}}))
    with pytest.raises(InputError, match="labels is"):
        prepare(source, out, size=SIZE)
    with pytest.raises(InputError, match="holds other files"):
        prepare(source, tmp_path / "raw", size=SIZE)


def test_stop_names_the_first_bad_file_and_skip_reports_all(tmp_path: Path) -> None:
    source, out = make(tmp_path, train=8)
    truncated(tmp_path / "raw/rgb/train/002.png")
    save(tmp_path / "raw/mask/train/004_id.png", ids(0, width=5))
    (tmp_path / "raw/mask/train/006_id.png").write_bytes(b"no image")
    with pytest.raises(InputError) as caught:
        prepare(source, out, size=SIZE, workers=1)
    assert_one_line(caught.value, "rgb/train/002.png", "truncated", "--skip-bad")
    assert not (out / "dataset.yaml").exists()
    (tmp_path / "raw/mask/train/007_id.png").unlink()
    with pytest.raises(InputError, match="007"):
        prepare(source, out, size=SIZE, workers=1)
    [train, val] = prepare(source, out, size=SIZE, workers=1, on_error="skip")
    assert (train.images, train.converted, train.kept, val.images) == (4, 2, 2, 2)
    for line, file in zip(train.skipped, ("007.png", "002.png", "004_id.png", "006_id.png"), strict=True):
        assert file in line and "\n" not in line
    assert (out / "skipped/train.txt").read_text().splitlines() == list(train.skipped)
    assert [one.stem for one in resolve(f"{out}/dataset.yaml").samples] == ["000", "001", "003", "005"]


def test_nothing_readable_is_an_error_even_when_skipping(tmp_path: Path) -> None:
    source, out = make(tmp_path, train=1)
    truncated(tmp_path / "raw/rgb/train/000.png")
    with pytest.raises(InputError) as caught:
        prepare(source, out, size=SIZE, workers=1, on_error="skip")
    assert_one_line(caught.value, "warehouse:train", "no sample could be read", "000.png")


def test_stems_that_leave_the_folder_are_refused(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "raw/l.txt").write_text("../train/000\n")
    rule = {"list": "l.txt", "images": "rgb/train/{stem}.png"}
    source = write_yaml(tmp_path / "raw/list.yaml", description(splits={"train": rule}))
    with pytest.raises(InputError) as caught:
        prepare(str(source), tmp_path / "out", size=SIZE, workers=1)
    assert_one_line(caught.value, "'../train/000'", "plain names")


def test_counts_and_frequencies_are_stored(tmp_path: Path) -> None:
    source, out = make(tmp_path)
    prepare(source, out, size=(WIDTH, HEIGHT), workers=1)
    entries = read_manifest(out, "train")
    assert entries["001"].class_pixels == {
        int(value): int(count) for value, count in zip(*np.unique(ids(1), return_counts=True), strict=True)
    }
    labels = np.concatenate([ids(seed).ravel() for seed in range(3)])
    stored = json.loads((out / "class_frequencies/train.json").read_text())
    assert stored == pytest.approx({name: (labels == index).mean() for index, name in enumerate(CLASSES)})


def test_a_disk_that_refuses_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = make(tmp_path)

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    prepare(source, out, size=SIZE, workers=1)
    (out / "images" / "train" / "000.jpg").unlink()
    monkeypatch.setattr("segshift.files.os.replace", full)
    with pytest.raises(InputError) as caught:
        prepare(source, out, size=SIZE, workers=1, on_error="skip")
    assert_one_line(caught.value, "000.jpg", "cannot be written", "No space left")


def corrected(path: Path) -> None:
    """Other ids in a file of the same size, whose time of change says nothing."""
    times = path.stat()
    label = np.asarray(Image.open(path))
    Image.fromarray((label + 1) % 3).save(path, format="BMP")
    assert path.stat().st_size == times.st_size
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.fixture
def of_equal_size(tmp_path: Path) -> Path:
    """A data set whose labels are BMP files, which keep their size when they are corrected."""
    yaml = dataset(tmp_path / "raw")
    for path in (tmp_path / "raw/mask").rglob("*.png"):
        Image.open(path).save(path, format="BMP")
    return yaml


def test_a_corrected_label_of_equal_size_is_prepared_again(of_equal_size: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(str(of_equal_size), out, size=(WIDTH, HEIGHT), workers=1)
    assert verify(out) == {"train": [], "val": []}
    label = of_equal_size.parent / "mask/train/001_id.png"
    corrected(label)
    assert verify(out) == {"train": [f"{label}: has changed since it was prepared"], "val": []}
    train, val = prepare(str(of_equal_size), out, size=(WIDTH, HEIGHT), workers=1)
    assert [(one.converted, one.kept) for one in (train, val)] == [(1, 2), (0, 2)]
    assert np.array_equal(np.asarray(Image.open(out / "labels/train/001.png")), np.asarray(Image.open(label)))
    assert verify(out) == {"train": [], "val": []}


def test_originals_that_are_gone_are_not_missed(of_equal_size: Path, tmp_path: Path) -> None:
    prepare(str(of_equal_size), tmp_path / "out", size=(WIDTH, HEIGHT), workers=1)
    of_equal_size.parent.rename(tmp_path / "elsewhere")
    assert verify(tmp_path / "out") == {"train": [], "val": []}
    moved = tmp_path / "elsewhere" / of_equal_size.name
    train, _ = prepare(str(moved), tmp_path / "out", size=(WIDTH, HEIGHT), workers=1)
    assert (train.converted, train.kept) == (0, 3)


def test_counts_of_classes_follow_a_corrected_label(of_equal_size: Path, tmp_path: Path) -> None:
    prepare(str(of_equal_size), tmp_path / "out", size=(WIDTH, HEIGHT), workers=1)
    for path in (of_equal_size, tmp_path / "out/dataset.yaml"):
        before = class_pixels(resolve(str(path)))
        label = resolve(str(path)).samples[1].label
        assert label is not None
        if path == of_equal_size:
            corrected(label)
        else:
            Image.fromarray((np.asarray(Image.open(label)) + 1) % 3).save(label, compress_level=1)
        after = class_pixels(resolve(str(path)))
        assert np.array_equal(after[1], np.roll(before[1], 1)) and np.array_equal(after[0], before[0])


def test_a_fingerprint_of_images_is_of_their_contents(of_equal_size: Path) -> None:
    samples = resolve(str(of_equal_size)).samples
    before = fingerprint(samples)
    image = samples[0].image
    Image.open(image).save(image, format="BMP")
    changed = fingerprint(samples)
    Image.fromarray(np.asarray(Image.open(image))[::-1]).save(image, format="BMP")
    assert len({before, changed, fingerprint(samples)}) == 3
