"""Data sets written by networks: what the files are, and what makes the folder a data set."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segshift.data.finder import Sample
from segshift.data.labels import ClassSet
from segshift.data.resolve import resolve
from segshift.data.writing import SplitWriter, fingerprint
from segshift.errors import InputError
from segshift.folders import DatasetFolder

CLASSES = ClassSet("two", ("road", "sky"), ((1, 2, 3), (4, 5, 6)))


def pixels(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (8, 10, 3), np.uint8)


def test_png_and_labels_are_exact(tmp_path: Path) -> None:
    writer = SplitWriter(DatasetFolder(tmp_path, "made.json"), "train", "png")
    label = np.array([[0, 1], [255, 0]], np.uint8)
    writer.write_image("town/a", pixels())
    writer.write_label("town/a", label)
    assert np.array_equal(np.array(Image.open(writer.image_path("town/a"))), pixels())
    assert np.array_equal(np.array(Image.open(writer.label_path("town/a"))), label)


def test_jpeg_keeps_the_color_resolution(tmp_path: Path) -> None:
    writer = SplitWriter(DatasetFolder(tmp_path, "made.json"), "val")
    writer.write_image("a", pixels())
    assert writer.image_path("a") == tmp_path / "images" / "val" / "a.jpg"
    with Image.open(writer.image_path("a")) as image:
        assert image.format == "JPEG"
        assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3


def test_the_list_says_what_belongs_to_the_split(tmp_path: Path) -> None:
    writer = SplitWriter(DatasetFolder(tmp_path, "made.json"), "train", "png")
    for stem in ("a", "b", "c"):
        writer.write_image(stem, pixels())
        writer.write_label(stem, np.zeros((8, 10), np.uint8))
    spec = writer.finish(["c", "a"], CLASSES, name="made", description="by a test")
    split = resolve(str(spec))
    assert [sample.stem for sample in split.samples] == ["c", "a"] and split.labelled
    assert (split.dataset, split.classes.names, split.classes.colors) == (
        "made",
        CLASSES.names,
        CLASSES.colors,
    )
    bare = resolve(str(writer.finish(["b"], CLASSES, name="made", description="", labelled=False)))
    assert not bare.labelled and len(bare.samples) == 1


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file, where a folder should be")
    with pytest.raises(InputError, match=r"cannot be written .*choose another --out"):
        SplitWriter(DatasetFolder(tmp_path, "made.json"), "train").write_image("a", pixels())


def test_the_fingerprint_is_of_names_and_contents(tmp_path: Path) -> None:
    samples = {}
    for folder, content in (("one", b"12"), ("two", b"12"), ("three", b"34")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(content)
        samples[folder] = [Sample("a", tmp_path / folder / "a.png", None)]
    assert fingerprint(samples["one"]) == fingerprint(samples["two"]) != fingerprint(samples["three"])
    renamed = [Sample("b", samples["one"][0].image, None)]
    assert fingerprint(renamed) != fingerprint(samples["one"])
