"""What a look at headers finds, and that it is remembered until a file changes."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segshift.data import survey as module
from segshift.data.resolve import resolve
from segshift.data.survey import survey, survey_images
from tests.data.files import dataset, ids, pixels, save


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSHIFT_CACHE", str(tmp_path / "cache"))


def test_images_are_described(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels(1, 6, 4)).save(tmp_path / "turned.jpg", exif=exif)
    opaque = np.dstack([pixels(2), np.full(pixels(2).shape[:2], 255, np.uint8)])
    paths = [
        tmp_path / "turned.jpg",
        save(tmp_path / "opaque.png", opaque),
        save(tmp_path / "clear.png", opaque // 2),
        save(tmp_path / "grey.png", ids(1)),
        save(tmp_path / "deep.png", np.zeros((8, 12), np.uint16)),
        tmp_path / "absent.png",
    ]
    os.mkfifo(tmp_path / "pipe.png")
    found = survey_images([*paths, tmp_path / "pipe.png"])
    assert [one.converted for one in found.facts] == ["", "RGBA", "", "grey", "16-bit", "", ""]
    assert found.conversions == "3 of 7 images are converted to 8-bit RGB (1 RGBA, 1 grey, 1 16-bit)"
    assert found.turned == 1 and found.facts[0].orientation == 6
    assert found.sizes == {(6, 4): 1, (12, 8): 3}
    for error, words in zip(found.errors, ("transparency", "no such file", "a named pipe"), strict=True):
        assert words in error


def test_labels_are_judged_by_their_headers_or_read_in_full(tmp_path: Path) -> None:
    yaml = dataset(tmp_path, train=4, labels={"kind": "train_ids", "other": "error"})
    mask = tmp_path / "mask/train"
    Image.fromarray(ids(0)).save(mask / "000_id.png", format="JPEG")
    save(mask / "001_id.png", ids(0, width=5))
    save(mask / "002_id.png", np.full((8, 12), 77, np.uint8))
    broken = tmp_path / "rgb/train/003.png"
    broken.write_bytes(broken.read_bytes()[:-60])
    split = resolve(str(yaml))
    by_headers = survey(split.samples, split.decoder)
    assert ["JPEG" in by_headers.facts[0].error, "5 x 8" in by_headers.facts[1].error] == [True, True]
    assert len(by_headers.errors) == 2
    assert survey(split.samples, None).errors == ()
    in_full = survey(split.samples, split.decoder, decode=True)
    assert "id 77" in in_full.facts[2].error and "truncated" in in_full.facts[3].error
    assert len(in_full.errors) == 4


def test_it_is_remembered_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    yaml = dataset(tmp_path)
    split = resolve(str(yaml))
    first = survey(split.samples, split.decoder)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_survey", lambda *_: pytest.fail("looked again"))
        assert survey(split.samples, split.decoder) == first
    save(split.samples[0].image, pixels(9, 5, 5))
    assert "5 x 5" in survey(split.samples, split.decoder).errors[0]


def test_a_cache_that_cannot_be_written_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file")
    split = resolve(str(dataset(tmp_path)))
    assert survey(split.samples, split.decoder).errors == ()
