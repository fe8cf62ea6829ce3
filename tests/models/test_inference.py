"""Sliding windows, scales, flips and bands of rows against whole images and loops over their definition."""

from typing import Any

import pytest
import torch
from torch import Tensor

from segshift.config import parse
from segshift.errors import InputError
from segshift.models import Inference, Segmenter, inference, resize_images, upsample

from .networks import pixelwise, tiny


def images(count: int = 2, height: int = 45, width: int = 70) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def probabilities(network: Segmenter, x: Tensor, size: tuple[int, int], **settings: Any) -> Tensor:
    return parse(Inference, settings, "test").probabilities([network], x, size)


@pytest.mark.parametrize(
    ("window", "stride"),
    [
        ((16, 16), None),
        ((70, 45), None),
        ((33, 20), (5, 20)),
        ((200, 100), None),
        ((16, 100), (16, 100)),
        ((1, 1), None),
    ],
)
@torch.inference_mode()
def test_windows_cannot_matter_to_a_pixelwise_network(window: tuple[int, int], stride: Any) -> None:
    segmenter, x = pixelwise(), images(1, 12, 19) if window == (1, 1) else images()
    size = (x.shape[-2], x.shape[-1])
    expected = segmenter(segmenter.normalize(x)).logits.softmax(1)
    result = probabilities(segmenter, x, size, window=window, stride=stride)
    torch.testing.assert_close(result, expected)


@torch.inference_mode()
def test_overlaps_are_averaged_as_probabilities() -> None:
    segmenter, x = tiny().eval(), images(1, 32, 56)
    result = probabilities(segmenter, x, (32, 56), window=(32, 32), stride=(16, 32))
    total, count = torch.zeros(1, 4, 32, 56), torch.zeros(56)
    for left in (0, 16, 24):  # the last window moves back to end with the image
        output = segmenter(segmenter.normalize(x[..., left : left + 32]))
        total[..., left : left + 32] += upsample(output.logits, (32, 32)).softmax(1)
        count[left : left + 32] += 1
    torch.testing.assert_close(result, total / count)
    torch.testing.assert_close(result.sum(1), torch.ones(1, 32, 56))


@torch.inference_mode()
def test_an_image_smaller_than_the_window_is_one_window() -> None:
    segmenter, x = tiny().eval(), images(1, 24, 32)
    result = probabilities(segmenter, x, (24, 32), window=(64, 64))
    torch.testing.assert_close(result, segmenter.predict_probabilities(x, (24, 32)))


@torch.inference_mode()
def test_sliding_at_another_size_than_the_images() -> None:
    segmenter, x = tiny().eval(), images(1, 32, 48)
    small = probabilities(segmenter, x, (32, 48), window=(32, 32))
    large = probabilities(segmenter, x, (64, 96), window=(32, 32))
    torch.testing.assert_close(large, upsample(small, (64, 96)))


@torch.inference_mode()
def test_scales_and_flips_are_the_mean_of_their_probabilities() -> None:
    segmenter = tiny().eval()
    x = (images(2, 40, 64) * 255).to(torch.uint8)
    result = probabilities(segmenter, x, (40, 64), input_size=(48, 32), scales=(0.75, 1.0, 1.5), flip=True)
    parts = []
    for height, width in ((24, 36), (32, 48), (48, 72)):
        scaled = resize_images(x, (height, width)).float() / 255
        parts.append(upsample(segmenter(segmenter.normalize(scaled)).logits, (40, 64)).softmax(1))
        mirrored = segmenter(segmenter.normalize(scaled.flip(-1))).logits
        parts.append(upsample(mirrored, (40, 64)).softmax(1).flip(-1))
    torch.testing.assert_close(result, torch.stack(parts).mean(0))


@torch.inference_mode()
def test_with_flips_a_mirrored_image_gives_the_mirrored_answer() -> None:
    segmenter, x = tiny().eval(), images(1, 32, 48)
    result = probabilities(segmenter, x, (32, 48), flip=True, scales=(0.5, 1.0))
    mirrored = probabilities(segmenter, x.flip(-1), (32, 48), flip=True, scales=(0.5, 1.0))
    torch.testing.assert_close(mirrored.flip(-1), result, atol=1e-5, rtol=1e-4)
    without = probabilities(segmenter, x, (32, 48), scales=(0.5, 1.0))
    assert (without - result).abs().max() > 1e-3


PROTOCOLS: list[dict[str, Any]] = [
    {},
    {"input_size": (32, 24)},
    {"scales": (0.5, 1.0), "flip": True},
    {"window": (32, 32)},
    {"window": (24, 16), "stride": (9, 5), "scales": (0.8, 1.3), "flip": True},
]


@pytest.mark.parametrize("settings", PROTOCOLS)
@torch.inference_mode()
def test_ids_are_the_most_probable_classes(settings: dict[str, Any]) -> None:
    segmenter, x = tiny().eval(), images(2, 40, 64)
    ids = Inference(**settings).ids([segmenter], x, (40, 64))
    assert ids.dtype == torch.uint8
    expected = probabilities(segmenter, x, (40, 64), **settings).argmax(1)
    assert (ids == expected).float().mean() > 0.9999
    assert ids.min() < ids.max()


