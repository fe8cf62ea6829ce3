"""Every entry of the catalogue on its miniature tree: found, checked, decoded, trained on and evaluated."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from tools.datasets_page import PAGE, page

from segshift.data.check import check
from segshift.data.labels import class_mapping, class_set
from segshift.data.resolve import catalog, resolve
from segshift.errors import InputError
from segshift.evaluation import starred_classes
from tests.data.files import assert_one_line
from tests.data.miniatures import MINIATURES, Written, build
from tests.engine.recipes import toy_recipe
from tests.engine.runs import run

Trees = Callable[[str], tuple[Path, dict[str, list[Written]]]]


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Trees:
    built: dict[str, tuple[Path, dict[str, list[Written]]]] = {}

    def tree(name: str) -> tuple[Path, dict[str, list[Written]]]:
        if name not in built:
            root = tmp_path_factory.mktemp(name)
            built[name] = (root, build(name, root))
        return built[name]

    return tree


def test_every_entry_has_a_miniature_and_says_where_it_comes_from() -> None:
    entries = {entry.name: entry for entry in catalog() if entry.spec is not None}
    assert set(entries) == set(MINIATURES)
    for name, entry in entries.items():
        spec = entry.spec
        assert spec is not None and spec.name == name and spec.root is None
        assert spec.homepage.startswith("http") and spec.license and spec.citation and spec.layout
        assert "train" in spec.splits
        assert any(rule.labels for rule in spec.splits.values())


@pytest.mark.parametrize("name", MINIATURES)
def test_the_files_are_found_and_decoded_pixel_by_pixel(trees: Trees, name: str) -> None:
    root, written = trees(name)
    entry = next(entry for entry in catalog() if entry.name == name)
    assert set(entry.splits) == set(written)
    for split_name, expected in written.items():
        split = resolve(f"{name}:{root}:{split_name}")
        by_image = {sample.image: sample for sample in split.samples}
        assert set(by_image) == {one.image for one in expected}
        assert split.labelled == (expected[0].label is not None)
        for one in expected:
            assert by_image[one.image].label == one.label
            if one.label is not None and one.raw is not None:
                label = split.decoder.read(one.label)
                np.testing.assert_array_equal(
                    label, MINIATURES[name].expected(one.raw, split.classes.names), err_msg=str(one.label)
                )
                assert set(np.unique(label)) == {*range(split.classes.count), 255}


@pytest.mark.parametrize("name", MINIATURES)
def test_data_check_finds_nothing(trees: Trees, name: str) -> None:
    root, written = trees(name)
    report = check(f"{name}:{root}")
    assert [problem.message for problem in report.problems] == []
    assert {split.name: split.images for split in report.splits} == {
        split: len(images) for split, images in written.items()
    }


@pytest.mark.parametrize("name", MINIATURES)
def test_two_steps_and_an_evaluation(trees: Trees, tmp_path: Path, name: str) -> None:
    root, written = trees(name)
    labelled = written["train"][0].label is not None
    # Entries that are only targets adapt from the set that the papers take.
    source = f"{name}:{root}" if labelled else f"cityscapes:{trees('cityscapes')[0]}"
    classes = next(entry.classes for entry in catalog() if entry.name == name)
    recipe = toy_recipe(
        Path(source),
        Path(f"{name}:{root}"),
        classes=classes.name,
        method={"name": "align", "terms": [{"term": "minent"}]},
        # Without a split of its own, the images that are not trained on are scored.
        source={"subset": None if "val" in written or not labelled else {"first": 1}},
        evaluation={"split": "val" if "val" in written else "train", "input_size": [48, 32]},
        training={"steps": 2},
    )
    results = run(recipe, tmp_path / "run")
    assert set(results["evaluation"]["iou"]) == set(classes.names)
    assert results["uses_target_labels"] is False


def test_a_reader_of_eight_bits_would_see_nothing_of_synthia(trees: Trees) -> None:
    root, written = trees("synthia")
    one = written["train"][0]
    assert one.label is not None and one.raw is not None
    stored = cv2.imread(str(one.label), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16 and stored.shape == (64, 96, 3)
    with Image.open(one.label) as image:
        assert not np.asarray(image)[..., 0].any(), "Pillow keeps the upper byte: every class becomes 0"
    raw = resolve(f"synthia:{root}").decoder.read_raw(one.label)
    np.testing.assert_array_equal(raw, one.raw)
    np.testing.assert_array_equal(raw, stored[..., 2])


def test_the_colors_of_gta5s_palette_are_not_read(trees: Trees) -> None:
    root, written = trees("gta5")
    label = written["train"][0].label
    assert label is not None
    with Image.open(label) as image:
        assert image.mode == "P"
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) >= 20
    before = resolve(f"gta5:{root}").decoder.read(label)
    assert set(np.unique(before)) == {*range(19), 255}


def test_unequal_pairs_of_gta5_are_reported_and_trained_on(tmp_path: Path) -> None:
    written = build("gta5", tmp_path / "gta5")["train"]
    odd = written[1]
    assert odd.label is not None and odd.raw is not None
    with Image.open(odd.label) as image:
        taller = image.resize((96, 68), Image.Resampling.NEAREST)
    taller.save(odd.label)
    report = check(f"gta5:{tmp_path / 'gta5'}")
    assert not report.errors
    assert [problem.file for problem in report.warnings] == [str(odd.label)]
    assert "96 x 68" in report.warnings[0].message and "96 x 64" in report.warnings[0].message
    assert report.splits[0].pairs == 3
    decoder = resolve(f"gta5:{tmp_path / 'gta5'}").decoder
    raw = np.asarray(taller)
    expected = [[raw[int((y + 0.5) * 68 / 64), x] for x in range(96)] for y in range(64)]
    np.testing.assert_array_equal(
        decoder.read(odd.label, (64, 96)), decoder.decode(np.array(expected, np.uint8))
    )
    source = Path(f"gta5:{tmp_path / 'gta5'}")
    run(toy_recipe(source, None, training={"steps": 3, "batch_size": 3}), tmp_path / "run")


def test_elsewhere_an_unequal_pair_is_an_error(tmp_path: Path) -> None:
    label = build("kitti", tmp_path)["train"][1].label
    assert label is not None
    with Image.open(label) as image:
        image.resize((96, 68), Image.Resampling.NEAREST).save(label)
    report = check(f"kitti:{tmp_path}")
    assert len(report.errors) == 1 and str(label) in report.errors[0].message


def test_a_target_needs_no_label_files(trees: Trees, tmp_path: Path) -> None:
    written = build("cityscapes", tmp_path / "data")
    root = tmp_path / "data"
    for one in written["train"]:
        assert one.label is not None
        one.label.unlink()
    with pytest.raises(InputError) as caught:
        resolve(f"cityscapes:{root}:train")
    assert_one_line(caught.value, "2 of 2 images", "gtFine/train")
    split = resolve(f"cityscapes:{root}:train", labels="optional")
    assert not split.labelled and len(split.samples) == 2
    source = Path(f"gta5:{trees('gta5')[0]}")
    recipe = toy_recipe(source, Path(f"cityscapes:{root}"), training={"steps": 2})
    assert set(run(recipe, tmp_path / "run")["evaluation"]["iou"]) == set(class_set("cityscapes").names)
    with pytest.raises(InputError):
        run(toy_recipe(source, Path(f"cityscapes:{root}"), oracle=True), tmp_path / "oracle")


def test_a_half_labelled_split_is_an_error_where_labels_are_read_and_fine_for_a_target(
    tmp_path: Path,
) -> None:
    label = build("cityscapes", tmp_path)["train"][0].label
    assert label is not None
    label.unlink()
    with pytest.raises(InputError) as caught:
        resolve(f"cityscapes:{tmp_path}:train", labels="optional")
    assert_one_line(caught.value, "1 of 2 images")
    split = resolve(f"cityscapes:{tmp_path}:train", labels="unused")
    assert len(split.samples) == 2 and not any(one.label for one in split.samples)


def test_without_a_root_the_error_says_where_to_get_the_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SEGSHIFT_DATA", raising=False)
    with pytest.raises(InputError) as caught:
        resolve("gta5")
    assert_one_line(
        caught.value, "download.visinf.tu-darmstadt.de", "images/*.png with labels/{stem}.png", "gta5:PATH",
        "SEGSHIFT_DATA", "segshift data show gta5",
    )  # fmt: skip
    monkeypatch.setenv("SEGSHIFT_DATA", str(tmp_path))
    with pytest.raises(InputError) as caught:
        resolve("gta5:train")
    assert_one_line(caught.value, f"no {tmp_path / 'gta5'}")


def test_a_folder_of_data_sets_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    build("gta5", tmp_path / "gta5")
    build("cross_city_rio", tmp_path / "cross_city")
    monkeypatch.setenv("SEGSHIFT_DATA", str(tmp_path))
    assert resolve("gta5").samples[0].image.is_relative_to(tmp_path / "gta5")
    assert resolve("cross_city_rio:val").labelled
    other = tmp_path / "other"
    build("gta5", other)
    assert resolve(f"gta5:{other}").samples[0].image.is_relative_to(other), "a root that is given wins"


def test_a_folder_without_the_tree_is_told_what_was_expected_and_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(InputError) as caught:
        resolve(f"gta5:{tmp_path}")
    assert_one_line(
        caught.value,
        "images/*.png",
        f"{tmp_path} holds pictures/",
        "with labels/{stem}.png",
        "data show gta5",
    )
    build("gta5", tmp_path / "unpacked" / "GTA5")
    for wrong in ("unpacked", "unpacked/GTA5/images"):
        with pytest.raises(InputError) as caught:
            resolve(f"gta5:{tmp_path / wrong}")
        assert_one_line(caught.value, f"{tmp_path / 'unpacked' / 'GTA5'} has such files: give it as the root")


def test_camvids_lists_are_the_published_ones(camvid_root: Path) -> None:
    folder = next(entry.path for entry in catalog() if entry.name == "camvid_960")
    assert folder is not None
    names = {}
    for split, count in (("train", 367), ("val", 101), ("test", 233)):
        names[split] = (folder.parent / "lists" / f"camvid_{split}.txt").read_text().split()
        assert len(set(names[split])) == count
        published = (camvid_root / "splits" / f"{split}.txt").read_text().split()
        assert names[split] == [Path(line).name for line in published]
    assert len({name for listed in names.values() for name in listed}) == 701


def test_the_classes_of_the_published_evaluations() -> None:
    classes = {entry.name: entry.classes for entry in catalog()}
    # GTA5 and SYNTHIA to Cityscapes, Cityscapes to Cross-City and to RobotCar, CamVid.
    names = ("gta5", "synthia", "cross_city_rome", "robotcar", "camvid_960")
    assert [classes[name].count for name in names] == [19, 16, 13, 9, 11]
    starred = set(starred_classes(classes["synthia"].names))
    assert set(classes["synthia"].names) - starred == set(classes["cross_city_rome"].names)
    # What SYNTHIA and CamVid share, for the test on an unseen domain.
    for one in ("synthia", "camvid_960"):
        assert class_mapping(classes[one], class_set("camvid10")).min() == 0


def test_the_page_of_data_sets_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python tools/datasets_page.py"


def test_real_carla_images_with_a_users_yaml(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3] / "shared" / "data" / "samples" / "carlascapes4"
    if not root.is_dir():
        pytest.skip("needs the CARLA images in ../shared/data/samples, which users do not have")
    (tmp_path / "carla.yaml").write_text(
        """
