"""Prediction files: labels, pictures, probabilities and what they mean, equal in however many bands."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segshift.data.labels import ClassSet
from segshift.engine.prediction import Outputs, Predictor, label_ids_of
from segshift.errors import InputError
from segshift.evaluation.sidecar import SIDECAR, read_sidecar
from segshift.models import Inference, inference
from segshift.pictures import colorize, overlay
from tests.models.networks import CLASSES, tiny


@pytest.fixture
def image(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (45, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def predict(folder: Path, image: Path, **settings: Any) -> dict[str, Path]:
    predictor = Predictor(tiny(input_size=(48, 32)), "m", folder, **settings)
    predictor.begin(["sub/a"])
    files = predictor.predict("sub/a", predictor.read(image))
    assert predictor.write_legend().is_file()
    return files


EVERYTHING = Outputs(color=True, probabilities=True)


@pytest.mark.parametrize(
    "how",
    [Inference(), Inference(input_size="native", window=(32, 32)), Inference(scales=(1, 0.5), flip=True)],
)
def test_every_file_holds_what_it_says(
    image: Path, tmp_path: Path, how: Inference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "_WHOLE_VALUES", 0)
    monkeypatch.setattr(inference, "_BAND_VALUES", 7 * 4 * 70)
    files = predict(tmp_path / "out", image, inference=how, outputs=EVERYTHING)
    assert {kind: path.name for kind, path in files.items()} == {
        "label": "a_label.png",
        "overlay": "a_overlay.png",
        "color": "a_color.png",
        "confidence": "a_confidence.png",
        "probabilities": "a_probabilities.npz",
    }
    assert all(path.parent == tmp_path / "out" / "sub" for path in files.values())
    monkeypatch.undo()
    pixels, segmenter = np.array(Image.open(image)), tiny(input_size=(48, 32)).eval()
    expected = segmenter.predict(pixels, how)
    label = np.array(Image.open(files["label"]))
    assert label.dtype == np.uint8 and (label == expected).mean() > 0.999 and len(np.unique(label)) > 1
    np.testing.assert_array_equal(np.array(Image.open(files["color"])), colorize(label, CLASSES))
    np.testing.assert_array_equal(np.array(Image.open(files["overlay"])), overlay(pixels, label, CLASSES))
    with np.load(files["probabilities"]) as saved:
        probabilities = saved["probabilities"]
        assert tuple(saved["classes"]) == CLASSES.names
    assert probabilities.shape == (45, 70, 4) and probabilities.dtype == np.float16
    np.testing.assert_allclose(probabilities.astype(float).sum(-1), 1, atol=2e-3)
    assert (probabilities.argmax(-1) == label).mean() > 0.99
    confidence = np.array(Image.open(files["confidence"]))
    np.testing.assert_allclose(confidence / 255, probabilities.max(-1).astype(float), atol=4e-3)


def test_only_what_is_asked_for_is_written(image: Path, tmp_path: Path) -> None:
    predict(tmp_path / "out", image, outputs=Outputs(overlay=False))
    written = sorted(
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")
    )
    assert written == ["legend.png", SIDECAR, "sub/a_label.png"]
    sidecar = read_sidecar(tmp_path / "out")
    assert sidecar is not None and sidecar.ids == "train_ids" and sidecar.names == CLASSES.names
    assert sidecar.upright and sidecar.model == "m"


@pytest.mark.parametrize(("values", "kind"), [((7, 26, 23, 24), np.uint8), ((7, 260, 23, 24), np.uint16)])
def test_label_ids_of_a_data_set(image: Path, tmp_path: Path, values: tuple[int, ...], kind: type) -> None:
    road, car, sky, person = values
    (tmp_path / "d.yaml").write_text(
        "name: d\nsplits: {val: {images: '*.png'}}\nclasses: [person, car, sky, road, dog]\n"
        f"labels: {{kind: ids, map: {{{road}: road, 99: road, {car}: car, {sky}: sky, {person}: person, "
        "5: dog}}\n"
    )
    files = predict(tmp_path / "out", image, outputs=Outputs(ids=str(tmp_path / "d.yaml")))
    label = np.array(Image.open(files["label"]))
    train_ids = np.array(Image.open(predict(tmp_path / "plain", image)["label"]))
    assert label.dtype == kind
    np.testing.assert_array_equal(label, np.array(values)[train_ids])
    data = json.loads((tmp_path / "out" / SIDECAR).read_text())
    assert data["ids"] == "label_ids" and list(data["classes"].items()) == list(
        zip(CLASSES.names, values, strict=True)
    )


def test_label_ids_that_cannot_be_had(tmp_path: Path) -> None:
    assert label_ids_of("cityscapes", CLASSES) == {"road": 7, "car": 26, "sky": 23, "person": 24}
    assert label_ids_of("city:game", CLASSES)["sky"] == 10
    with pytest.raises(InputError, match="is no data set"):
        label_ids_of("citiscapes", CLASSES)
    with pytest.raises(InputError, match="labels are colors, not ids; use train_ids and --color"):
        label_ids_of(_colored(tmp_path), CLASSES)
    dog = ClassSet("dogs", ("dog", "sky"), ((0, 0, 0), (1, 1, 1)))
    with pytest.raises(InputError, match="has no ids for dog of the network's classes"):
        label_ids_of("cityscapes", dog)


def _colored(folder: Path) -> str:
    (folder / "c.yaml").write_text(
        "name: c\nsplits: {val: {images: '*.png'}}\nclasses: [sky]\n"
        "labels: {kind: rgb, map: {'1,2,3': sky}}\n"
    )
    return str(folder / "c.yaml")


def test_names_that_are_too_long_are_said_before_the_work(tmp_path: Path) -> None:
    predictor = Predictor(tiny(), "m", tmp_path / "out")
    with pytest.raises(InputError, match="the name of this result is too long; rename the image"):
        predictor.begin(["a", "b" * 249])
    assert not (tmp_path / "out").exists()


def test_a_folder_holds_predictions_of_one_meaning(image: Path, tmp_path: Path) -> None:
    predict(tmp_path / "out", image)
    predict(tmp_path / "out", image)
    with pytest.raises(InputError, match="holds predictions of other classes or ids"):
        predict(tmp_path / "out", image, outputs=Outputs(ids="cityscapes"))
