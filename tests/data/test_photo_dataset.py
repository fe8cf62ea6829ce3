"""Photos as a data set: the same files again, upright, and names that a list cannot hold."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segshift.config import parse
from segshift.data.dataset import SegmentationDataset
from segshift.data.labels import ClassSet
from segshift.data.photo_dataset import write_photo_dataset
from segshift.data.resolve import resolve
from segshift.data.spec import DatasetSpec
from segshift.errors import InputError

CLASSES = ClassSet("two", ("sky", "ground"), ((1, 2, 3), (40, 50, 60)))


def photo(path: Path, orientation: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def test_photos_of_several_folders_are_found_again(tmp_path: Path) -> None:
    names = ["a/one two.png", "b/one two.png", "b/Ümlaut #1.JPG", "b/c, d.png"]
    files = [photo(tmp_path / "photos" / name) for name in names]
    path = write_photo_dataset(tmp_path / "run", [*files, files[0]], CLASSES)
    split = resolve(str(path))
    assert {sample.image for sample in split.samples} == set(files)
    assert split.classes.names == CLASSES.names and split.classes.colors == CLASSES.colors
    assert not split.labelled and all(sample.upright for sample in split.samples)


def test_they_are_read_upright(tmp_path: Path) -> None:
    plain, turned = photo(tmp_path / "a.png"), photo(tmp_path / "b.png", orientation=6)
    split = resolve(str(write_photo_dataset(tmp_path / "run", [plain, turned], CLASSES)))
    data = SegmentationDataset(split, CLASSES, with_labels=False)
    assert data[0].image.shape == (3, 4, 6) and data[1].image.shape == (3, 6, 4)
    # Orientation 6: the picture is the stored one turned clockwise.
    assert np.array_equal(data[1].image.numpy(), np.rot90(data[0].image.numpy(), -1, (1, 2)))


def test_one_photo(tmp_path: Path) -> None:
    path = write_photo_dataset(tmp_path / "run", [photo(tmp_path / "a.png")], CLASSES)
    assert [sample.stem for sample in resolve(str(path)).samples] == ["a"]


def test_a_folder_keeps_its_photos(tmp_path: Path) -> None:
    first, second = photo(tmp_path / "a.png"), photo(tmp_path / "b.png")
    path = write_photo_dataset(tmp_path / "run", [first], CLASSES)
    assert write_photo_dataset(tmp_path / "run", [first], CLASSES) == path
    with pytest.raises(InputError, match="choose another --out"):
        write_photo_dataset(tmp_path / "run", [first, second], CLASSES)


def test_a_name_that_a_list_cannot_hold(tmp_path: Path) -> None:
    files = [photo(tmp_path / "a.png"), photo(tmp_path / "#b.png")]
    for _ in range(2):
        with pytest.raises(InputError, match=r"#b\.png: this name cannot stand in a list"):
            write_photo_dataset(tmp_path / "run", files, CLASSES)


def test_labels_are_drawn_on_stored_pixels() -> None:
    split = {"images": "*.png", "labels": "{stem}_id.png"}
    data = {"name": "x", "classes": ["a", "b"], "upright": True, "splits": {"train": split}}
    with pytest.raises(InputError, match="upright: true is for data sets without labels"):
        parse(DatasetSpec, data, "x.yaml")
