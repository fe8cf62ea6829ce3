"""CLAN's two measures of agreement against loops, references and gradients."""

import math
from pathlib import Path

import pytest
import torch

from segshift.losses import cosine_discrepancy, weight_similarity, weighted_domain_loss
from tests.losses.reference import goldens, normal


def probabilities(*shape: int, seed: int) -> torch.Tensor:
    return normal(*shape, seed=seed, scale=3).softmax(dim=1)


def test_discrepancy_equals_a_loop() -> None:
    a, b = probabilities(2, 3, 4, 5, seed=0), probabilities(2, 3, 4, 5, seed=1)
    found = cosine_discrepancy(a, b)
    assert found.shape == (2, 1, 4, 5)
    for n in range(2):
        for h in range(4):
            for w in range(5):
                p, q = a[n, :, h, w].tolist(), b[n, :, h, w].tolist()
                dot = sum(x * y for x, y in zip(p, q, strict=True))
                cosine = dot / math.sqrt(sum(x * x for x in p)) / math.sqrt(sum(y * y for y in q))
                assert found[n, 0, h, w].item() == pytest.approx(1 - cosine, abs=1e-12)


def test_discrepancy_of_equal_and_of_disjoint_predictions() -> None:
    a = probabilities(1, 4, 3, 3, seed=0).float()
    assert cosine_discrepancy(a, a.clone()).abs().max().item() == 0
    one, other = torch.zeros(1, 4, 1, 1), torch.zeros(1, 4, 1, 1)
    one[:, 0], other[:, 2] = 1, 1
    assert cosine_discrepancy(one, other).item() == pytest.approx(1.0)


def test_discrepancy_keeps_what_one_minus_a_cosine_loses() -> None:
    a = probabilities(1, 19, 2, 2, seed=3)
    b = a + 1e-5 * normal(1, 19, 2, 2, seed=4)
    exact, single = cosine_discrepancy(a, b), cosine_discrepancy(a.float(), b.float())
    assert 0 < exact.max().item() < 1e-7
    torch.testing.assert_close(single.double(), exact, rtol=0.05, atol=0)


def test_discrepancy_gradcheck() -> None:
    a, b = normal(2, 3, 2, 2, seed=0).requires_grad_(), normal(2, 3, 2, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: cosine_discrepancy(x.softmax(1), y.softmax(1)), (a, b))


def test_discrepancy_is_computed_in_float32() -> None:
    a, b = probabilities(1, 3, 2, 2, seed=0).bfloat16(), probabilities(1, 3, 2, 2, seed=1).bfloat16()
    found = cosine_discrepancy(a, b)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, cosine_discrepancy(a.float(), b.float()))


def test_discrepancy_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="one shape"):
        cosine_discrepancy(torch.rand(1, 3, 2, 2), torch.rand(1, 3, 2, 3))


def test_weight_similarity_equals_a_loop() -> None:
    first = [normal(2, 3, seed=0), normal(4, seed=1)]
    second = [normal(2, 3, seed=2), normal(4, seed=3)]
    w1 = [value for tensor in first for value in tensor.flatten().tolist()]
    w2 = [value for tensor in second for value in tensor.flatten().tolist()]
    dot = sum(x * y for x, y in zip(w1, w2, strict=True))
    expected = dot / math.hypot(*w1) / math.hypot(*w2)
    assert weight_similarity(first, second).item() == pytest.approx(expected, abs=1e-12)
    assert weight_similarity(first, [-3 * tensor for tensor in first]).item() == pytest.approx(-1.0)
    assert weight_similarity(first, [0 * tensor for tensor in first]).item() == 0


def test_weight_similarity_gradcheck() -> None:
    tensors = [normal(2, 2, seed=0), normal(3, seed=1), normal(2, 2, seed=2), normal(3, seed=3)]
    for tensor in tensors:
        tensor.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b, c, d: weight_similarity([a, b], [c, d]), tensors)


@pytest.mark.parametrize("second", [[], [torch.rand(3)], [torch.rand(2), torch.rand(2)]])
def test_weight_similarity_lists_are_checked(second: list[torch.Tensor]) -> None:
    first = [] if not second else [torch.rand(2)]
    with pytest.raises(ValueError, match="two equal, non-empty lists"):
        weight_similarity(first, second)


def test_public_code_agrees(goldens_root: Path) -> None:
    scalars, arrays = goldens(goldens_root)
    z1, z2 = arrays["logits1"].requires_grad_(), arrays["logits2"].requires_grad_()
    found = cosine_discrepancy(z1.softmax(1), z2.softmax(1))
    torch.testing.assert_close(found.detach(), arrays["clan_weightmap"], atol=1e-6, rtol=0)

    # The public code's adversarial step at iteration 20000 of 100000: through the map that is not detached.
    loss = 0.001 * (1 - 20000 / 100000) * weighted_domain_loss(arrays["d_map"], "source", found, 40, 0.4)
    assert loss.item() == pytest.approx(scalars["clan_loss_adv_it20000_damped"], abs=1e-6)
    loss.backward()
    for logits, key in ((z1, "clan_loss_adv_grad_logits1"), (z2, "clan_loss_adv_grad_logits2")):
        assert logits.grad is not None
        torch.testing.assert_close(logits.grad, arrays[key], atol=1e-9, rtol=1e-6)

    w5, w6 = [list(arrays[key]) for key in ("w5", "w6")]
    b5, b6 = [list(arrays[key]) for key in ("b5", "b6")]
    weights = weight_similarity(w5, w6).item()
    assert weights + 1 == pytest.approx(scalars["clan_weight_cos_plus1_no_bias_PAPER"], abs=1e-6)
    everything = weight_similarity(w5 + b5, w6 + b6).item()
    assert everything + 1 == pytest.approx(scalars["clan_weight_cos_plus1_with_bias"], abs=1e-6)
    assert 0.02 * (everything + 1) == pytest.approx(scalars["clan_loss_weight_it0"], abs=1e-6)


def test_similarity_takes_what_a_module_gives() -> None:
    first, second = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    lists = weight_similarity(list(first.parameters()), list(second.parameters()))
    torch.testing.assert_close(weight_similarity(first.parameters(), second.parameters()), lists)
