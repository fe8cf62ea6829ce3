"""CRST's regularizers and soft labels against loops, definitions and gradients."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from segshift.losses import (
    confidence_regularizer,
    cross_entropy,
    entropy_regularized_labels,
    soft_cross_entropy,
)
from tests.losses.reference import normal, softmax

KINDS = {
    "mrkld": lambda p: -sum(math.log(x) for x in p) / len(p),
    "mrent": lambda p: sum(x * math.log(x) for x in p),
    "mrl2": lambda p: sum(x * x for x in p),
}


def labels() -> torch.Tensor:
    given = torch.randint(0, 4, (2, 3, 5), generator=torch.Generator().manual_seed(1))
    given[0, :2] = 255
    given[1, 2, 3] = 255
    return given


@pytest.mark.parametrize("kind", KINDS)
def test_regularizers_equal_a_loop(kind: Any) -> None:
    logits, given = normal(2, 4, 3, 5, scale=3), labels()
    values = [
        KINDS[kind](softmax(logits[n, :, h, w].tolist()))
        for n in range(2)
        for h in range(3)
        for w in range(5)
        if given[n, h, w] != 255
    ]
    assert 0 < len(values) < 30
    found = confidence_regularizer(logits, given, kind)
    assert found.item() == pytest.approx(sum(values) / len(values), abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_descent_makes_predictions_less_sure(kind: Any) -> None:
    logits = normal(1, 4, 3, 3, scale=3).requires_grad_()
    given = torch.zeros(1, 3, 3, dtype=torch.int64)
    sure = logits.softmax(1).amax(1).mean().item()
    uniform = confidence_regularizer(torch.zeros_like(logits), given, kind)
    loss = confidence_regularizer(logits, given, kind)
    assert loss > uniform
    loss.backward()
    assert logits.grad is not None
    assert (logits - 5 * logits.grad).softmax(1).amax(1).mean().item() < sure - 0.01


def test_values_of_the_uniform_distribution() -> None:
    given = torch.zeros(1, 2, 2, dtype=torch.int64)
    for kind, value in (("mrkld", math.log(4)), ("mrent", -math.log(4)), ("mrl2", 0.25)):
        assert confidence_regularizer(torch.zeros(1, 4, 2, 2), given, kind).item() == pytest.approx(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck(kind: Any) -> None:
    logits = normal(1, 3, 2, 2).requires_grad_()
    given = torch.tensor([[[0, 1], [255, 2]]])
    assert torch.autograd.gradcheck(lambda z: confidence_regularizer(z, given, kind), (logits,))


def test_soft_cross_entropy_gradcheck_and_one_hot() -> None:
    logits, given = normal(2, 4, 3, 5, scale=2).requires_grad_(), labels()
    one_hot = torch.nn.functional.one_hot(given.where(given != 255, 0), 4).permute(0, 3, 1, 2).double()
    torch.testing.assert_close(soft_cross_entropy(logits, one_hot, given), cross_entropy(logits, given))
    soft = normal(2, 4, 3, 5, seed=2).softmax(1)
    assert torch.autograd.gradcheck(lambda z: soft_cross_entropy(z, soft, given), (logits,))
    # No pixel of an ignored label takes part.
    changed = soft.clone()
    changed[0, :, :2] = 7.0
    assert soft_cross_entropy(logits, changed, given).item() == soft_cross_entropy(logits, soft, given).item()


@pytest.mark.parametrize("alpha", [0.25, 1.0])
def test_soft_labels_equal_a_loop_and_minimise_the_papers_objective(alpha: float) -> None:
    probs = normal(1, 3, 2, 3, scale=2).softmax(1)
    thresholds = torch.tensor([0.9, 0.5, 0.2], dtype=torch.float64)
    found = entropy_regularized_labels(probs, thresholds, alpha)

    def objective(y: np.ndarray[Any, Any], p: np.ndarray[Any, Any]) -> float:
        positive = y > 0
        entropy = (y[positive] * np.log(y[positive])).sum()
        return float(-(y * np.log(p / thresholds.numpy())).sum() + alpha * entropy)

    generator = np.random.default_rng(0)
    for h in range(2):
        for w in range(3):
            p = probs[0, :, h, w].numpy()
            powers = (p / thresholds.numpy()) ** (1 / alpha)
            y = found[0, :, h, w].numpy()
            assert y == pytest.approx(powers / powers.sum(), abs=1e-12)
            for other in generator.dirichlet(np.ones(3), 50):
                assert objective(y, p) <= objective(other, p) + 1e-12


def test_soft_labels_of_saturated_probabilities_are_finite() -> None:
    probs = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    soft = entropy_regularized_labels(probs, torch.ones(3), 0.05)
    assert soft.flatten().tolist() == [1.0, 0.0, 0.0]


def test_nothing_labelled_is_zero_with_zero_gradient() -> None:
    logits = torch.full((1, 3, 2, 2), 1e30, requires_grad=True)
    nothing = torch.full((1, 2, 2), 255)
    loss = confidence_regularizer(logits, nothing) + soft_cross_entropy(
        logits, torch.ones(1, 3, 2, 2), nothing
    )
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None and logits.grad.abs().max() == 0


def test_half_precision_gives_float32() -> None:
    logits, given = normal(1, 3, 2, 2).bfloat16(), torch.zeros(1, 2, 2, dtype=torch.int64)
    assert confidence_regularizer(logits, given).dtype == torch.float32
    assert entropy_regularized_labels(logits.softmax(1), torch.ones(3), 0.25).dtype == torch.float32


def test_refusals() -> None:
    logits, given = torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64)
    with pytest.raises(ValueError, match="did you mean `mrkld`"):
        confidence_regularizer(logits, given, "mrkl")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"labels \(N, H, W\)"):
        confidence_regularizer(logits, given[0])
    with pytest.raises(ValueError, match="one shape"):
        soft_cross_entropy(logits, torch.zeros(1, 3, 4, 4), given)
    with pytest.raises(ValueError, match="alpha = 0"):
        entropy_regularized_labels(logits, torch.ones(3), 0)
    with pytest.raises(ValueError, match=r"thresholds \(K,\)"):
        entropy_regularized_labels(logits, torch.ones(4), 1.0)
