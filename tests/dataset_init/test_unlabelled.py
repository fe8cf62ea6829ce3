"""Folders of images alone: any mixture is one split, and no image is lost without a line that names it."""

from pathlib import Path

import pytest

from segshift.data.resolve import resolve
from segshift.dataset_init.propose import Proposal, explore, write_proposal
from tests.data.files import pixels, save


def propose(root: Path, out: Path) -> Proposal:
    return write_proposal(explore(root, "own_lists"), out / "own.yaml")


MIXTURES = {
    "one suffix": ["a.jpg", "b.jpg"],
    "suffixes": ["plain.jpg", "bigger.png", "old.bmp", "scan.tif", "web.webp", "x.ppm", "y.jpeg"],
    "case": ["a.jpg", "b.JPG", "c.Png"],
    "equal stems": ["plain.jpg", "plain.png", "photo.webp"],
    "endings that mean something elsewhere": [
        "IMG_1.jpg",
        "IMG_3_b.jpg",
        "photo_b.bmp",
        "x_rgb.png",
        "img_2.jpg",
    ],
    "folders": [
        "0.jpg",
        "1.jpg",
        *(f"more/{i}.png" for i in range(5)),
        "more/deep/a_b.tif",
        "more/deep/c.jpg",
    ],
    "folders apart": ["mon/1.jpg", "tue/am/1.png", "tue/2.jpg"],
    "wildcards in names": ["a[1].jpg", "b{2}.png", "c*.jpg", "#d.png", "e f.jpg"],
    "wildcards in folders": ["a {1}/x.jpg", "b [2]/y.png"],
}


@pytest.mark.parametrize("litter", [False, True])
@pytest.mark.parametrize("name", MIXTURES)
def test_any_mixture_is_one_split(tmp_path: Path, name: str, litter: bool) -> None:
    root = tmp_path / "photos"
    for index, file in enumerate(MIXTURES[name]):
        save(root / file, pixels(index))
    if litter:
        for file in ("notes.txt", "Thumbs.db", "._a.jpg", ".DS_Store", "list.csv"):
            (root / file).write_bytes(b"nothing to see\n")
        (root / "loop").symlink_to(".", target_is_directory=True)
    proposal = propose(root, tmp_path)
    assert [(count.name, count.images, count.labelled) for count in proposal.counts] == [
        ("train", len(MIXTURES[name]), False)
    ]
    samples = resolve(str(proposal.path), "train").samples
    assert {one.image.relative_to(root) for one in samples} == set(map(Path, MIXTURES[name]))
    assert len({one.stem for one in samples}) == len(samples)


def test_images_beside_the_folders_of_splits_are_trained_on(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for index, file in enumerate(("train/0.jpg", "train/1.jpg", "val/0.jpg", "extra.png")):
        save(root / file, pixels(index))
    proposal = propose(root, tmp_path)
    assert [(count.name, count.images) for count in proposal.counts] == [("train", 3), ("val", 1)]


def test_different_proportions_are_said(tmp_path: Path) -> None:
    for index, size in enumerate([(32, 18), (36, 48), (384, 216)]):
        save(tmp_path / f"photos/{index}.jpg", pixels(index, *size))
    notes = " | ".join(explore(tmp_path / "photos", "x").notes)
    assert "different proportions" in notes and "36x48" in notes and "fit: pad" in notes
    (tmp_path / "photos/1.jpg").unlink()
    assert "proportions" not in " | ".join(explore(tmp_path / "photos", "x").notes)


def test_pictures_that_are_not_read_are_named(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    save(root / "a.jpg", pixels(1))
    (root / "b.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (root / "c.png").symlink_to("nowhere.png")
    notes = " | ".join(propose(root, tmp_path).found.notes)
    assert "1 picture of formats that are not read" in notes and "b.HEIC" in notes
    assert "link to nothing" in notes and "c.png" in notes
