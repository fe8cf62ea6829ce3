"""`data init` on trees of many layouts: the spec it writes is resolved, checked and decoded to the truth."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segshift.data.check import check
from segshift.data.resolve import resolve
from segshift.dataset_init.propose import Found, Proposal, explore, write_proposal
from segshift.errors import InputError
from tests.data.files import assert_one_line, truncated
from tests.data.miniatures import MINIATURES, build
from tests.dataset_init.trees import CITY, COLORS, Truth, as_colors, as_ids, fill


def propose(root: Path, folder: Path, classes: str | None = None) -> Proposal:
    found: Found = explore(root, "own_lists", classes)
    return write_proposal(found, folder / "own.yaml")


def split_sizes(proposal: Proposal) -> dict[str, tuple[int, bool]]:
    return {count.name: (count.images, count.labelled) for count in proposal.counts}


def assert_no_errors(proposal: Proposal) -> None:
    assert [problem.message for problem in check(str(proposal.path)).errors] == []


def assert_decodes_to(proposal: Proposal, truth: Truth, names: tuple[str, ...] = CITY) -> None:
    """Every label of every split has the truth's class names, pixel by pixel."""
    assert_no_errors(proposal)
    seen = 0
    for count in proposal.counts:
        split = resolve(str(proposal.path), count.name)
        table = np.array([*split.classes.names, *[""] * (256 - split.classes.count)], dtype=object)
        expected = np.array([*names, *[""] * (256 - len(names))], dtype=object)
        for sample in split.samples:
            if sample.label is not None:
                decoded = split.decoder.read(sample.label)
                assert (table[decoded] == expected[truth[sample.image]]).all(), sample.label
                seen += 1
    assert seen


def test_camvid_gets_the_spec_of_the_catalog(camvid_root: Path, tmp_path: Path) -> None:
    proposal = propose(camvid_root, tmp_path)
    own, catalog = str(proposal.path), f"camvid:{camvid_root}"
    assert split_sizes(proposal) == {
        "train": (367, True), "val": (101, True), "test": (233, True), "day_train": (305, True),
        "day_val": (101, True), "day_test": (171, True), "dusk_train": (62, True), "dusk_test": (62, True),
    }  # fmt: skip
    for name in ("train", "dusk_test"):
        ours, theirs = resolve(own, name), resolve(catalog, name)
        # The data may lie behind a link, which only one of the two has followed.
        assert len(ours.samples) == len(theirs.samples)
        for mine, other in zip(ours.samples, theirs.samples, strict=True):
            assert mine.label is not None and other.label is not None
            assert mine.image.samefile(other.image) and mine.label.samefile(other.label)
        assert ours.classes.names == theirs.classes.names
        for sample in ours.samples[::40]:
            assert sample.label is not None
            np.testing.assert_array_equal(ours.decoder.read(sample.label), theirs.decoder.read(sample.label))
    text = proposal.path.read_text()
    assert "Values in 50 of 701 label files" in text and "contact_sheet.png" in text


# The six classes that Cross-City lacks cannot be known to be missing from two labels.
KNOWN = sorted(set(MINIATURES) - {name for name in MINIATURES if name.startswith("cross_city")})


@pytest.mark.parametrize("name", KNOWN)
def test_every_public_layout_is_recognized(tmp_path: Path, name: str) -> None:
    written = build(name, tmp_path / "tree")
    proposal = propose(tmp_path / "tree", tmp_path)
    miniature = MINIATURES[name]
    names = tuple(dict.fromkeys(one for one in miniature.values.values() if one is not None))
    truth = {
        one.image: miniature.expected(one.raw, names)
        for images in written.values()
        for one in images
        if one.raw is not None
    }
    assert_decodes_to(proposal, truth, names)
    if name not in ("acdc", "dark_zurich"):  # the catalogue cuts their images into more splits than folders
        expected = {split: (len(images), images[0].label is not None) for split, images in written.items()}
        assert split_sizes(proposal) == expected


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("{}.png", "{}_mask.png"),
        ("{}.jpg", "{}.png"),
        ("street{}x.png", "street{}x_gt.png"),
        ("img_{}.jpg", "mask_{}.png"),
        ("{}_rgb.png", "{}_seg.png"),
        ("rgb/{}.JPG", "ann/{}.PNG"),
        ("data/train/photos/{}.png", "data/train/annotations/{}_labelIds.png"),
        ("a/{}.png", "b/{}.png"),
        ("images/Image_{}L.jpg", "labels/Image_{}L.png"),
        ("segmentation/image_{}.jpg", "segmentation/mask_{}.png"),
    ],
)
def test_names_of_images_and_labels(tmp_path: Path, image: str, label: str) -> None:
    stems = ["0001", "0002", "0003"]
    truth = fill(tmp_path / "tree", [(image.format(one), label.format(one)) for one in stems])
    proposal = propose(tmp_path / "tree", tmp_path)
    assert split_sizes(proposal) == {"train": (3, True)}
    assert_decodes_to(proposal, truth)


