"""Globs, `{stem}`, `{parent}` and list files."""

import os
from pathlib import Path
from typing import Any

import pytest

from segshift.data.finder import Sample, find_samples, left_out
from segshift.data.split_patterns import SplitSpec, alternatives, check_patterns
from segshift.errors import InputError
from tests.data.files import assert_one_line


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def find(root: Path, images: Any, labels: str | None = None, list: str | None = None) -> tuple[Sample, ...]:
    rule = SplitSpec(images=images, labels=labels, list=list)
    check_patterns(rule, "train", "own.yaml")
    return find_samples(rule, "train", root, "own.yaml", root / "yaml_folder")


def found(root: Path, *arguments: Any, list: str | None = None) -> list[tuple[str, str, str | None]]:
    return [
        (one.stem, str(one.image.relative_to(root)), str(one.label.relative_to(root)) if one.label else None)
        for one in find(root, *arguments, list=list)
    ]


def test_a_glob_is_sorted_and_labels_repeat_the_stem(tmp_path: Path) -> None:
    touch(tmp_path, "rgb/b.png", "rgb/a.png", "rgb/a.txt", "other/c.png")
    assert found(tmp_path, "rgb/*.png", "mask/{stem}_id.png") == [
        ("a", "rgb/a.png", "mask/a_id.png"),
        ("b", "rgb/b.png", "mask/b_id.png"),
    ]


def test_without_labels_there_are_none(tmp_path: Path) -> None:
    touch(tmp_path, "rgb/a.png")
    assert found(tmp_path, "rgb/*.png") == [("a", "rgb/a.png", None)]


def test_folders_below_the_fixed_part_are_the_parent(tmp_path: Path) -> None:
    touch(tmp_path, "rgb/train/x/1.png", "rgb/train/y/z/1.png", "rgb/train/0.png")
    assert found(tmp_path, "rgb/train/**/*.png", "mask/train/{parent}/{stem}.png") == [
        ("0", "rgb/train/0.png", "mask/train/0.png"),
        ("x/1", "rgb/train/x/1.png", "mask/train/x/1.png"),
        ("y/z/1", "rgb/train/y/z/1.png", "mask/train/y/z/1.png"),
    ]


def test_cityscapes_layout(tmp_path: Path) -> None:
    touch(tmp_path, "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png")
    assert found(
        tmp_path,
        "leftImg8bit/train/*/{stem}_leftImg8bit.png",
        "gtFine/train/{parent}/{stem}_gtFine_labelIds.png",
    ) == [
        (
            "aachen/aachen_000000_000019",
            "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png",
            "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png",
        )
    ]


def test_one_folder_per_frame(tmp_path: Path) -> None:
    touch(tmp_path, "f1/rgb.png", "f2/rgb.png")
    assert [label for _, _, label in found(tmp_path, "*/rgb.png", "{parent}/mask.png")] == [
        "f1/mask.png",
        "f2/mask.png",
    ]


def test_a_marked_stem_among_other_wildcards(tmp_path: Path) -> None:
    touch(tmp_path, "a/1_x_left.png", "a/2_y_left.png", "a/3_y_right.png", "a/n_y_left.png")
    assert [stem for stem, _, _ in found(tmp_path, "a/[0-9]_{stem}_left.p?g")] == ["x", "y"]
    assert [stem for stem, _, _ in found(tmp_path, "a/[!0-9]_{stem}_left.*")] == ["y"]


def test_links_are_followed_and_folders_are_no_images(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/deep/a.png")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/rgb").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere/folder.png").mkdir()
    assert [stem for stem, _, _ in found(tmp_path / "root", "rgb/**/*.png")] == ["deep/a"]


def test_a_root_with_wildcards_in_its_name(tmp_path: Path) -> None:
    root = tmp_path / "data [v1] *"
    touch(root, "a.png")
    assert [stem for stem, _, _ in found(root, "*.png")] == ["a"]


def test_no_match_names_glob_root_and_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        find(tmp_path, "rgb/**/*.png")
    assert_one_line(
        caught.value, "own.yaml", "`splits.train.images`", "'rgb/**/*.png'", str(tmp_path), "correct"
    )


