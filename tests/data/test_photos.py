"""Files and folders of photos, and the names of their results."""

import os
from pathlib import Path

import pytest

from segshift.data.photos import find_photos
from segshift.errors import InputError
from tests.data.files import assert_one_line, pixels, save


def test_folders_are_walked_and_what_is_left_out_is_counted(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for name in ("a.PNG", "deep/b.jpg", "._x.png", ".hidden/c.png"):
        save(root / name, pixels(1))
    for name in ("Thumbs.db", "notes.txt", "c.heic"):
        (root / name).write_bytes(b"x")
    (root / "linked").symlink_to(tmp_path / "other", target_is_directory=True)
    save(tmp_path / "other/d.bmp", pixels(2))
    (root / "loop").symlink_to("..", target_is_directory=True)
    found = find_photos([root])
    assert list(found.named) == ["a", "deep/b", "linked/d"]
    assert found.notes == (
        f"{root}: 2 other files are left out, first c.heic",
        f"{root}: 3 hidden files are left out, first ._x.png",
        f"{root}: 1 link back to a folder that holds it is left out, first loop",
    )


def test_single_files_are_named_by_their_stem(tmp_path: Path) -> None:
    assert find_photos([save(tmp_path / "x/a.png", pixels(1))]).named == {"a": tmp_path / "x/a.png"}


def test_results_never_overwrite_each_other(tmp_path: Path) -> None:
    for paths in (
        [tmp_path / "one"],
        [tmp_path / "one/a.jpg", tmp_path / "one/a.png"],
        [tmp_path / "one/a.png"] * 2,
    ):
        save(tmp_path / "one/a.jpg", pixels(1))
        save(tmp_path / "one/a.png", pixels(2))
        with pytest.raises(InputError) as caught:
            find_photos(paths)
        assert_one_line(caught.value, "would both be written as a", "rename")


def test_earlier_results_are_no_images(tmp_path: Path) -> None:
    save(tmp_path / "photos/a.jpg", pixels(1))
    save(tmp_path / "photos/found/a_overlay.png", pixels(1))
    found = find_photos([tmp_path / "photos"], tmp_path / "photos/found")
    assert list(found.named) == ["a"]
    assert found.notes == (f"{tmp_path}/photos: 1 file in found, the --out, left out",)
    with pytest.raises(InputError) as caught:
        find_photos([tmp_path / "photos"], tmp_path / "photos/found/..")
    assert_one_line(caught.value, "among the images", "--out")


def test_nothing_to_see(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    for path, words in ((tmp_path, "holds no images"), (tmp_path / "absent", "no such file")):
        with pytest.raises(InputError) as caught:
            find_photos([path])
        assert_one_line(caught.value, str(path), words)


def test_a_pipe_is_named_by_who_reads_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    assert find_photos([tmp_path]).named == {"a": tmp_path / "a.png"}