def test_a_flat_folder_with_masks_in_city_colors(tmp_path: Path) -> None:
    truth = fill(tmp_path / "tree", [(f"{i:03}.png", f"{i:03}_mask.png") for i in range(4)], as_colors)
    proposal = propose(tmp_path / "tree", tmp_path)
    assert proposal.found.meaning.classes == "cityscapes19" and proposal.found.meaning.rule.kind == "rgb"
    assert_decodes_to(proposal, truth)


def own_colors(label: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # sky, road and everything else in colors that no data set has
    three = np.where(label == 10, 0, np.where(label == 0, 1, 2)).astype(np.uint8)
    return as_colors(three, ((10, 20, 30), (200, 100, 0), (1, 2, 3)))


def test_unknown_colors_become_classes_to_rename(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    truth = fill(root, [(f"{i:03}.jpg", f"{i:03}_mask.png") for i in range(3)], own_colors)
    three = {path: np.where(one == 10, 0, np.where(one == 0, 1, 2)) for path, one in truth.items()}
    proposal = propose(root, tmp_path)
    text = proposal.path.read_text()
    share = np.mean([one == 1 for one in three.values()])
    [line] = [line for line in text.splitlines() if line.strip().startswith('"200,100,0"')]
    assert f"{100 * share:.2f} %" in line and "class_2" in line
    for old, new in (("class_0", "rest"), ("class_1", "sky"), ("class_2", "ground")):
        text = text.replace(old, new)
    proposal.path.write_text(text)
    assert_decodes_to(proposal, three, ("sky", "ground", "rest"))
    classes = resolve(str(proposal.path)).classes
    colors = dict(zip(classes.names, classes.colors, strict=True))
    assert colors == {"rest": (1, 2, 3), "sky": (10, 20, 30), "ground": (200, 100, 0)}
    named = "#0a141e=sky,#c86400=ground,#010203=rest"
    (tmp_path / "named").mkdir()
    assert_decodes_to(propose(root, tmp_path / "named", named), three, ("sky", "ground", "rest"))


def warehouse(label: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(label == 10, 24, np.where(label == 0, 7, np.where(label == 8, 255, 11))).astype(np.uint8)


def test_ids_named_in_order_or_one_by_one(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    truth = fill(root, [(f"rgb/train/{i}.png", f"mask/train/{i}_id.png") for i in range(3)], warehouse)
    expected = {
        path: np.where(one == 10, 2, np.where(one == 0, 0, np.where(one == 8, 255, 1)))
        for path, one in truth.items()
    }
    for number, classes in enumerate(("floor,rack,person", "7=floor,11=rack,24=person,255=ignore")):
        (tmp_path / str(number)).mkdir()
        proposal = propose(root, tmp_path / str(number), classes)
        assert_decodes_to(proposal, expected, ("floor", "rack", "person"))
    unnamed = propose(root, tmp_path)
    assert unnamed.found.meaning.classes == ("class_7", "class_11", "class_24")
    assert "255" in unnamed.found.meaning.reason
    for wrong, parts in {
        "floor,rack": ("2 names", "4 values (7, 11, 24, 255)"),
        "7=floor,eleven=rack": ("eleven=rack", "ID=NAME"),
        "cityscape19": ("cityscape19", "cityscapes19"),
        "camvid11": ("7, 11, 24, 255", "VALUE=NAME"),
        "ignore,ignore,ignore,ignore": ("no class",),
        ",": ("empty",),
    }.items():
        with pytest.raises(InputError) as caught:
            explore(root, "lists", wrong)
        assert_one_line(caught.value, *parts)


def test_real_carla_images(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3] / "shared" / "data" / "samples" / "carlascapes4"
    if not root.is_dir():
        pytest.skip("needs the CARLA images in ../shared/data/samples, which users do not have")
    proposal = propose(root, tmp_path)
    assert_no_errors(proposal)
    assert split_sizes(proposal) == {"train": (4, True)}
    assert proposal.found.meaning.rule.map == "carla_ids"
    named = {
        1: "road", 2: "sidewalk", 3: "building", 4: "wall", 5: "fence", 6: "pole", 7: "traffic light",
        8: "traffic sign", 9: "vegetation", 10: "terrain", 11: "sky", 12: "person", 14: "car",
        18: "motorcycle", 19: "bicycle", 24: "road",
    }  # fmt: skip
    split = resolve(str(proposal.path))
    for sample in split.samples:
        assert sample.label is not None
        raw = np.asarray(Image.open(sample.label))
        expected = np.full(raw.shape, 255, np.uint8)
        for value, name in named.items():
            expected[raw == value] = CITY.index(name)
        np.testing.assert_array_equal(split.decoder.read(sample.label), expected)


def test_grey_saved_as_color_and_carlas_red_channel(tmp_path: Path) -> None:
    def grey(label: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.stack([label] * 3, -1)

    def red(label: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.stack([label, label * 0, label * 0, label * 0 + 255], -1)

    for name, encode in (("grey", grey), ("red", red)):
        truth = fill(
            tmp_path / name / "tree", [(f"images/{i}.jpg", f"labels/{i}.png") for i in range(3)], encode
        )
        proposal = propose(tmp_path / name / "tree", tmp_path / name)
        assert proposal.found.meaning.rule.channel == 0
        assert_decodes_to(proposal, truth)


def test_palettes_that_differ_between_files_are_read_as_colors(tmp_path: Path) -> None:
    truth = fill(tmp_path / "tree", [(f"images/{i}.jpg", f"labels/{i}.png") for i in range(3)], as_colors)
    for index, label in enumerate(sorted((tmp_path / "tree" / "labels").iterdir())):
        with Image.open(label) as image:
            pixels = np.asarray(image)
        used, positions = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
        # Every file numbers its colors otherwise, as programs do that save the smallest palette.
        stored = ((positions.reshape(pixels.shape[:2]) + index) % len(used)).astype(np.uint8)
        flat = Image.fromarray(stored, mode="P")
        flat.putpalette(np.roll(used, index, axis=0).astype(np.uint8).tobytes())
        flat.save(label)
    proposal = propose(tmp_path / "tree", tmp_path)
    assert proposal.found.meaning.rule.kind == "rgb"
    assert_decodes_to(proposal, truth)


def test_a_palette_names_the_classes_of_unknown_ids(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    truth = fill(root, [(f"images/{i}.jpg", f"labels/{i}.png") for i in range(3)])
    for label in (root / "labels").iterdir():
        with Image.open(label) as image:
            ids = np.asarray(image)
        moved = Image.fromarray(np.where(ids == 255, 255, 100 + ids).astype(np.uint8), mode="P")
        palette = np.zeros((256, 3), np.uint8)
        palette[100:119] = COLORS
        moved.putpalette(palette.tobytes())
        moved.save(label)
    proposal = propose(root, tmp_path)
    assert proposal.found.meaning.classes == "cityscapes19" and "palette" in proposal.found.meaning.reason
    assert proposal.found.meaning.rule.kind == "ids"
    assert_decodes_to(proposal, truth)


def test_sequences_of_different_depth_and_mixed_formats(tmp_path: Path) -> None:
    pairs: list[tuple[str, str | None]] = [
        ("rgb/train/a/0001.png", "gt/train/a/0001.png"),
        ("rgb/train/a/0002.jpg", "gt/train/a/0002.png"),
        ("rgb/train/b/morning/0001.jpg", "gt/train/b/morning/0001.png"),
        ("rgb/val/c/0001.png", "gt/val/c/0001.png"),
        ("rgb/test/0001.png", None),
    ]
    truth = fill(tmp_path / "tree", pairs)
    proposal = propose(tmp_path / "tree", tmp_path)
    assert split_sizes(proposal) == {"train": (3, True), "val": (1, True), "test": (1, False)}
    assert_decodes_to(proposal, truth)


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("drive{}/rgb/{:04}.jpg", "drive{}/mask/{:04}.png"),
        ("data/drive{}/rgb/cam/{:04}.jpg", "data/drive{}/mask/{:04}.png"),
        ("drive{}/{:04}.jpg", "drive{}_mask/{:04}.png"),
        ("drive{}/{:04}.jpg", "drive{}/gt/{:04}.png"),
    ],
)
def test_every_sequence_has_its_own_labels(tmp_path: Path, image: str, label: str) -> None:
    pairs = [(image.format(n, i), label.format(n, i)) for n in (1, 2) for i in range(2)]
    truth = fill(tmp_path / "tree", pairs)
    proposal = propose(tmp_path / "tree", tmp_path)
    assert split_sizes(proposal) == {"train": (4, True)}
    assert_decodes_to(proposal, truth)


def test_sequences_that_no_pattern_joins_are_listed(tmp_path: Path) -> None:
    pairs: list[tuple[str, str | None]] = [("a/rgb/0.jpg", "a/mask/0.png"), ("b/rgb/1.jpg", "b/labels/1.png")]
    truth = fill(tmp_path / "tree", pairs)
    proposal = propose(tmp_path / "tree", tmp_path)
    assert split_sizes(proposal) == {"train": (2, True)}
    assert (tmp_path / "own_lists" / "train.txt").read_text().splitlines() == [f"{i}\t{j}" for i, j in pairs]
    assert_decodes_to(proposal, truth)


def test_folders_that_no_pattern_can_name_are_listed(tmp_path: Path) -> None:
    truth = fill(tmp_path / "tree", [(f"a {{1}}/rgb/{i}.jpg", f"a {{1}}/mask/{i}.png") for i in range(4)])
    proposal = propose(tmp_path / "tree", tmp_path)
    assert split_sizes(proposal) == {"train": (4, True)}
    assert_decodes_to(proposal, truth)


def test_a_partly_labelled_folder_gets_lists(tmp_path: Path) -> None:
    pairs = [(f"images/{i:03}.jpg", f"labels/{i:03}.png" if i % 3 else None) for i in range(30)]
    truth = fill(tmp_path / "tree", pairs)
    proposal = propose(tmp_path / "tree", tmp_path)
    assert split_sizes(proposal) == {"train": (20, True), "unlabelled": (10, False)}
    assert (tmp_path / "own_lists" / "train.txt").read_text().split()[:3] == ["001", "002", "004"]
    assert_decodes_to(proposal, truth)


def test_sequences_of_different_form_are_one_split(tmp_path: Path) -> None:
    pairs: list[tuple[str, str | None]] = [
        (f"{name}/rgb/{i}.jpg", f"{name}/mask/{i}.png") for name in ("s1", "s2") for i in range(2)
    ]
    pairs += [("s1/rgb/extra.png", None), ("s3/rgb/0.png", None), ("s3/rgb/1.png", None)]
    pairs += [(f"s4/img_{i}.png", f"s4/mask_{i}.png") for i in range(3)]
    truth = fill(tmp_path / "tree", pairs)
    proposal = propose(tmp_path / "tree", tmp_path)
    assert split_sizes(proposal) == {"train": (7, True), "unlabelled": (3, False)}
    assert_decodes_to(proposal, truth)


def test_other_files_are_left_out_and_named(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    truth = fill(root, [(f"images/{i}.jpg", f"labels/{i}.png") for i in range(3)])
    fill(root, [("overview/page.jpg", None), (".hidden/1.jpg", None), ("images/._0.jpg", None)])
    fill(root, [("x/9.jpg", "depth/0.png"), ("x/9.jpg", "colored/0.png")])
    (root / "x" / "9.jpg").unlink()
    (root / "loop").symlink_to(root)
    (root / "labels" / "notes.txt").write_text("nothing to see")
    truncated(root / "labels" / "77.png", color=False)
    proposal = propose(root, tmp_path)
    assert split_sizes(proposal) == {"train": (3, True)}
    notes = " | ".join(proposal.found.notes)
    assert (
        "overview/page.jpg" in notes and "depth/0.png" in notes and "colored/" in notes and "._0" not in notes
    )
    assert_decodes_to(proposal, truth)


def test_images_alone_are_a_target(tmp_path: Path) -> None:
    fill(tmp_path / "tree", [(f"night/{i}.jpg", None) for i in range(3)])
    proposal = propose(tmp_path / "tree", tmp_path)
    assert split_sizes(proposal) == {"train": (3, False)}
    assert resolve(str(proposal.path), labels="optional").samples
    assert_no_errors(proposal)
    (tmp_path / "b").mkdir()
    assert propose(tmp_path / "tree", tmp_path / "b", "floor,rack").counts
    assert resolve(str(tmp_path / "b" / "own.yaml")).classes.names == ("floor", "rack")


def test_a_binary_mask_keeps_its_255(tmp_path: Path) -> None:
    truth = fill(
        tmp_path / "tree",
        [(f"images/{i}.jpg", f"masks/{i}.png") for i in range(3)],
        lambda label: ((label == 0) * 255).astype(np.uint8),
    )
    proposal = propose(tmp_path / "tree", tmp_path)
    binary = {path: (one == 0).astype(np.uint8) for path, one in truth.items()}
    assert_decodes_to(proposal, binary, ("class_0", "class_255"))


def test_sizes_that_differ_are_said_not_decided(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    fill(root, [(f"images/{i}.jpg", f"labels/{i}.png") for i in range(3)])
    with Image.open(root / "labels" / "1.png") as image:
        image.resize((48, 32), Image.Resampling.NEAREST).save(root / "labels" / "1.png")
    proposal = propose(root, tmp_path)
    text = proposal.path.read_text()
    assert "1 of the sampled labels have another size" in text and "# unequal_sizes: resize" in text
    assert len(check(str(proposal.path)).errors) == 1
    proposal.path.write_text(text.replace("# unequal_sizes", "unequal_sizes"))
    assert check(str(proposal.path)).errors == ()


def test_nothing_is_overwritten_and_refusals_are_one_line(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    fill(root, [(f"images/{i}.jpg", f"labels/{i}.png") for i in range(2)])
    found = explore(root, "own_lists")
    (tmp_path / "own.yaml").write_text("mine")
    with pytest.raises(InputError) as caught:
        write_proposal(found, tmp_path / "own.yaml")
    assert_one_line(caught.value, "own.yaml", "--force", "--out")
    assert (tmp_path / "own.yaml").read_text() == "mine"
    write_proposal(found, tmp_path / "own.yaml", force=True)
    (tmp_path / "empty").mkdir()
    for wrong, part in ((tmp_path / "none", "no such folder"), (tmp_path / "empty", "no image file")):
        with pytest.raises(InputError) as caught:
            explore(wrong, "lists")
        assert_one_line(caught.value, str(wrong), part)
    noise = np.random.default_rng(0).integers(0, 2**16, (64, 96), np.uint16)
    Image.fromarray(noise).save(root / "labels" / "0.png")
    Image.fromarray(noise).save(root / "labels" / "1.png")
    with pytest.raises(InputError) as caught:
        explore(root, "lists")
    assert_one_line(caught.value, "different ids", "instance ids")


def test_a_root_beside_the_yaml_is_relative_and_moves_with_it(tmp_path: Path) -> None:
    fill(tmp_path / "here" / "tree", [(f"images/{i}.jpg", f"labels/{i}.png") for i in range(2)], as_ids)
    proposal = propose(tmp_path / "here" / "tree", tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    assert len(resolve(str(tmp_path / "there" / proposal.path.name)).samples) == 2
