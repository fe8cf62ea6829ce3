"""Self-information and entropy against loops, references and gradients."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from segshift.losses import entropy_loss, self_information


def probabilities(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(*shape, generator=generator, dtype=dtype)).softmax(dim=1)


@pytest.mark.parametrize("normalized", [False, True])
def test_self_information_equals_a_loop(normalized: bool) -> None:
    probs = probabilities(2, 3, 4, 5)
    expected = np.zeros(probs.shape)
    for index, p in np.ndenumerate(probs.numpy()):
        expected[index] = -p * math.log(p) / (math.log(3) if normalized else 1.0)
    np.testing.assert_allclose(self_information(probs, normalized).numpy(), expected, atol=1e-12)


def test_entropy_loss_equals_a_loop() -> None:
    probs = probabilities(2, 4, 3, 3)
    total = 0.0
    for n in range(2):
        for h in range(3):
            for w in range(3):
                total += sum(-p * math.log(p) for p in probs[n, :, h, w].tolist()) / math.log(4)
    assert entropy_loss(probs).item() == pytest.approx(total / 18, abs=1e-12)


def test_extremes() -> None:
    one_hot = torch.zeros(1, 5, 2, 2)
    one_hot[:, 2] = 1
    assert entropy_loss(one_hot).item() == pytest.approx(0.0, abs=1e-7)
    assert entropy_loss(torch.full((1, 5, 2, 2), 0.2)).item() == pytest.approx(1.0, abs=1e-6)


def test_gradient_is_finite_where_a_probability_is_zero() -> None:
    logits = torch.tensor([200.0, 0.0, -200.0]).view(1, 3, 1, 1).requires_grad_()
    entropy_loss(logits.softmax(1)).backward()
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


def test_gradcheck() -> None:
    logits = torch.randn(1, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: entropy_loss(z.softmax(1)), (logits,))
    assert torch.autograd.gradcheck(lambda z: self_information(z.softmax(1), True), (logits,))


def test_half_precision_is_computed_in_float32() -> None:
    probs = probabilities(1, 4, 3, 3, dtype=torch.float32).bfloat16()
    result = self_information(probs)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, self_information(probs.float()))


def test_shape_is_checked() -> None:
    with pytest.raises(ValueError, match=r"\(N, C, H, W\)"):
        self_information(torch.rand(3, 4, 5))


def test_public_code_agrees(goldens_root: Path) -> None:
    scalars = json.loads((goldens_root / "golden.json").read_text())
    arrays = np.load(goldens_root / "golden.npz")
    probs = torch.from_numpy(arrays["logits1"]).softmax(dim=1)
    assert entropy_loss(probs).item() == pytest.approx(scalars["advent_entropy_loss"], abs=1e-6)
    np.testing.assert_allclose(
        self_information(probs, normalized=True).numpy(), arrays["advent_prob2entropy"], atol=1e-6
    )