name: carla
splits:
  train: {images: "images/*.jpg", labels: "labels/{stem}.png"}
classes: cityscapes19
labels:
  kind: ids
  map: {1: road, 2: sidewalk, 3: building, 4: wall, 5: fence, 6: pole, 7: traffic light, 8: traffic sign,
        9: vegetation, 10: terrain, 11: sky, 12: person, 14: car, 18: motorcycle, 19: bicycle, 24: road}
  ignore: [20, 21, 22, 23, 25]
  other: error
"""
    )
    report = check(f"{tmp_path / 'carla.yaml'}:{root}")
    assert not report.errors
    (split,) = report.splits
    assert (split.images, split.pairs, split.sizes) == (4, 4, {(640, 320): 4})
    # The shares of all pixels that the sample's README gives, among them road and road line.
    assert split.class_frequencies is not None and split.ignored_share is not None
    labelled = 1 - split.ignored_share
    for name, percent in (("road", 33.578 + 3.314), ("building", 30.465), ("sky", 9.971), ("car", 0.532)):
        assert 100 * split.class_frequencies[name] * labelled == pytest.approx(percent, abs=0.002)
    run(toy_recipe(Path(f"{tmp_path / 'carla.yaml'}:{root}"), None, training={"steps": 2}), tmp_path / "run")
