"""Masks and files as labelling tools export them: smooth edges, palettes, names of classes, other forms."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segshift.data.resolve import resolve
from segshift.dataset_init.propose import Proposal, explore, write_proposal
from tests.data.files import pixels, save


def propose(root: Path, out: Path) -> Proposal:
    return write_proposal(explore(root, "own_lists"), out / "own.yaml")


def drawn(seed: int, values: tuple[int, ...] = (0, 255)) -> NDArray[np.uint8]:
    """Discs of the values, with smooth edges."""
    canvas = np.full((96, 128), values[0], np.uint8)
    for index, value in enumerate(values[1:]):
        center = (30 + 40 * index + seed, 45 + 3 * seed)
        cv2.circle(canvas, center, 18, value, -1, lineType=cv2.LINE_AA)
    return canvas


def fill(root: Path, labels: list[NDArray[np.uint8]]) -> None:
    for index, label in enumerate(labels):
        save(root / "images" / f"{index}.jpg", pixels(index, label.shape[1], label.shape[0]))
        save(root / "masks" / f"{index}.png", label)


def test_smooth_edges_leave_the_classes_that_were_drawn(tmp_path: Path) -> None:
    fill(tmp_path / "set", [drawn(seed) for seed in range(4)])
    proposal = propose(tmp_path / "set", tmp_path)
    assert proposal.found.meaning.classes == ("class_0", "class_255")
    assert any("only lie along edges of 2 others" in note for note in proposal.found.notes)
    split = resolve(str(proposal.path))
    for seed, sample in enumerate(split.samples):
        assert sample.label is not None
        expected = np.full((96, 128), 255, np.uint8)
        expected[drawn(seed) == 0], expected[drawn(seed) == 255] = 0, 1
        assert np.array_equal(split.decoder.read(sample.label), expected)


def test_masks_that_were_resized_smoothly(tmp_path: Path) -> None:
    sharp = [
        np.kron(np.eye(3, dtype=np.uint8) * (index + 1), np.ones((12, 12), np.uint8)) for index in range(3)
    ]
    fill(tmp_path / "set", [cv2.resize(one * 60, (144, 144), interpolation=cv2.INTER_CUBIC) for one in sharp])
    found = explore(tmp_path / "set", "own_lists")
    assert found.meaning.classes == ("class_0", "class_60", "class_120", "class_180")


def test_smooth_edges_of_colors(tmp_path: Path) -> None:
    colors = np.array([[10, 20, 30], [200, 40, 90]], float)
    labels = [
        np.rint(colors[0] + (colors[1] - colors[0]) * (drawn(seed)[..., None] / 255.0)).astype(np.uint8)
        for seed in range(3)
    ]
    fill(tmp_path / "set", labels)
    found = explore(tmp_path / "set", "own_lists")
    assert found.values is not None and [one.color for one in found.values.values] == [
        (10, 20, 30),
        (200, 40, 90),
    ]


def test_sharp_masks_of_many_classes_stay_whole(tmp_path: Path) -> None:
    ids = np.kron(np.arange(48, dtype=np.uint8).reshape(6, 8), np.ones((8, 8), np.uint8))
    fill(tmp_path / "set", [ids, ids[::-1]])
    found = explore(tmp_path / "set", "own_lists")
    assert found.values is not None and len(found.values.values) == 48 and not found.values.soft


def test_a_palette_that_differs_late_is_seen(tmp_path: Path) -> None:
    ids = np.kron(np.arange(4, dtype=np.uint8).reshape(2, 2), np.ones((8, 8), np.uint8))
    for index in range(60):
        save(tmp_path / "set/images" / f"{index:02}.jpg", pixels(index, 16, 16))
        image = Image.fromarray(ids).convert("P")
        image.putdata(ids.ravel().tolist())
        shift = 1 if index == 57 else 0
        image.putpalette([60 * ((value + shift) % 4) for value in range(4) for _ in range(3)])
        (tmp_path / "set/masks").mkdir(exist_ok=True)
        image.save(tmp_path / "set/masks" / f"{index:02}.png")
    found = explore(tmp_path / "set", "own_lists")
    assert found.values is not None and found.values.kind == "rgb"


IDS = np.kron(np.array([[0, 1], [2, 1]], np.uint8), np.ones((8, 8), np.uint8))
COLORS = np.array([[0, 0, 0], [128, 64, 128], [0, 0, 142]], np.uint8)


@pytest.mark.parametrize(
    ("name", "content", "label"),
    [
        (
            "labelmap.txt",
            "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128,64,128::\ncar:0,0,142::\n",
            COLORS[IDS],
        ),
        ("train/_classes.csv", "Pixel Value, Class\n0, background\n1, road\n2, car\n", IDS),
        ("label_colors.txt", "0 0 0\tbackground\n128 64 128\t\troad\n0 0 142  car\n", COLORS[IDS]),
        ("class_names.txt", "_background_\nroad\ncar\n", IDS),
        ("labels.txt", "__ignore__\n_background_\nroad\ncar\n", IDS),
        ("class_dict.csv", "name,r,g,b\nbackground,0,0,0\nroad,128,64,128\ncar,0,0,142\n", COLORS[IDS]),
    ],
)
def test_names_beside_the_masks_are_read(
    tmp_path: Path, name: str, content: str, label: NDArray[np.uint8]
) -> None:
    fill(tmp_path / "set", [label, label])
    (tmp_path / "set" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "set" / name).write_text(content)
    proposal = propose(tmp_path / "set", tmp_path)
    split = resolve(str(proposal.path))
    assert split.classes.names == ("background", "road", "car")
    assert split.samples[0].label is not None
    assert np.array_equal(split.decoder.read(split.samples[0].label), IDS)
    assert not any("no names" in note for note in proposal.found.notes)


def test_palette_masks_are_named_by_their_colors(tmp_path: Path) -> None:
    fill(tmp_path / "set", [IDS])
    image = Image.fromarray(IDS).convert("P")
    image.putdata(IDS.ravel().tolist())
    image.putpalette(COLORS.ravel().tolist())
    image.save(tmp_path / "set/masks/0.png")
    (tmp_path / "set/labelmap.txt").write_text("background:0,0,0::\nroad:128,64,128::\ncar:0,0,142::\n")
    assert explore(tmp_path / "set", "own_lists").meaning.classes == ("background", "road", "car")


def test_names_that_do_not_fit_the_masks_are_not_used(tmp_path: Path) -> None:
    fill(tmp_path / "set", [IDS + 5])
    (tmp_path / "set/_classes.csv").write_text("Pixel Value, Class\n0, background\n1, road\n")
    assert explore(tmp_path / "set", "own_lists").meaning.classes == ("class_5", "class_6", "class_7")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "_annotations.coco.json",
            {"images": [], "annotations": [], "categories": []},
            ("COCO", "pycocotools"),
        ),
        ("via.json", {"0.jpg1": {"regions": [{"region_attributes": {}}]}}, ("VIA", "skimage")),
        ("panoptic.json", {"annotations": [{"segments_info": []}]}, ("COCO panoptic", "panopticapi")),
        ("0.json", {"version": "5.0", "shapes": [], "imagePath": "0.jpg"}, ("LabelMe", "labelme2voc")),
        ("0.jpg.json", {"objects": [{"classTitle": "car", "bitmap": {}}]}, ("Supervisely", "masks")),
    ],
)
def test_annotations_that_are_no_masks_are_named(
    tmp_path: Path, name: str, content: object, words: tuple[str, ...]
) -> None:
    save(tmp_path / "set/0.jpg", pixels(0))
    (tmp_path / "set" / name).write_text(json.dumps(content))
    notes = " | ".join(explore(tmp_path / "set", "own_lists").notes)
    assert name in notes and all(word in notes for word in words)


def test_annotations_in_xml_are_named(tmp_path: Path) -> None:
    save(tmp_path / "set/0.jpg", pixels(0))
    (tmp_path / "set/annotations.xml").write_text("<?xml version='1.0'?>\n<annotations>\n</annotations>")
    (tmp_path / "set/0.xml").write_text("<annotation><object><name>road</name></object></annotation>")
    assert explore(tmp_path / "set", "x").notes == (
        "1 file of Pascal VOC boxes, first 0.xml: only masks are read; boxes say nothing of single "
        "pixels, so that masks must be drawn",
        "1 file of CVAT annotations, first annotations.xml: only masks are read; PNGs of one class id "
        "per pixel are made of them by its export as Segmentation mask",
    )


def test_polygons_of_yolo_are_no_lists(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for index in range(3):
        save(root / f"images/train/{index}.jpg", pixels(index))
        (root / "labels/train").mkdir(parents=True, exist_ok=True)
        (root / f"labels/train/{index}.txt").write_text("0 0.1 0.1 0.5 .5 0.2 1\n" if index else "")
    assert explore(root, "x").notes == (
        "2 files of YOLO polygons or boxes, first labels/train/1.txt: only masks are read; PNGs of one "
        "class id per pixel are made of them by cv2.fillPoly if they are polygons; boxes say nothing of "
        "single pixels",
    )


@pytest.mark.parametrize("folder", ["valid", "val", "validation", "Valid"])
def test_the_exporters_name_of_validation(tmp_path: Path, folder: str) -> None:
    for split, count in (("train", 3), (folder, 2)):
        for index in range(count):
            save(tmp_path / f"set/{split}/{index}.jpg", pixels(index + len(split), 16, 16))
            save(tmp_path / f"set/{split}/{index}_mask.png", IDS)
    counts = {one.name: one.images for one in propose(tmp_path / "set", tmp_path).counts}
    assert counts == {"train": 3, "val": 2}


def test_a_task_of_cvat(tmp_path: Path) -> None:
    root = tmp_path / "task"
    for index in range(3):
        save(root / f"JPEGImages/{index}.jpg", pixels(index, 16, 16))
        save(root / f"SegmentationClass/{index}.png", COLORS[IDS])
        save(root / f"SegmentationObject/{index}.png", COLORS[(IDS + index) % 3] // 2)
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    (root / "ImageSets/Segmentation/default.txt").write_text("0\n1\n2\n")
    (root / "labelmap.txt").write_text("background:0,0,0::\nroad:128,64,128::\ncar:0,0,142::\n")
    proposal = propose(root, tmp_path)
    assert [(one.name, one.images, one.labelled) for one in proposal.counts] == [("train", 3, True)]
    assert proposal.found.meaning.classes == ("background", "road", "car")


def test_masks_of_supervisely_and_labelme(tmp_path: Path) -> None:
    for index in range(3):
        save(tmp_path / f"a/ds/img/{index}.jpg", pixels(index, 16, 16))
        save(tmp_path / f"a/ds/masks_machine/{index}.png", IDS)
        save(tmp_path / f"a/ds/masks_human/{index}.png", COLORS[IDS])
        save(tmp_path / f"b/JPEGImages/{index}.jpg", pixels(index, 16, 16))
        save(tmp_path / f"b/SegmentationClassPNG/{index}.png", IDS)
        save(tmp_path / f"b/SegmentationClassVisualization/{index}.jpg", pixels(index + 9, 16, 16))
    (tmp_path / "b/class_names.txt").write_text("__ignore__\n_background_\nroad\ncar\n")
    (tmp_path / "out").mkdir()
    machine = propose(tmp_path / "a", tmp_path).found
    assert [rule.labels for rule in machine.splits.rules.values()] == ["ds/masks_machine/{stem}.png"]
    labelme = propose(tmp_path / "b", tmp_path / "out")
    assert [(one.name, one.images, one.labelled) for one in labelme.counts] == [("train", 3, True)]
    assert labelme.found.meaning.classes == ("background", "road", "car")
