"""Miniature trees of the catalogue's data sets in their exact on-disk format, made from the procedural city.

Names, folders, bit depths, palettes and list files are those of the downloads; only the pictures are small
and few.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segshift.city import render
from tests.data.miniature_values import (
    CAMVID_CITY,
    CAMVID_IDS,
    CITY,
    IDD_CITY,
    IDD_LEVEL1,
    LABEL_IDS,
    ROBOTCAR,
    ROBOTCAR_CITY,
    SYNTHIA,
    camvid_colors,
    ids_of,
    train_ids_of,
    vistas_ids,
)

SIZE = (96, 64)
_BLOCK_PX = 4
Files = Mapping[str, Sequence[tuple[str, str | None]]]


def write_grey(path: Path, raw: NDArray[np.int64]) -> None:
    """8-bit single-channel PNG."""
    Image.fromarray(raw.astype(np.uint8)).save(path)


def write_palette(path: Path, raw: NDArray[np.int64]) -> None:
    """Palette PNG: the index is the id, and the color of every index is another one."""
    image = Image.fromarray(raw.astype(np.uint8), mode="P")
    image.putpalette([channel for index in range(256) for channel in (255 - index, index * 7 % 256, index)])
    image.save(path)


def write_colors(path: Path, raw: NDArray[np.int64]) -> None:
    """8-bit RGB PNG of colors coded as R * 65536 + G * 256 + B."""
    Image.fromarray(np.stack([raw >> 16, raw >> 8 & 255, raw & 255], -1).astype(np.uint8)).save(path)


def write_synthia(path: Path, raw: NDArray[np.int64]) -> None:
    """16-bit three-channel PNG: class, instance, zero; written by OpenCV, whose channels are B, G, R."""
    instance = np.arange(raw.size).reshape(raw.shape) % 977
    assert cv2.imwrite(str(path), np.stack([raw * 0, instance, raw], -1).astype(np.uint16))


@dataclass(frozen=True)
class Miniature:
    """How one data set lies on disk.

    `values` says which class every raw value of its label files is (None: none), `city` which class of the
    set the city's classes are where their names differ, `files` gives each split's (image, label) paths, and
    `texts` its further files.
    """

    values: Mapping[int, str | None]
    files: Files
    city: Mapping[str, str] = field(default_factory=dict)
    write: Callable[[Path, NDArray[Any]], None] = write_grey
    texts: Mapping[str, str] = field(default_factory=dict)
    mixed_sizes: bool = False

    def raw_label(self, city_label: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The city's train ids as this set's raw values, with a block of every value in the top rows."""
        void = next(value for value, name in self.values.items() if name is None)
        raw = np.full(city_label.shape, void, np.int64)
        for train_id, name in enumerate(CITY):
            wanted = self.city.get(name, name)
            found = [value for value, one in self.values.items() if one == wanted]
            raw[city_label == train_id] = found[0] if found else void
        per_row = city_label.shape[1] // _BLOCK_PX
        for index, value in enumerate(self.values):
            y, x = index // per_row * _BLOCK_PX, index % per_row * _BLOCK_PX
            raw[y : y + _BLOCK_PX, x : x + _BLOCK_PX] = value
        return raw

    def expected(self, raw: NDArray[np.int64], names: Sequence[str]) -> NDArray[np.uint8]:
        """The train ids that a reader must make of raw values, for the classes `names`."""
        label = np.full(raw.shape, 255, np.uint8)
        for value, name in self.values.items():
            if name is not None:
                label[raw == value] = list(names).index(name)
        return label


@dataclass(frozen=True)
class Written:
    """One image on disk, its label file if it has one, and the raw values in there."""

    image: Path
    label: Path | None
    raw: NDArray[np.int64] | None


def _pairs(image: str, label: str | None, stems: Sequence[str]) -> list[tuple[str, str | None]]:
    return [(image.format(stem), None if label is None else label.format(stem)) for stem in stems]


def _cityscapes(suffix: str) -> Files:
    def split(name: str, stems: Sequence[str], labelled: bool = True) -> list[tuple[str, str | None]]:
        label = f"gtFine/{name}/{{0}}_gtFine_{suffix}.png" if labelled else None
        return _pairs(f"leftImg8bit/{name}/{{0}}_leftImg8bit.png", label, stems)

    return {
        "train": split("train", ["aachen/aachen_000000_000019", "zurich/zurich_000121_000019"]),
        "val": split("val", ["frankfurt/frankfurt_000000_000294", "munster/munster_000173_000019"]),
        "test": split("test", ["berlin/berlin_000000_000019"], labelled=False),
    }


def _cross_city(city: str) -> Miniature:
    without = {"wall", "fence", "pole", "terrain", "truck", "train"}
    images, labels = f"{city}/Images", f"{city}/Labels/Test/{{0}}_eval.png"
    files = {
        "train": _pairs(f"{images}/Train/{{0}}.jpg", None, ["pano_00002_2_180", "pano_00003_1_0"]),
        "val": _pairs(f"{images}/Test/{{0}}.png", labels, ["pano_00058_1_180", "pano_00121_0_0"]),
    }
    return Miniature(ids_of(LABEL_IDS[:34], [name for name in CITY if name not in without]), files)


