"""Cross-entropy against PyTorch, loops and references."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from segshift.losses import cross_entropy, focal_cross_entropy, weighted_cross_entropy
from tests.losses.reference import goldens, softmax


def example(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 4, 3, 5, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 4, (2, 3, 5), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.3] = 255
    return logits, labels


def test_equals_pytorch_with_ignored_pixels() -> None:
    logits, labels = example()
    expected = F.cross_entropy(logits, labels, ignore_index=255)
    torch.testing.assert_close(cross_entropy(logits, labels), expected)
    torch.testing.assert_close(cross_entropy(logits, labels.to(torch.uint8)), expected)


def test_all_ignored_is_zero_with_zero_gradient() -> None:
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    loss = cross_entropy(logits, torch.full((1, 2, 2), 255))
    loss.backward()
    assert loss.item() == 0 and logits.grad is not None and not logits.grad.any()


def test_weights_equal_a_loop() -> None:
    logits, labels = example(1)
    weights = torch.rand(labels.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    total, count = 0.0, 0
    for n, h, w in np.ndindex(*labels.shape):
        label = int(labels[n, h, w])
        if label != 255:
            scores = logits[n, :, h, w].tolist()
            total += float(weights[n, h, w]) * (math.log(sum(map(math.exp, scores))) - scores[label])
            count += 1
    assert weighted_cross_entropy(logits, labels, weights).item() == pytest.approx(total / count, abs=1e-12)


def test_gradcheck() -> None:
    logits, labels = example(3)
    weights = torch.rand(labels.shape, dtype=torch.float64)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: weighted_cross_entropy(z, labels, weights), (logits,))


def test_public_codes_agree(goldens_root: Path) -> None:
    scalars = json.loads((goldens_root / "golden.json").read_text())
    arrays = np.load(goldens_root / "golden.npz")
    labels = torch.from_numpy(arrays["label"])
    for key, name in {"adaptseg_ce1": "logits1", "adaptseg_ce2": "logits2", "advent_ce2d": "logits1"}.items():
        value = cross_entropy(torch.from_numpy(arrays[name]), labels).item()
        assert value == pytest.approx(scalars[key], abs=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_equals_a_loop(gamma: float) -> None:
    logits, labels = example(4)
    total, count = 0.0, 0
    for n, h, w in np.ndindex(*labels.shape):
        label = int(labels[n, h, w])
        if label != 255:
            p = softmax(logits[n, :, h, w].tolist())[label]
            total -= (1 - p) ** gamma * math.log(p)
            count += 1
    assert focal_cross_entropy(logits, labels, gamma).item() == pytest.approx(total / count, abs=1e-12)


def test_focal_without_focus_is_cross_entropy() -> None:
    logits, labels = example(5)
    assert focal_cross_entropy(logits, labels, 0).item() == cross_entropy(logits, labels).item()
    with pytest.raises(ValueError, match="must not be negative"):
        focal_cross_entropy(logits, labels, -1)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_gradcheck(gamma: float) -> None:
    logits, labels = example(6)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: focal_cross_entropy(z, labels, gamma), (logits,))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_of_certain_and_of_ignored_pixels_is_finite(gamma: float) -> None:
    logits = torch.zeros(1, 3, 2, 2)
    logits[:, 0] = 200
    logits.requires_grad_()
    for labels in (torch.zeros(1, 2, 2, dtype=torch.long), torch.full((1, 2, 2), 255)):
        loss = focal_cross_entropy(logits, labels, gamma)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.item() == 0 and not gradient.any()
    wrong = focal_cross_entropy(logits, torch.ones(1, 2, 2, dtype=torch.long), gamma)
    assert wrong.item() == pytest.approx(200)


def test_focal_in_half_precision_is_float32() -> None:
    logits, labels = example(7)
    logits = logits.bfloat16()
    found = focal_cross_entropy(logits, labels, 2.0)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, focal_cross_entropy(logits.float(), labels, 2.0))


def test_clans_public_code_agrees(goldens_root: Path) -> None:
    scalars, arrays = goldens(goldens_root)
    first, second = (focal_cross_entropy(arrays[f"logits{i}"], arrays["label"], 2.0).item() for i in (1, 2))
    assert first == pytest.approx(scalars["clan_seg_focal_gamma2"], abs=1e-6)
    assert first + second == pytest.approx(scalars["clan_loss_seg_sum_both"], abs=1e-6)


def test_the_ignored_id_is_that_of_the_label_files() -> None:
    from segshift.data import labels
    from segshift.losses import segmentation

    assert segmentation.IGNORE == labels.IGNORE
