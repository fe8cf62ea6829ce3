"""The resize rules against their definitions and the reference values."""

from pathlib import Path

import numpy as np
import torch

from segshift.models.resize import resize_images, upsample


def bilinear_loop(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """Corner pixels map onto corner pixels; in between, linear in each direction."""
    result = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            v, u = i * (x.shape[0] - 1) / (height - 1), j * (x.shape[1] - 1) / (width - 1)
            top, left = min(int(v), x.shape[0] - 2), min(int(u), x.shape[1] - 2)
            a, b = v - top, u - left
            result[i, j] = (
                (1 - a) * (1 - b) * x[top, left]
                + (1 - a) * b * x[top, left + 1]
                + a * (1 - b) * x[top + 1, left]
                + a * b * x[top + 1, left + 1]
            )
    return result


def test_upsample_is_bilinear_with_aligned_corners() -> None:
    x = torch.randn(1, 1, 3, 4, dtype=torch.float64)
    expected = bilinear_loop(x[0, 0].numpy(), 7, 13)
    np.testing.assert_allclose(upsample(x, (7, 13))[0, 0].numpy(), expected, atol=1e-12)


def test_upsample_equals_the_reference(goldens_root: Path) -> None:
    goldens = np.load(goldens_root / "golden.npz")
    result = upsample(torch.from_numpy(goldens["d_small"]), (33, 65)).numpy()
    np.testing.assert_allclose(result, goldens["upsample_alignTrue"], atol=1e-12)
    assert np.abs(result - goldens["upsample_alignFalse"]).max() > 0.1


def test_nothing_happens_at_the_same_size() -> None:
    x = torch.randn(1, 2, 5, 6)
    assert upsample(x, (5, 6)) is x
    assert resize_images(x, (5, 6)) is x


def test_shrinking_images_averages_instead_of_skipping() -> None:
    # Columns alternate between black and white: without anti-aliasing some would survive.
    image = torch.zeros(3, 32, 32, dtype=torch.uint8)
    image[:, :, ::2] = 255
    small = resize_images(image, (8, 8))
    assert small.dtype == torch.uint8
    assert (small[:, :, 1:-1].float() - 127.5).abs().max() < 30