def test_two_images_of_one_stem(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a.jpg", "b.jpg", "deep/c.PNG", "deep/c.png")
    with pytest.raises(InputError) as caught:
        find(tmp_path, "*.*", "{stem}_id.png")
    assert_one_line(caught.value, "a.png", "a.jpg", "'a'", "one label", "narrow")
    # Without labels nothing is in doubt, and nobody's image is lost.
    assert [stem for stem, _, _ in found(tmp_path, "**/*.*")] == [
        "a.jpg",
        "a.png",
        "b",
        "deep/c.PNG",
        "deep/c.png",
    ]


def test_alternatives_lists_of_globs_and_any_case(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.JPG", "c.bmp", "d.webp", "notes.txt", "Thumbs.db", "._a.png", ".e.png")
    touch(tmp_path, "m/b.PNG")

    def images(*arguments: Any) -> list[str]:
        return [image for _, image, _ in found(tmp_path, *arguments)]

    assert images("*.{jpg,png}") == ["a.png", "b.JPG"]
    assert images(("*.bmp", "*.{jpg,webp}")) == ["b.JPG", "c.bmp", "d.webp"]
    # A wildcard for the suffix finds images alone.
    for every in ("*.*", "*", "?.*"):
        assert images(every) == ["a.png", "b.JPG", "c.bmp", "d.webp"]
    assert found(tmp_path, "b.jpg", "m/{stem}.png") == [("b", "b.JPG", "m/b.PNG")]
    assert found(tmp_path, "b.jpg", "m/{stem}.{bmp,png}") == [("b", "b.JPG", "m/b.PNG")]


@pytest.mark.parametrize("target", ["..", "../..", ".", "../rgb"])
def test_links_that_lead_back_multiply_nothing(tmp_path: Path, target: str) -> None:
    root = tmp_path / "root"
    touch(root, "rgb/x/1.png", "rgb/2.png", "mask/x/1.png")
    (root / "rgb/loop").symlink_to(target, target_is_directory=True)
    assert [image for _, image, _ in found(root, "rgb/**/*.png")] == ["rgb/2.png", "rgb/x/1.png"]
    assert [image for _, image, _ in found(root, "**/rgb/*.png")] == ["rgb/2.png"]


def test_two_links_to_one_folder_are_two_folders(tmp_path: Path) -> None:
    touch(tmp_path, "all/1.png")
    for name in ("train", "val"):
        (tmp_path / name).symlink_to("all", target_is_directory=True)
    assert [stem for stem, _, _ in found(tmp_path, "*/*.png")] == ["all/1", "train/1", "val/1"]


def test_a_pipe_is_found_and_left_to_the_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    assert [stem for stem, _, _ in found(tmp_path, "*.png")] == ["a"]


def test_what_lies_beside_the_images_and_is_not_used(tmp_path: Path) -> None:
    touch(tmp_path, "rgb/a.png", "rgb/a_id.png", "rgb/b.jpg", "rgb/notes.txt", "rgb/._a.png", "other/c.png")
    (tmp_path / "rgb/loop").symlink_to("..", target_is_directory=True)
    samples = find(tmp_path, "rgb/a.png", "rgb/{stem}_id.png")
    assert left_out(tmp_path, samples) == ("rgb/b.jpg", "rgb/loop")


PAIRS = [("rgb/a", "rgb/a.png", "mask/a.png"), ("rgb/b", "rgb/b.png", "mask/b.png")]


@pytest.mark.parametrize(
    "content",
    [
        b"/rgb/a.png /mask/a.png\n/rgb/b.png /mask/b.png\n",
        b"rgb/a.png\tmask/a.png\r\nrgb/b.png\tmask/b.png\r\n",
        b"\xef\xbb\xbfrgb/a.png,mask/a.png\n./rgb/b.png, mask/b.png",
        b"# image label\nrgb\\a.png mask\\a.png\n\nrgb\\b.png mask\\b.png\n",
        "rgb/a.PNG mask/a.png\nrgb/b.png mask/b.png".encode("utf-16"),
    ],
)
def test_lists_of_images_and_labels(tmp_path: Path, content: bytes) -> None:
    touch(tmp_path, "rgb/a.png", "rgb/b.png", "mask/a.png", "mask/b.png")
    (tmp_path / "pairs.txt").write_bytes(content)
    assert found(tmp_path, None, list="pairs.txt") == PAIRS
    # With patterns too: a line's file is one of the pattern's, and its label has the stem.
    assert found(tmp_path, "rgb/{stem}.png", "mask/{stem}.png", list="pairs.txt") == [
        (stem.removeprefix("rgb/"), image, label) for stem, image, label in PAIRS
    ]


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbfx/a\r\nb\r\n", b"x\\a\nb", b"x/a.png\nb.png", b"rgb/x/a.png\nrgb/b.png"]
)
def test_lists_of_stems_as_tools_write_them(tmp_path: Path, content: bytes) -> None:
    touch(tmp_path, "rgb/x/a.png", "rgb/b.png")
    (tmp_path / "train.txt").write_bytes(content)
    samples = found(tmp_path, "rgb/{stem}.png", list="train.txt")
    assert [(stem, image) for stem, image, _ in samples] == [("x/a", "rgb/x/a.png"), ("b", "rgb/b.png")]


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    touch(tmp_path, f"rgb/{name}.png")
    (tmp_path / "train.txt").write_bytes(b"caf\xe9\r\n")
    assert found(tmp_path, "rgb/{stem}.png", list="train.txt") == [(name, f"rgb/{name}.png", None)]
    assert found(tmp_path, "rgb/*.png") == [(name, f"rgb/{name}.png", None)]


def test_lists_of_files_that_say_too_little(tmp_path: Path) -> None:
    (tmp_path / "stems.txt").write_text("a\n")
    (tmp_path / "mixed.txt").write_text("a.png m/a.png\nb.png\n")
    (tmp_path / "unseen.txt").write_text("a\u200b\n")
    for name, words in (
        ("stems.txt", ["'a' is no image file", "`images`"]),
        ("mixed.txt", ["'a.png'", "'b.png'", "label"]),
        ("unseen.txt", ["U+200B", "zero width space"]),
    ):
        with pytest.raises(InputError) as caught:
            find(tmp_path, None, list=name)
        assert_one_line(caught.value, name, *words)


def test_lists_keep_their_order_and_may_hold_folders(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("# day\nb/2\n\n  a/1  \n")
    assert found(tmp_path, "rgb/{stem}.jpg", "mask/{parent}/x/{stem}.png", list="train.txt") == [
        ("b/2", "rgb/b/2.jpg", "mask/b/x/b/2.png"),
        ("a/1", "rgb/a/1.jpg", "mask/a/x/a/1.png"),
    ]


def test_a_list_may_lie_beside_the_yaml(tmp_path: Path) -> None:
    touch(tmp_path, "yaml_folder/mine.txt")
    (tmp_path / "yaml_folder/mine.txt").write_text("a\n")
    assert [stem for stem, _, _ in found(tmp_path, "{stem}.png", list="mine.txt")] == ["a"]


def test_bad_lists(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("# nothing\n\n")
    (tmp_path / "twice.txt").write_text("a\nb\na\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    for name, parts in (
        ("empty.txt", ["empty.txt", "'train' is empty"]),
        ("twice.txt", ["twice.txt", "'a' stands 2 times"]),
        ("binary.txt", ["binary.txt", "correct `list`"]),
        ("absent.txt", ["own.yaml", "absent.txt", "no such file"]),
    ):
        with pytest.raises(InputError) as caught:
            find(tmp_path, "{stem}.png", list=name)
        assert_one_line(caught.value, *parts)


@pytest.mark.parametrize(
    ("images", "labels", "list", "parts"),
    [
        ("rgb/*.png", "mask/{steam}.png", None, ["{steam}", "did you mean `stem`?"]),
        ("rgb/*.png", "mask/{}.png", None, ["unknown placeholder {}"]),
        ("rgb/*.png", "mask/{stem.png", None, ["write {stem}"]),
        ("rgb/*.png", "mask/{stem!r}.png", None, ["no format"]),
        ("rgb/*.png", "mask/{stem:>9}.png", None, ["no format"]),
        ("rgb/*.png", "mask/*.png", None, ["{stem} or {parent}", "wildcards"]),
        ("rgb/*.png", "mask/{stem}*.png", None, ["wildcards"]),
        ("/rgb/*.png", None, None, ["absolute", "`root`"]),
        ("rgb/{parent}/*.png", None, None, ["{parent} belongs into `labels`"]),
        ("{stem}/*.png", None, None, ["file name"]),
        ("rgb/{stem}_{stem}.png", None, None, ["once"]),
        ("rgb/*.png", None, "a.txt", ["with `list`", "{stem}"]),
        ("rgb/*/{stem}.png", None, "a.txt", ["no wildcards"]),
        ("rgb/[z-a].png", None, None, ["bad character range", "[a-z]"]),
    ],
)
def test_patterns_that_cannot_work(
    images: str, labels: str | None, list: str | None, parts: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        check_patterns(SplitSpec(images=images, labels=labels, list=list), "train", "own.yaml")
    key = "labels" if labels else "images"
    assert_one_line(caught.value, "own.yaml", f"`splits.train.{key}`", *parts)


def test_alternatives_have_a_limit() -> None:
    assert len(alternatives("{a,b}" * 9)) == 512
    with pytest.raises(InputError, match=r"stand for more than 1000; use `\*`"):
        alternatives("{a,b}" * 40)


def test_repeated_stars_find_every_file_once(tmp_path: Path) -> None:
    touch(tmp_path, "a/b/c/1.png", "2.png")
    assert [place for _, place, _ in found(tmp_path, "**/**/**/*.png")] == ["2.png", "a/b/c/1.png"]


def test_a_backslash_in_a_set_is_a_character(tmp_path: Path) -> None:
    touch(tmp_path, "x\\.png", "y.png")
    assert [place for _, place, _ in found(tmp_path, "x[\\].png")] == ["x\\.png"]


def test_a_folder_that_cannot_be_opened_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a/1.png", "b/2.png")

    def scandir(path: Path) -> Any:
        if Path(path).name == "b":
            raise PermissionError
        return os_scandir(path)

    os_scandir = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(InputError) as caught:
        find(tmp_path, "*/*.png")
    assert_one_line(caught.value, str(tmp_path / "b"), "cannot be opened")