def _camvid(image: str, label: str) -> Files:
    stems = {
        "train": ["0001TP_006690", "0006R0_f00930"],
        "val": ["0016E5_07959", "0016E5_07961"],
        "test": ["0001TP_008550", "Seq05VD_f00000"],
    }
    return {
        split: [(image.format(split, stem), label.format(split, stem)) for stem in names]
        for split, names in stems.items()
    }


def _camvid_own() -> Miniature:
    files = dict(_camvid("images/{0}/{1}.jpg", "labels/{0}/{1}.png"))
    for split in ("train", "test"):
        files[f"dusk_{split}"], files[f"day_{split}"] = files[split][:1], files[split][1:]
    files["day_val"] = files["val"]
    texts = {
        f"splits/{split}.txt": "".join(
            f"{image.removeprefix('images/').removesuffix('.jpg')}\n" for image, _ in pairs
        )
        for split, pairs in files.items()
    }
    return Miniature(train_ids_of(CAMVID_IDS, void=11), files, CAMVID_CITY, texts=texts)


def _camvid_960() -> Miniature:
    files = _camvid("701_StillsRaw_full/{1}.png", "LabeledApproved_full/{1}_L.png")
    # Short lists in the root go before the full ones that come with the package.
    texts = {
        f"lists/camvid_{split}.txt": "".join(f"{Path(image).stem}\n" for image, _ in pairs)
        for split, pairs in files.items()
    }
    return Miniature(camvid_colors(), files, CAMVID_CITY, write_colors, texts)


def _bdd100k(images: str, labels: str) -> Miniature:
    stems = {
        "train": ["0a0a0b1a-7c39d841", "0a0b16e1-93f8c456"],
        "val": ["7d2f7975-e0c1c5a7", "7d4a9094-0455564b"],
        "test": ["ac6d4f42-00000000"],
    }
    files = {
        split: _pairs(images.format(split), None if split == "test" else labels.format(split), names)
        for split, names in stems.items()
    }
    return Miniature(train_ids_of(CITY), files)


def _idd(values: Mapping[int, str | None], suffix: str, city: Mapping[str, str] | None = None) -> Miniature:
    files = {}
    stems = {"train": ("0/005506", "201/frame0029"), "val": ("119/907205", "230/frame4137")}
    for split, (part_1, part_2) in stems.items():
        label = f"gtFine/{split}/{{0}}_gtFine_{suffix}.png"
        files[split] = [
            *_pairs(f"leftImg8bit/{split}/{{0}}_leftImg8bit.png", label, [part_1]),
            *_pairs(f"leftImg8bit/{split}/{{0}}_leftImg8bit.jpg", label, [part_2]),
        ]
    files["test"] = _pairs("leftImg8bit/test/{0}_leftImg8bit.png", None, ["103/000156"])
    return Miniature(values, files, city or {}, mixed_sizes=True)


def _mapillary() -> Miniature:
    train = ["--BBtZOx8GDjHtUmcb3vqg", "_0bZ3UeOQqQ4kQmZBq1x8w"]
    val = ["-2mhbAyAmf6HSBjbR9ZFpw", "0-7eKJpKVYmEKMYXy1kg2w"]
    files = {
        "train": _pairs("training/images/{0}.jpg", "training/labels/{0}.png", train),
        "val": _pairs("validation/images/{0}.jpg", "validation/labels/{0}.png", val),
        "test": _pairs("testing/images/{0}.jpg", None, ["-JOGcbDPqvZtvPzHxhk5Ng"]),
    }
    return Miniature(vistas_ids(), files, write=write_palette, mixed_sizes=True)


def _acdc() -> Miniature:
    sequences = {"fog": "GOPR0475", "night": "GOPR0351", "rain": "GOPR0400", "snow": "GOPR0122"}
    files: dict[str, list[tuple[str, str | None]]] = defaultdict(list)
    for condition, sequence in sequences.items():
        for split, frame in (("train", "000041"), ("val", "000154")):
            stem = f"{condition}/{split}/{sequence}/{sequence}_frame_{frame}"
            pair = _pairs("rgb_anon/{0}_rgb_anon.png", "gt/{0}_gt_labelTrainIds.png", [stem])
            files[f"{condition}_{split}"] = pair
            files[split] += pair
        stem = f"{sequence}/{sequence}_frame_000041"
        files["test"] += _pairs(f"rgb_anon/{condition}/test/{{0}}_rgb_anon.png", None, [stem])
        files["train_reference"] += _pairs(
            f"rgb_anon/{condition}/train_ref/{{0}}_rgb_ref_anon.png", None, [stem]
        )
    return Miniature(train_ids_of(CITY), files)


