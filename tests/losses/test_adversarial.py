"""The domain loss against loops, references and gradients."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from segshift.losses import domain_loss, weighted_domain_loss
from tests.losses.reference import goldens, normal


def test_equals_a_loop() -> None:
    logits = torch.randn(2, 1, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sigmoid = [1 / (1 + math.exp(-d)) for d in logits.flatten().tolist()]
    source = sum(-math.log(1 - s) for s in sigmoid) / len(sigmoid)
    target = sum(-math.log(s) for s in sigmoid) / len(sigmoid)
    assert domain_loss(logits, "source").item() == pytest.approx(source, abs=1e-12)
    assert domain_loss(logits, "target").item() == pytest.approx(target, abs=1e-12)


def test_an_undecided_discriminator_scores_log_2() -> None:
    assert domain_loss(torch.zeros(1, 1, 2, 2), "target").item() == pytest.approx(math.log(2))


def test_gradcheck() -> None:
    logits = torch.randn(1, 1, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda d: domain_loss(d, "source"), (logits,))


def test_unknown_domain() -> None:
    with pytest.raises(ValueError, match="did you mean `target`"):
        domain_loss(torch.zeros(1), "targt")  # type: ignore[arg-type]


def test_public_codes_agree(goldens_root: Path) -> None:
    scalars = json.loads((goldens_root / "golden.json").read_text())
    logits = torch.from_numpy(np.load(goldens_root / "golden.npz")["d_small"])
    for domain, keys in {
        "source": ("adaptseg_bce_src0", "advent_bce_src0"),
        "target": ("adaptseg_bce_tgt1", "advent_bce_tgt1"),
    }.items():
        for key in keys:
            assert domain_loss(logits, domain).item() == pytest.approx(scalars[key], abs=1e-6)  # type: ignore[arg-type]


def test_weighted_equals_a_loop() -> None:
    logits, weights = normal(3, 1, 2, 4, seed=0), normal(3, 1, 2, 4, seed=1).abs()
    for domain, right in (("source", -1), ("target", 1)):
        total = 0.0
        for d, m in zip(logits.flatten().tolist(), weights.flatten().tolist(), strict=True):
            total += (10 * m + 0.3) * math.log(1 + math.exp(-right * d)) / 24
        found = weighted_domain_loss(logits, domain, weights, 10, 0.3)  # type: ignore[arg-type]
        assert found.item() == pytest.approx(total, abs=1e-12)


def test_weighted_with_a_constant_weight_is_the_plain_loss() -> None:
    logits, weights = normal(2, 1, 3, 3), normal(2, 1, 3, 3, seed=1).abs()
    assert weighted_domain_loss(logits, "target", weights, 0, 1).item() == pytest.approx(
        domain_loss(logits, "target").item(), abs=1e-12
    )


def test_weighted_gradcheck() -> None:
    logits, weights = normal(2, 1, 2, 2).requires_grad_(), normal(2, 1, 2, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda d, m: weighted_domain_loss(d, "source", m, 40, 0.4), (logits, weights)
    )


def test_weighted_is_computed_in_float32() -> None:
    logits, weights = normal(1, 1, 2, 2).bfloat16(), normal(1, 1, 2, 2, seed=1).bfloat16()
    found = weighted_domain_loss(logits, "source", weights, 40, 0.4)
    assert found.dtype == torch.float32
    torch.testing.assert_close(
        found, weighted_domain_loss(logits.float(), "source", weights.float(), 40, 0.4)
    )


def test_weighted_refusals() -> None:
    with pytest.raises(ValueError, match="up-sample the logits"):
        weighted_domain_loss(torch.zeros(1, 1, 2, 2), "source", torch.zeros(1, 1, 4, 4), 40, 0.4)
    with pytest.raises(ValueError, match="weighted_domain_loss: domain = 'sauce'"):
        weighted_domain_loss(torch.zeros(1, 1, 2, 2), "sauce", torch.zeros(1, 1, 2, 2), 40, 0.4)  # type: ignore[arg-type]


@pytest.mark.parametrize(("source_set", "local_weight"), [("gta", 40), ("synthia", 10)])
def test_clans_public_code_agrees(goldens_root: Path, source_set: str, local_weight: float) -> None:
    scalars, arrays = goldens(goldens_root)
    for domain, key in (("source", "src"), ("target", "tgt")):
        found = weighted_domain_loss(
            arrays["d_map"],
            domain,  # type: ignore[arg-type]
            arrays["clan_weightmap"],
            local_weight,
            0.4,
        )
        assert found.item() == pytest.approx(scalars[f"clan_wbce_{key}_{source_set}"], abs=1e-6)