@pytest.mark.parametrize("settings", PROTOCOLS)
@pytest.mark.parametrize("size", [(40, 64), (57, 91), (23, 30), (1, 5)])
@torch.inference_mode()
def test_bands_of_rows_equal_the_whole(
    settings: dict[str, Any], size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    networks, x = [tiny().eval(), tiny(1).eval()], images(2, 40, 64)
    for several in (networks[:1], networks):
        whole = Inference(**settings).probabilities(several, x, size)
        with monkeypatch.context() as patched:
            patched.setattr(inference, "_WHOLE_VALUES", 0)
            patched.setattr(inference, "_BAND_VALUES", 3 * 2 * 4 * size[1])
            bands = list(Inference(**settings).bands(several, x, size))
        assert len(bands) == -(-size[0] // 3)
        torch.testing.assert_close(torch.cat([one.probabilities for one in bands], 2), whole)


def test_huge_images_are_seen_in_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert inference.automatic_window((2160, 3840), 19) is None
    assert inference.automatic_window((9000, 12000), 4) == (1024, 1024)
    assert inference.automatic_window((9000, 12000), 19) == (576, 576)
    assert inference.automatic_window((9000, 12000), 150) == (256, 256)
    monkeypatch.setattr(inference, "WHOLE_PIXELS", 40 * 63)
    monkeypatch.setattr(inference, "_WINDOW_SIDES", (8, 32))
    segmenter, x = tiny().eval(), images(1, 40, 64)
    with torch.inference_mode():
        result = probabilities(segmenter, x, (40, 64))
        torch.testing.assert_close(result, probabilities(segmenter, x, (40, 64), window=(32, 32)))
        # What the network sees decides, not the size of the file.
        assert Inference(input_size=(32, 24)).ids([segmenter], x, (40, 64)).shape == (1, 40, 64)


@torch.inference_mode()
def test_native_is_the_images_own_size() -> None:
    x = images(1, 40, 64)
    own, small = tiny().eval(), tiny(input_size=(32, 24)).eval()
    torch.testing.assert_close(
        probabilities(small, x, (40, 64), input_size="native"), probabilities(own, x, (40, 64))
    )
    torch.testing.assert_close(
        probabilities(small, x, (40, 64)), probabilities(own, x, (40, 64), input_size=(32, 24))
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stride": (8, 8)}, "give `window` as well"),
        ({"scales": ()}, "`scales`"),
        ({"scales": (0.0,)}, "`scales.0` = 0.0: .*greater than 0"),
        ({"scales": (float("nan"),)}, "`scales.0` = nan"),
        ({"window": (0, 8)}, "`window.0` = 0: .*greater than or equal to 1"),
        ({"window": (8, 8), "stride": (9, 8)}, r"`stride` = \(9, 8\): must be at most the window, 8x8"),
        ({"input_size": (0, 8)}, "`input_size.0` = 0"),
        ({"input_size": "own"}, "input_size"),
        ({"mode": "tiled"}, "unknown key `mode`"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(Inference, settings, "evaluation")


@pytest.mark.parametrize("settings", PROTOCOLS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_no_predictions(settings: dict[str, Any], value: float) -> None:
    segmenter = tiny().eval()
    with torch.no_grad():
        segmenter.head.get_parameter("branches.0.bias")[1] = value
    with torch.inference_mode(), pytest.raises(InputError, match="NaN or infinite"):
        Inference(**settings).ids([segmenter], images(), (45, 70))
    with pytest.raises(InputError, match="NaN or infinite"):
        segmenter.predict((images(1)[0] * 255).to(torch.uint8))


@pytest.mark.parametrize("settings", [{}, {"scales": (0.5, 1.0), "flip": True}])
@torch.inference_mode()
def test_an_ensemble_is_the_mean_of_its_networks_probabilities(settings: dict[str, Any]) -> None:
    """Each at its own size and with its own pixel statistics."""
    first, second = tiny().eval(), tiny(1, input_size=(48, 32)).eval()
    second.mean = second.mean + 0.02
    x = images(2, 40, 64)
    parts = [probabilities(network, x, (40, 64), **settings) for network in (first, second)]
    torch.testing.assert_close(
        Inference(**settings).probabilities([first, second], x, (40, 64)), (parts[0] + parts[1]) / 2
    )
    ids = Inference(**settings).ids([first, second], x, (40, 64))
    expected = ((parts[0] + parts[1]) / 2).argmax(1)
    assert (ids == expected).float().mean() > 0.9999
    # Neither network alone says so.
    assert all((part.argmax(1) != expected).any() for part in parts)


def test_proportions_are_kept_where_the_network_was_trained_so() -> None:
    x = torch.rand(1, 3, 40, 64, generator=torch.Generator().manual_seed(4))
    own = tiny(input_size=(32, 32)).eval()
    for fit, size in (("stretch", (32, 32)), ("cover", (51, 32)), ("pad", (32, 20))):
        kept = tiny(input_size=(32, 32), input_fit=fit).eval()
        torch.testing.assert_close(
            probabilities(kept, x, (40, 64)), probabilities(own, x, (40, 64), input_size=size)
        )
        torch.testing.assert_close(
            probabilities(own, x, (40, 64), fit=fit), probabilities(own, x, (40, 64), input_size=size)
        )
