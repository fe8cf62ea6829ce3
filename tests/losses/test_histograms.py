"""Patches' label histograms against a loop."""

from typing import Any

import numpy as np
import pytest
import torch

from segshift.losses import label_histograms


def labels_of(*shape: int, classes: int, ignored: float = 0.3, seed: int = 0) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, shape)
    labels[generator.random(shape) < ignored] = 255
    return torch.from_numpy(labels)


@pytest.mark.parametrize(
    ("patch", "stride", "grid"),
    [(4, None, 2), ((4, 6), None, 2), ((6, 3), (2, 1), 3), (8, 3, 1), ((4, 8), (5, 9), 2)],
)
def test_equals_a_loop(patch: Any, stride: Any, grid: int) -> None:
    classes, labels = 5, labels_of(2, 13, 18, classes=5)
    ph, pw = (patch, patch) if isinstance(patch, int) else patch
    sh, sw = (ph, pw) if stride is None else (stride, stride) if isinstance(stride, int) else stride
    tops, lefts = range(0, 13 - ph + 1, sh), range(0, 18 - pw + 1, sw)
    expected = np.zeros((2, len(tops), len(lefts), grid * grid * classes))
    for n in range(2):
        for u, top in enumerate(tops):
            for v, left in enumerate(lefts):
                for y in range(ph):
                    for x in range(pw):
                        label = int(labels[n, top + y, left + x])
                        if label != 255:
                            cell = (y // (ph // grid)) * grid + x // (pw // grid)
                            expected[n, u, v, cell * classes + label] += 1
                for cell in range(grid * grid):
                    part = expected[n, u, v, cell * classes : (cell + 1) * classes]
                    if part.sum() > 0:
                        part /= part.sum()
    found = label_histograms(labels, patch, classes, grid, stride)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-7)


def test_an_ignored_cell_is_zero_and_the_others_add_up_to_1() -> None:
    labels = labels_of(1, 8, 8, classes=3, ignored=0.0)
    labels[:, :4, :4] = 255
    cells = label_histograms(labels, 8, 3).view(4, 3)
    assert cells[0].abs().max() == 0
    torch.testing.assert_close(cells[1:].sum(dim=1), torch.ones(3))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_any_integer_type_and_nothing_but_ignore(dtype: torch.dtype) -> None:
    ignored = torch.full((3, 4, 4), 255, dtype=dtype)
    assert label_histograms(ignored, 2, 4).abs().max() == 0
    same = torch.full((3, 4, 4), 2, dtype=dtype)
    assert label_histograms(same, 4, 4, grid=1).flatten(1).tolist() == [[0, 0, 1, 0]] * 3


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        (torch.zeros(4, 4, dtype=torch.long), {}, r"\(N, H, W\)"),
        (torch.zeros(1, 4, 4), {}, "integer labels"),
        (torch.zeros(1, 4, 4, dtype=torch.long), {"patch_px": 3}, "cannot be cut into 2 equal parts"),
        (torch.zeros(1, 4, 4, dtype=torch.long), {"patch_px": (4, 6)}, "does not fit"),
        (torch.zeros(1, 4, 4, dtype=torch.long), {"stride_px": 0}, "none may be below 1"),
        (torch.zeros(1, 4, 4, dtype=torch.long), {"classes": 0}, "none may be below 1"),
    ],
)
def test_refusals(labels: torch.Tensor, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        label_histograms(labels, **{"patch_px": 4, "classes": 2, **settings})
