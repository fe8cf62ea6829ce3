"""The entropy of the least certain pixels against a loop, and its gradient."""

import math

import pytest
import torch

from segshift.losses import entropy_loss, ranked_entropy_loss
from tests.losses.test_entropy import probabilities


@pytest.mark.parametrize("share", [1.0, 0.5, 0.3, 0.01])
def test_the_entropy_of_the_least_certain_pixels_equals_a_loop(share: float) -> None:
    """MinEnt + ER: every image ranks its own pixels, and at least one of them counts."""
    probs = probabilities(2, 4, 3, 4)
    means = []
    for image in probs:
        entropies = sorted(
            sum(-p * math.log(p) for p in image[:, h, w].tolist()) / math.log(4)
            for h in range(3)
            for w in range(4)
        )
        kept = max(1, round(share * 12))
        means.append(sum(entropies[-kept:]) / kept)
    assert ranked_entropy_loss(probs, share).item() == pytest.approx(sum(means) / 2, abs=1e-12)
    assert ranked_entropy_loss(probs, 1.0).item() == pytest.approx(entropy_loss(probs).item())


def test_gradcheck() -> None:
    logits = torch.randn(1, 3, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: ranked_entropy_loss(z.softmax(1), 0.5), (logits,))
