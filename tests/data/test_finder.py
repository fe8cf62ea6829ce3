"""Globs, `{stem}`, `{parent}` and list files."""

from pathlib import Path

import pytest

from segshift.data.finder import Sample, SplitSpec, check_patterns, find_samples
from segshift.errors import InputError
from tests.data.files import assert_one_line


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def find(root: Path, images: str, labels: str | None = None, list: str | None = None) -> tuple[Sample, ...]:
    rule = SplitSpec(images=images, labels=labels, list=list)
    check_patterns(rule, "train", "own.yaml")
    return find_samples(rule, "train", root, "own.yaml", root / "yaml_folder")


def found(root: Path, *arguments: str, list: str | None = None) -> list[tuple[str, str, str | None]]:
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
    touch(tmp_path, "a.png", "a.jpg")
    with pytest.raises(InputError) as caught:
        find(tmp_path, "*.*")
    assert_one_line(caught.value, "a.png", "a.jpg", "'a'", "narrow")


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
    ],
)
def test_patterns_that_cannot_work(
    images: str, labels: str | None, list: str | None, parts: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        check_patterns(SplitSpec(images=images, labels=labels, list=list), "train", "own.yaml")
    key = "labels" if labels else "images"
    assert_one_line(caught.value, "own.yaml", f"`splits.train.{key}`", *parts)
