"""Lists of splits as tools and editors write them: all of them are read, or named."""

from pathlib import Path

import pytest

from segshift.data.resolve import resolve
from segshift.dataset_init.propose import explore, write_proposal
from tests.data.files import ids, pixels, save

TRAIN, VAL = ("a0", "a1", "a2", "a3"), ("a4", "a5")


def written(form: str, stems: tuple[str, ...]) -> bytes:
    stem = {
        "stems": "{}",
        "files": "{}.png",
        "paths": "images/{}.png",
        "backslashes": "images\\{}.png",
        "pairs": "/images/{0}.png /labels/{0}.png",
        "pairs with tabs": "images/{0}.png\tlabels/{0}.png",
        "pairs with commas": "images/{0}.png,labels/{0}.png",
        "quoted": '"images/{}.png"',
        "another machine's": "/home/someone/set/images/{0}.png /home/someone/set/labels/{0}.png",
        "another machine's images": "C:\\data\\set\\images\\{}.png",
    }[form]
    return "".join(stem.format(one) + "\r\n" for one in stems).encode("utf-8-sig")


@pytest.mark.parametrize("folder", ["", "splits/"])
@pytest.mark.parametrize(
    "form",
    [
        "stems",
        "files",
        "paths",
        "backslashes",
        "pairs",
        "pairs with tabs",
        "pairs with commas",
        "quoted",
        "another machine's",
        "another machine's images",
    ],
)
def test_lists_are_read(tmp_path: Path, form: str, folder: str) -> None:
    root = tmp_path / "set"
    for index, stem in enumerate(TRAIN + VAL):
        save(root / "images" / f"{stem}.png", pixels(index))
        save(root / "labels" / f"{stem}.png", ids(index))
    (root / folder).mkdir(exist_ok=True)
    for name, stems in (("train", TRAIN), ("val", VAL)):
        (root / f"{folder}{name}.txt").write_bytes(written(form, stems))
    proposal = write_proposal(explore(root, "own_lists", "floor,rack,person"), tmp_path / "own.yaml")
    assert [(count.name, count.images, count.labelled) for count in proposal.counts] == [
        ("train", 4, True),
        ("val", 2, True),
    ]
    for name, stems in (("train", TRAIN), ("val", VAL)):
        for sample, stem in zip(resolve(str(proposal.path), name).samples, stems, strict=True):
            assert sample.image == root / "images" / f"{stem}.png"
            assert sample.label == root / "labels" / f"{stem}.png"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a0 1\na1 1\n", "several columns"),
        (b"images/b0.png\nimages/b1.png\nimages/a2.png\n", "2 are not there"),
        (b"\xff\xfea\x000", "cannot be read as text"),
        (b"a0\na1\na2\na9\n", "names 1 image without file or label"),
        (b"A0.PNG\nA1.PNG\n", "names no image that is here"),
        (b"file,split\na0.png,train\na1.png,val\n", "several columns"),
    ],
)
def test_lists_of_no_use_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    root = tmp_path / "set"
    for index, stem in enumerate(TRAIN + VAL):
        save(root / "images" / f"{stem}.png", pixels(index))
        save(root / "labels" / f"{stem}.png", ids(index))
    (root / "train.txt").write_bytes(content)
    found = explore(root, "own_lists", "floor,rack,person")
    assert any("train.txt" in note and words in note for note in found.notes)


@pytest.mark.parametrize("header", ["image,label", "File;Mask", "image_path\tlabel_path"])
def test_headers_of_tables_are_no_images(tmp_path: Path, header: str) -> None:
    root = tmp_path / "set"
    lines = {"train": [header], "val": [header]}
    for index, stem in enumerate(TRAIN + VAL):
        save(root / "images" / f"{stem}.png", pixels(index))
        save(root / "labels" / f"{stem}.png", ids(index))
        lines["train" if stem in TRAIN else "val"].append(f"images/{stem}.png,labels/{stem}.png")
    for name in lines:
        (root / f"{name}.csv").write_text("\n".join(lines[name]))
    proposal = write_proposal(explore(root, "own_lists", "floor,rack,person"), tmp_path / "own.yaml")
    assert [(count.name, count.images) for count in proposal.counts] == [("train", 4), ("val", 2)]
    assert [one.stem for one in resolve(str(proposal.path), "val").samples] == ["images/a4", "images/a5"]


def test_lists_that_share_images_or_are_not_read_are_named(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for index, stem in enumerate(TRAIN + VAL):
        save(root / "images" / f"{stem}.png", pixels(index))
        save(root / "labels" / f"{stem}.png", ids(index))
    for name, stems in (("train", TRAIN), ("val", ("a3", *VAL)), ("trainval", TRAIN + VAL)):
        (root / f"{name}.txt").write_text("\n".join(stems))
    (root / "test.json").write_text('["a0"]')
    notes = [note for note in explore(root, "own_lists", "floor,rack,person").notes if "share" in note]
    assert notes == [
        "train.txt and val.txt share 1 image, first images/a3.png: take them out of one, or what is trained "
        "on is scored"
    ]
    assert any("test.json" in note for note in explore(root, "own_lists").notes)
