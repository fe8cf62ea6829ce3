"""The divergence of a prediction's class shares against loops over pixels."""

import math

import pytest
import torch

from segshift.losses import class_share_divergence


def probabilities(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 4, 3, 5, generator=generator, dtype=torch.float64).softmax(dim=1)


@pytest.mark.parametrize("shares", [(0.25, 0.25, 0.25, 0.25), (0.7, 0.2, 0.1, 0.0), (0.0, 0.0, 1.0, 0.0)])
def test_it_is_the_divergence_of_the_mean_prediction(shares: tuple[float, ...]) -> None:
    probs = probabilities()
    expected = 0.0
    for index, share in enumerate(shares):
        pixels = [float(probs[n, index, y, x]) for n in range(2) for y in range(3) for x in range(5)]
        mean = sum(pixels) / len(pixels)
        expected += share * math.log(share / mean) if share else 0.0
    measured = class_share_divergence(probs, torch.tensor(shares, dtype=torch.float64))
    assert measured.item() == pytest.approx(expected, rel=1e-9)


def test_it_is_zero_for_the_predictions_own_shares_and_grows_when_a_class_disappears() -> None:
    probs = probabilities()
    shares = probs.mean(dim=(0, 2, 3))
    assert class_share_divergence(probs, shares).item() == pytest.approx(0, abs=1e-12)
    losses = []
    for left in (0.1, 0.01, 0.0):
        swallowed = probs.clone()
        swallowed[:, 1] += (1 - left) * swallowed[:, 3]
        swallowed[:, 3] *= left
        losses.append(class_share_divergence(swallowed, shares).item())
    assert 0 < losses[0] < losses[1] < losses[2] and math.isfinite(losses[2])


def test_its_gradient() -> None:
    logits = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    shares = torch.tensor([0.6, 0.4, 0.0], dtype=torch.float64)

    def loss(values: torch.Tensor) -> torch.Tensor:
        return class_share_divergence(values.softmax(dim=1), shares)

    assert torch.autograd.gradcheck(loss, (logits,))


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="needs probs"):
        class_share_divergence(probabilities(), torch.ones(3) / 3)
