"""`predict` on one image, on many, on floats, with probabilities; and networks that trace."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segshift.errors import InputError
from segshift.models import Inference, Prediction, Segmenter, SegmenterConfig, load
from segshift.pictures import colorize, overlay

from .networks import CLASSES, tiny


def picture(height: int = 40, width: int = 56, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_lists_and_batches_give_what_single_images_give(tmp_path: Path) -> None:
    segmenter = tiny()
    Image.fromarray(picture(seed=1)).save(tmp_path / "a.png")
    mixed: list[Any] = [
        picture(),
        tmp_path / "a.png",
        torch.from_numpy(picture(seed=2)).permute(2, 0, 1) / 255,
        Image.fromarray(picture(32, 24)),
        Image.fromarray(picture()[..., 0]),
    ]
    single = [segmenter.predict(one) for one in mixed]
    for size in (1, 3):
        several = segmenter.predict(mixed, batch_size=size)
        assert [one.shape for one in several] == [(40, 56)] * 3 + [(24 + 8, 24), (40, 56)]
        for got, expected in zip(several, single, strict=True):
            assert got.dtype == np.uint8 and (got == expected).mean() > 0.999
    stacked = np.stack([picture(seed=seed) for seed in range(3)])
    for batch in (stacked, torch.from_numpy(stacked).permute(0, 3, 1, 2), stacked / 255.0):
        several = segmenter.predict(batch)
        assert len(several) == 3
        assert all(
            (got == segmenter.predict(one)).mean() > 0.999 for got, one in zip(several, stacked, strict=True)
        )
    assert segmenter.predict([]) == []
    drawn = segmenter.predict(picture(seed=seed) for seed in range(3))
    assert all((got == one).all() for got, one in zip(drawn, segmenter.predict(stacked), strict=True))


def test_what_is_no_image_or_no_device_says_what_to_give(tmp_path: Path) -> None:
    segmenter = tiny()
    transparent = np.dstack([picture(), picture()[..., 0]])
    deep = Image.fromarray(np.zeros((40, 56), np.uint16))
    refused: list[tuple[Any, dict[str, Any], str]] = [
        (tmp_path, {}, "is a folder; give its images"),
        (Image.fromarray(transparent), {}, r"mode RGBA; use image.convert\('RGB'\)"),
        (deep, {}, "mode I;16; give its file"),
        (picture(), {"device": "cuda:77"}, "device cuda:77: .*; use cpu or a GPU you have"),
        (picture(), {"device": "gpu"}, "device gpu: "),
        (picture(), {"batch_size": 0}, "batch_size = 0; give 1 or more"),
    ]
    for image, options, message in refused:
        with pytest.raises(InputError, match=message):
            segmenter.predict(image, **options)
    segmenter.save(tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="device cuda:77: "):
        load(tmp_path / "model.safetensors", device="cuda:77")


def test_an_opaque_alpha_channel_is_no_obstacle() -> None:
    segmenter, image = tiny(), Image.fromarray(picture())
    assert (segmenter.predict(image.convert("RGBA")) == segmenter.predict(image)).all()


def test_half_precision_predicts_nearly_the_same() -> None:
    segmenter = tiny()
    single = segmenter.predict(picture(), probabilities=True).probabilities
    half = segmenter.half().predict(picture(), probabilities=True).probabilities
    np.testing.assert_allclose(half, single, atol=5e-3)


def test_a_prediction_shows_what_was_found() -> None:
    ids = np.array([[0, 1, 1, 1]], np.uint8)
    shown = Prediction(picture(1, 4), ids, np.zeros((4, 1, 4), np.float32), CLASSES)
    assert repr(shown) == "Prediction(4 x 1 px: car 75%, road 25%)"


def test_a_segmenter_is_made_of_plain_keys_and_names() -> None:
    small = {"backbone": "segshift_tiny", "weights": "none", "output_stride": 8}
    assert Segmenter(small, ["sky", "ground"]).class_names == ("sky", "ground")
    assert Segmenter(small, "camvid11").classes.count == 11
    with pytest.raises(InputError, match="unknown key `backbon`; did you mean `backbone`"):
        Segmenter({"backbon": "resnet18"}, ["sky"])


def test_floats_are_what_their_bytes_are() -> None:
    segmenter, array = tiny(), picture()
    expected = segmenter.predict(array)
    for kind in (np.float32, np.float64):
        np.testing.assert_array_equal(segmenter.predict((array / 255).astype(kind)), expected)
    tensor = torch.from_numpy(array).permute(2, 0, 1).float() / 255
    np.testing.assert_array_equal(segmenter.predict(tensor), expected)


def test_a_prediction_with_everything() -> None:
    segmenter, array = tiny(input_size=(48, 32)), picture()
    how = Inference(scales=(0.5, 1.0), flip=True)
    for image in (array, array / 255.0):
        found = segmenter.predict(image, how, probabilities=True, device="cpu")
        assert isinstance(found, Prediction)
        np.testing.assert_array_equal(found.image, array)
        np.testing.assert_array_equal(found.ids, segmenter.predict(image, how))
        assert found.probabilities.shape == (4, 40, 56) and found.probabilities.dtype == np.float32
        np.testing.assert_allclose(found.probabilities.sum(0), 1, atol=1e-5)
        np.testing.assert_array_equal(found.probabilities.argmax(0), found.ids)
        np.testing.assert_array_equal(found.confidence, found.probabilities.max(0))
        np.testing.assert_array_equal(found.color, colorize(found.ids, CLASSES))
        np.testing.assert_array_equal(found.overlay(0.3), overlay(array, found.ids, CLASSES, 0.3))
    several = segmenter.predict([array, picture(24, 32)], probabilities=True)
    assert [one.ids.shape for one in several] == [(40, 56), (24, 32)]
    assert segmenter.training, "the mode is as before"


@pytest.mark.parametrize(
    "config",
    [
        SegmenterConfig(backbone="segshift_tiny", weights="none", auxiliary_head=True),
        SegmenterConfig(backbone="resnet18", weights="none", output_stride=16, classifiers=2),
    ],
    ids=lambda config: str(config.backbone),
)
def test_torch_export_gives_the_same_numbers(config: SegmenterConfig) -> None:
    torch.manual_seed(0)
    segmenter = Segmenter(config, CLASSES).eval()
    images = torch.rand(1, 3, 64, 96)
    exported = torch.export.export(segmenter, (images,), strict=False).module()
    with torch.inference_mode():
        output, expected = exported(images), segmenter(images)
    assert type(output).__name__ == "SegmenterOutput"
    torch.testing.assert_close(output.logits, expected.logits)
    torch.testing.assert_close(output.features, expected.features)
    assert (output.auxiliary_logits is None) == (not config.auxiliary_head)
