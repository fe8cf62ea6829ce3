"""`evaluate` and `predict` against torchmetrics and the Python interface."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.classification import MulticlassJaccardIndex

import segshift as package
from tests.cli.conftest import Segshift


def reference_iou(run: Path, dataset: Path, split: str) -> list[float]:
    """IoU per class by torchmetrics, from what `predict` gives for the files; NaN for absent classes."""
    segmenter = package.load(run)
    metric = MulticlassJaccardIndex(num_classes=3, average="none", ignore_index=255)
    for image in sorted((dataset.parent / "images" / split).glob("*.png")):
        label = np.array(Image.open(dataset.parent / "labels" / split / image.name))
        metric.update(
            torch.from_numpy(segmenter.predict(image).astype(np.int64))[None],
            torch.from_numpy(label.astype(np.int64))[None],
        )
    return [float(value) for value in metric.compute()]


@pytest.mark.parametrize("split", ["val", "train"])
def test_evaluate_equals_torchmetrics(
    segshift: Segshift, trained: Path, toy_target: Path, split: str
) -> None:
    data = segshift("evaluate", trained, "--data", f"{toy_target}:{split}", "--json").json()
    expected = reference_iou(trained, toy_target, split)
    assert list(data["iou"]) == ["sky", "ground", "box"] and data["images"] == 6
    for measured, known in zip(data["iou"].values(), expected, strict=True):
        assert measured == pytest.approx(known, abs=1e-6)
    assert data["miou"] == pytest.approx(sum(expected) / 3, abs=1e-6)
    # A score that could not have come about by predicting one class.
    assert min(expected) > 0.02 and not math.isnan(data["pixel_accuracy"])


def test_evaluate_agrees_with_what_training_reported(
    segshift: Segshift, trained: Path, toy_target: Path
) -> None:
    reported = json.loads((trained / "results.json").read_text())["evaluation"]
    data = segshift("evaluate", trained / "model.safetensors", "--data", toy_target, "--json").json()
    assert {key: data[key] for key in reported} == reported


def test_evaluate_prints_a_table(segshift: Segshift, trained: Path, toy_target: Path) -> None:
    outcome = segshift("evaluate", trained, "--data", toy_target)
    assert outcome.status == 0
    data = segshift("evaluate", trained, "--data", toy_target, "--json").json()
    for name in ("sky", "ground", "box"):
        assert name in outcome.out
    assert f"{100 * data['miou']:.1f}" in outcome.out


@pytest.mark.parametrize(
    "options", [("--flip",), ("--scales", "0.75,1"), ("--window", "32x32"), ("--size", "56x40")]
)
def test_options_of_evaluate_reach_it(
    segshift: Segshift, trained: Path, toy_target: Path, options: tuple[str, ...]
) -> None:
    plain = segshift("evaluate", trained, "--data", toy_target, "--json").json()
    changed = segshift("evaluate", trained, "--data", toy_target, "--json", *options).json()
    assert changed["iou"] != plain["iou"]
    assert 0 <= changed["miou"] <= 1


def test_predict_labels_a_file_and_a_folder(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    images = sorted((toy_target.parent / "images" / "val").glob("*.png"))
    Image.open(images[0]).save(tmp_path / "photos" / "one.jpg", quality=90)
    Image.open(images[1]).resize((75, 33)).save(tmp_path / "photos" / "sub" / "one.png")
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    out = tmp_path / "out"
    data = segshift("predict", trained, images[2], tmp_path / "photos", "--out", out, "--json").json()
    segmenter = package.load(trained)
    sources = {
        images[2].stem: images[2],
        "one": tmp_path / "photos" / "one.jpg",
        "sub/one": tmp_path / "photos" / "sub" / "one.png",
    }
    for name, source in sources.items():
        label = np.array(Image.open(out / f"{name}_label.png"))
        assert label.dtype == np.uint8 and np.array_equal(label, segmenter.predict(source)), name
        with Image.open(out / f"{name}_overlay.png") as overlay:
            assert overlay.mode == "RGB" and overlay.size == label.shape[::-1]
            pixels = np.array(overlay)
        assert not np.array_equal(pixels, np.array(Image.open(source).convert("RGB")))
    assert (out / "legend.png").is_file()
    assert sorted(path.name for path in out.rglob("*.png")) == sorted(
        [f"{Path(name).name}_{kind}.png" for name in sources for kind in ("label", "overlay")]
        + ["legend.png"]
    )
    assert data["legend"] == str(out / "legend.png")
    assert {entry["image"]: entry["label"] for entry in data["predictions"]} == {
        str(source): str(out / f"{name}_label.png") for name, source in sources.items()
    }


def test_predict_says_what_it_did(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path
) -> None:
    outcome = segshift("predict", trained, toy_target.parent / "images" / "val", "--out", tmp_path / "out")
    assert outcome.status == 0 and f"6 images labelled in {tmp_path / 'out'}" in outcome.out


def test_predict_looks_at_all_images_before_the_first(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    source = Image.open(next((toy_target.parent / "images" / "val").glob("*.png")))
    exif = Image.Exif()
    exif[0x0112] = 6
    source.save(photos / "turned.png", exif=exif)
    source.convert("RGBA").save(photos / "opaque.png")
    Image.new("RGBA", (8, 8)).save(photos / "zz_clear.png")
    (photos / "._turned.png").write_bytes(b"macOS")
    refused = segshift("predict", trained, photos, "--out", out)
    assert refused.status == 2 and "zz_clear.png" in refused.err and "--skip-bad" in refused.err
    assert not list(out.rglob("*_label.png"))
    outcome = segshift("predict", trained, photos, "--out", out, "--skip-bad")
    assert outcome.status == 0 and "2 images labelled" in outcome.out
    assert "1 of 3 images are converted to 8-bit RGB (1 RGBA)" in outcome.err
    assert "1 image is turned upright" in outcome.err and "left out: " in outcome.err
    assert Image.open(out / "turned_label.png").size == source.size[::-1]


def test_predict_goes_on_behind_a_damaged_image(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    source = next((toy_target.parent / "images" / "val").glob("*.png")).read_bytes()
    (photos / "a.png").write_bytes(source[: len(source) // 2])
    (photos / "b.png").write_bytes(source)
    outcome = segshift("predict", trained, photos, "--out", out)
    assert (
        outcome.status == 2 and "1 of 2 images are left out, first" in outcome.err and "a.png" in outcome.err
    )
    assert [path.name for path in out.rglob("*_label.png")] == ["b_label.png"]
    assert segshift("predict", trained, photos, "--out", out, "--skip-bad").status == 0


def test_predict_takes_a_data_set_and_the_options_of_evaluate(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path
) -> None:
    options = ("--scales", "0.75,1", "--flip", "--window", "32x32", "--stride", "20x20", "--size", "native")
    out = tmp_path / "out"
    data = segshift("predict", trained, f"{toy_target}:val", "--out", out, "--json", *options).json()
    assert len(data["predictions"]) == 6 and {*data["predictions"][0]} == {"image", "label", "overlay"}
    direct = segshift("evaluate", trained, "--data", toy_target, "--json", *options).json()
    by_files = segshift("evaluate", "--predictions", out, "--data", toy_target, "--json").json()
    assert by_files["iou"] == pytest.approx(direct["iou"], abs=1e-6)
    plain = segshift("evaluate", trained, "--data", toy_target, "--json").json()
    assert plain["iou"] != direct["iou"]
    # Values are the data set's own, and the sidecar says so.
    ids = ("--ids", toy_target, "--color", "--no-overlay", "--device", "cpu", "--probabilities")
    data = segshift("predict", trained, toy_target, "--out", tmp_path / "ids", "--json", *ids).json()
    assert {*data["predictions"][0]} == {"image", "label", "color", "confidence", "probabilities"}
    by_files = segshift("evaluate", "--predictions", tmp_path / "ids", "--data", toy_target, "--json").json()
    assert by_files["miou"] == pytest.approx(plain["miou"], abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone"], "gone: no such file or folder"),
        (["DATA:vall"], "vall"),
        (["DATA:val", "IMAGES"], "is a data set"),
        (["DATA:val", "DATA:val"], "would both be written as"),
        (["IMAGES", "--size", "9"], "--size 9: write it as WIDTHxHEIGHT, for example 1024x512 or native"),
        (["IMAGES", "--scales", "0"], "--scales 0: write positive numbers"),
        (["IMAGES", "--stride", "9x9"], "give --window as well"),
        (["IMAGES", "--device", "warp"], "--device warp: "),
        (["IMAGES", "--ids", "nothing"], "'nothing' is no data set"),
    ],
)
def test_predict_refuses_in_one_line(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    places = {"DATA": str(toy_target), "IMAGES": str(toy_target.parent / "images" / "val")}
    words = [
        places.get(word.partition(":")[0], word.partition(":")[0]) + word[len(word.partition(":")[0]) :]
        for word in arguments
    ]
    assert message in segshift("predict", trained, *words, "--out", tmp_path / "out").refusal()
    assert not list((tmp_path / "out").rglob("*_label.png"))
