"""The domain loss against loops, references and gradients."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from segshift.losses import domain_loss


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
