"""Sliding windows, scales and flips against whole images and against loops over their definition."""

from typing import Any

import pytest
import torch
from torch import Tensor

from segshift.errors import InputError
from segshift.evaluation import (
    ensemble_ids,
    predict_ids,
    probabilities,
    sliding_window_probabilities,
    whole_image_logits,
)
from segshift.models import resize_images, upsample

from ..models.networks import pixelwise, tiny


def images(count: int = 2, height: int = 45, width: int = 70) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))


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
    expected = whole_image_logits(segmenter, x, size).softmax(1)
    result = sliding_window_probabilities(segmenter, x, size, window=window, stride=stride)
    torch.testing.assert_close(result, expected)


@torch.inference_mode()
def test_overlaps_are_averaged_as_probabilities() -> None:
    segmenter, x = tiny().eval(), images(1, 32, 56)
    result = sliding_window_probabilities(segmenter, x, (32, 56), window=(32, 32), stride=(16, 32))
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
    result = sliding_window_probabilities(segmenter, x, (24, 32), window=(64, 64))
    torch.testing.assert_close(result, segmenter.predict_probabilities(x, (24, 32)))


@torch.inference_mode()
def test_sliding_at_another_size_than_the_images() -> None:
    segmenter, x = tiny().eval(), images(1, 32, 48)
    small = sliding_window_probabilities(segmenter, x, (32, 48), window=(32, 32))
    large = sliding_window_probabilities(segmenter, x, (64, 96), window=(32, 32))
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
    plain = {"scales": (0.5, 1.0)}
    result = probabilities(segmenter, x, (32, 48), flip=True, **plain)  # type: ignore[arg-type]
    mirrored = probabilities(segmenter, x.flip(-1), (32, 48), flip=True, **plain)  # type: ignore[arg-type]
    torch.testing.assert_close(mirrored.flip(-1), result, atol=1e-5, rtol=1e-4)
    without = probabilities(segmenter, x, (32, 48), **plain)  # type: ignore[arg-type]
    assert (without - result).abs().max() > 1e-3


@pytest.mark.parametrize(
    "protocol",
    [
        {},
        {"input_size": (32, 24)},
        {"scales": (0.5, 1.0), "flip": True},
        {"mode": "sliding", "window": (32, 32)},
    ],
)
@torch.inference_mode()
def test_ids_are_the_most_probable_classes(protocol: dict[str, Any]) -> None:
    segmenter, x = tiny().eval(), images(2, 40, 64)
    ids = predict_ids(segmenter, x, (40, 64), **protocol)
    assert ids.dtype == torch.int64
    expected = probabilities(segmenter, x, (40, 64), **protocol).argmax(1)
    assert (ids == expected).float().mean() > 0.9999
    assert ids.min() < ids.max()


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        ({"mode": "sliding"}, "needs a window"),
        ({"mode": "tiled"}, "use whole or sliding"),
        ({"scales": ()}, "one or more positive"),
        ({"scales": (0.0,)}, "one or more positive"),
        ({"scales": (float("nan"),)}, "one or more positive"),
        ({"mode": "sliding", "window": (0, 8)}, "at least 1 and at most the window"),
        ({"mode": "sliding", "window": (8, 8), "stride": (9, 8)}, "at least 1 and at most the window"),
    ],
)
def test_bad_protocols(protocol: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        predict_ids(pixelwise(), images(), (45, 70), **protocol)


@pytest.mark.parametrize("protocol", [{}, {"scales": (0.5, 1.0), "flip": True}])
@torch.inference_mode()
def test_an_ensemble_is_the_mean_of_its_networks_probabilities(protocol: dict[str, Any]) -> None:
    """Each at its own size and with its own pixel statistics."""
    first, second = tiny().eval(), tiny(1).eval()
    second.mean = second.mean + 0.02
    x, sizes = images(2, 40, 64), [None, (48, 32)]
    parts = [
        probabilities(network, x, (40, 64), input_size=size, **protocol)
        for network, size in zip((first, second), sizes, strict=True)
    ]
    ids = ensemble_ids([first, second], x, (40, 64), input_sizes=sizes, **protocol)
    expected = ((parts[0] + parts[1]) / 2).argmax(1)
    assert (ids == expected).float().mean() > 0.9999
    # Neither network alone says so.
    assert all((part.argmax(1) != expected).any() for part in parts)
