"""The least-squares game against a loop."""

import pytest
import torch

from segshift.losses import least_squares_loss
from tests.losses.reference import normal


@pytest.mark.parametrize("real", [True, False])
def test_equals_a_loop(real: bool) -> None:
    scores = normal(2, 1, 3, 4)
    wanted = 1.0 if real else 0.0
    total = sum((score - wanted) ** 2 for score in scores.flatten().tolist()) / 24
    assert least_squares_loss(scores, real).item() == pytest.approx(total, abs=1e-12)


def test_gradcheck() -> None:
    scores = normal(1, 1, 2, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda d: least_squares_loss(d, True), (scores,))


def test_half_precision_is_computed_in_float32() -> None:
    assert least_squares_loss(torch.ones(2, 2).bfloat16(), False).dtype == torch.float32