def _dark_zurich() -> Miniature:
    def unlabelled(time: str, sequence: str) -> list[tuple[str, str | None]]:
        stems = [f"{sequence}/{sequence}_frame_{frame}" for frame in ("000001", "000159")]
        return _pairs(f"rgb_anon/train/{time}/{{0}}_rgb_anon.png", None, stems)

    val = [f"GOPR0356/GOPR0356_frame_{frame}" for frame in ("000321", "000324")]
    files = {
        "train": unlabelled("night", "GOPR0351"),
        "train_twilight": unlabelled("twilight", "GOPR0347"),
        "train_day": unlabelled("day", "GOPR0345"),
        "val": _pairs("rgb_anon/val/night/{0}_rgb_anon.png", "gt/val/night/{0}_gt_labelTrainIds.png", val),
    }
    return Miniature(train_ids_of(CITY), files)


def _robotcar() -> Miniature:
    train = ["2014-12-05-11-09-10_01/000000", "2015-05-29-09-36-29_01/000000"]
    val = ["2014-11-25-09-18-32_01_000038", "2015-10-29-12-18-17_07_000000"]
    files = {
        "train": _pairs("train/{0}.png", None, train),
        "val": _pairs("val/{0}.png", "anno/{0}.png", val),
    }
    return Miniature(ROBOTCAR, files, ROBOTCAR_CITY)


def _kitti() -> Miniature:
    files = {
        "train": _pairs("training/image_2/{0}.png", "training/semantic/{0}.png", ["000000_10", "000199_10"]),
        "test": _pairs("testing/image_2/{0}.png", None, ["000000_10"]),
    }
    return Miniature(ids_of(LABEL_IDS[:34], CITY), files)


MINIATURES: Mapping[str, Miniature] = {
    "gta5": Miniature(
        ids_of(LABEL_IDS, CITY),
        {"train": _pairs("images/{0}.png", "labels/{0}.png", ["00001", "00002", "24966"])},
        write=write_palette,
    ),
    "synthia": Miniature(
        ids_of(SYNTHIA, [name for name in CITY if name not in {"terrain", "truck", "train"}]),
        {"train": _pairs("RGB/{0}.png", "GT/LABELS/{0}.png", ["0000000", "0000001", "0009399"])},
        write=write_synthia,
    ),
    "cityscapes": Miniature(ids_of(LABEL_IDS[:34], CITY), _cityscapes("labelIds")),
    "cityscapes_train_ids": Miniature(train_ids_of(CITY), _cityscapes("labelTrainIds")),
    "cross_city_rome": _cross_city("Rome"),
    "cross_city_rio": _cross_city("Rio"),
    "cross_city_tokyo": _cross_city("Tokyo"),
    "cross_city_taipei": _cross_city("Taipei"),
    "robotcar": _robotcar(),
    "camvid": _camvid_own(),
    "camvid_segnet": Miniature(
        train_ids_of(CAMVID_IDS, void=11), _camvid("{0}/{1}.png", "{0}annot/{1}.png"), CAMVID_CITY
    ),
    "camvid_960": _camvid_960(),
    "bdd100k": _bdd100k("images/10k/{0}/{{0}}.jpg", "labels/sem_seg/masks/{0}/{{0}}.png"),
    "bdd100k_2018": _bdd100k("seg/images/{0}/{{0}}.jpg", "seg/labels/{0}/{{0}}_train_id.png"),
    "kitti": _kitti(),
    "idd": _idd(train_ids_of(CITY), "labelcsTrainIds"),
    "idd_level1": _idd(train_ids_of(IDD_LEVEL1), "labellevel1Ids", IDD_CITY),
    "mapillary": _mapillary(),
    "acdc": _acdc(),
    "dark_zurich": _dark_zurich(),
}


@lru_cache(maxsize=8)
def _scene(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    scene = render("overcast", seed, SIZE)
    return scene.image, scene.label


def build(name: str, root: Path) -> dict[str, list[Written]]:
    """Write the miniature tree of a catalogue entry below `root`; what was written, by split."""
    miniature = MINIATURES[name]
    for path, text in miniature.texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    paths = sorted({pair for pairs in miniature.files.values() for pair in pairs}, key=str)
    written = {}
    for index, (image_path, label_path) in enumerate(paths):
        scene, city_label = _scene(index % 4)
        # Equal pictures would be a finding of the check.
        image = scene.copy()
        image[:8, :8] = 9 * index % 256
        if miniature.mixed_sizes and index % 2:
            image, city_label = image[:-6, :-8], city_label[:-6, :-8]
        target = root / image_path
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(target, **({"quality": 92} if target.suffix == ".jpg" else {}))
        raw = None
        if label_path is not None:
            raw = miniature.raw_label(city_label)
            (root / label_path).parent.mkdir(parents=True, exist_ok=True)
            miniature.write(root / label_path, raw)
        written[image_path] = Written(target, None if label_path is None else root / label_path, raw)
    return {split: [written[image] for image, _ in pairs] for split, pairs in miniature.files.items()}
