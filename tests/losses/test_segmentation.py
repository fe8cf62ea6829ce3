"""Cross-entropy against PyTorch, loops and references."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from segshift.losses import cross_entropy, weighted_cross_entropy


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


def test_the_ignored_id_is_that_of_the_label_files() -> None:
    from segshift.data import labels
    from segshift.losses import segmentation

    assert segmentation.IGNORE == labels.IGNORE
