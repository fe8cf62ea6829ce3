"""FADA's encodings and loss against loops, references and gradients."""

import math
from pathlib import Path

import pytest
import torch

from segshift.losses import class_domain_loss, domain_encoding
from tests.losses.reference import goldens, normal, softmax


def test_soft_encoding_equals_a_loop() -> None:
    logits = normal(2, 3, 4, 5, scale=4)
    found = domain_encoding(logits, temperature=1.5, clip=0.7)
    assert found.shape == logits.shape
    clipped = 0
    for n in range(2):
        for h in range(4):
            for w in range(5):
                p = softmax([z / 1.5 for z in logits[n, :, h, w].tolist()])
                clipped += max(p) > 0.7
                assert found[n, :, h, w].tolist() == pytest.approx([min(x, 0.7) for x in p], abs=1e-12)
    assert 0 < clipped < 40


def test_hard_encoding_equals_a_loop() -> None:
    logits = normal(2, 3, 4, 5, scale=3)
    found = domain_encoding(logits, kind="hard", threshold=0.8)
    kept = 0
    for n in range(2):
        for h in range(4):
            for w in range(5):
                p = softmax(logits[n, :, h, w].tolist())
                sure = max(p) > 0.8
                kept += sure
                assert found[n, :, h, w].tolist() == [float(sure and x == max(p)) for x in p]
    assert 0 < kept < 40


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_an_encoding_is_a_constant_of_its_own(kind: str) -> None:
    logits = normal(1, 3, 2, 2).requires_grad_()
    before = logits.detach().clone()
    encoding = domain_encoding(logits, kind=kind)  # type: ignore[arg-type]
    assert not encoding.requires_grad
    encoding.zero_()
    assert torch.equal(logits.detach(), before)


def test_encoding_in_half_precision_is_float32() -> None:
    logits = normal(1, 3, 2, 2).bfloat16()
    encoding = domain_encoding(logits)
    assert encoding.dtype == torch.float32
    torch.testing.assert_close(encoding, domain_encoding(logits.float()))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.0}, "temperature = 0.0"),
        ({"clip": 1.1}, "clip = 1.1"),
        ({"kind": "sof"}, "did you mean `soft`"),
    ],
)
def test_encoding_refusals(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        domain_encoding(torch.zeros(1, 3, 2, 2), **settings)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\(N, K, H, W\)"):
        domain_encoding(torch.zeros(3, 2, 2))


@pytest.mark.parametrize(("domain", "first"), [("source", 0), ("target", 3)])
def test_loss_equals_a_loop(domain: str, first: int) -> None:
    logits, encoding = normal(2, 6, 3, 4), domain_encoding(normal(2, 3, 3, 4, seed=1, scale=3))
    total = 0.0
    for n in range(2):
        for h in range(3):
            for w in range(4):
                p = softmax(logits[n, :, h, w].tolist())
                total -= sum(encoding[n, k, h, w].item() * math.log(p[first + k]) for k in range(3)) / 24
    found = class_domain_loss(logits, encoding, domain)  # type: ignore[arg-type]
    assert found.item() == pytest.approx(total, abs=1e-12)


def test_an_ignorant_discriminator_scores_log_2k_and_no_knowledge_scores_0() -> None:
    logits = torch.zeros(1, 8, 2, 2, requires_grad=True)
    even = torch.full((1, 4, 2, 2), 0.25)
    assert class_domain_loss(logits, even, "target").item() == pytest.approx(math.log(8))
    unsure = domain_encoding(torch.zeros(1, 4, 2, 2), kind="hard")
    loss = class_domain_loss(logits, unsure, "target")
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None and logits.grad.abs().max() == 0


def test_gradcheck() -> None:
    logits, encoding = normal(2, 4, 2, 2).requires_grad_(), domain_encoding(normal(2, 2, 2, 2, seed=1))
    assert torch.autograd.gradcheck(lambda d: class_domain_loss(d, encoding, "source"), (logits,))


def test_loss_in_half_precision_is_float32() -> None:
    logits, encoding = normal(1, 4, 2, 2).bfloat16(), torch.full((1, 2, 2, 2), 0.5)
    found = class_domain_loss(logits, encoding, "source")
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, class_domain_loss(logits.float(), encoding, "source"))


def test_refusals() -> None:
    encoding = torch.rand(1, 3, 2, 2)
    with pytest.raises(ValueError, match=r"\(N, 2K, H, W\)"):
        class_domain_loss(torch.zeros(1, 3, 2, 2), encoding, "source")
    with pytest.raises(ValueError, match=r"\(N, 2K, H, W\)"):
        class_domain_loss(torch.zeros(1, 6, 4, 4), encoding, "source")
    with pytest.raises(ValueError, match="class_domain_loss: domain = 'sorce'; did you mean `source`"):
        class_domain_loss(torch.zeros(1, 6, 2, 2), encoding, "sorce")  # type: ignore[arg-type]


def test_public_code_agrees(goldens_root: Path) -> None:
    scalars, arrays = goldens(goldens_root)
    encodings = {
        domain: domain_encoding(arrays[f"fada_{key}_logits"])
        for domain, key in (("source", "src"), ("target", "tgt"))
    }
    for domain, key in (("source", "src"), ("target", "tgt")):
        torch.testing.assert_close(encodings[domain], arrays[f"fada_{key}_soft"].double(), atol=1e-6, rtol=0)
        half = 0.5 * class_domain_loss(arrays[f"fada_d_{key}"], encodings[domain], domain)  # type: ignore[arg-type]
        assert half.item() == pytest.approx(scalars[f"fada_D_{key}_half"], abs=1e-6)
    logits = arrays["fada_d_tgt"].requires_grad_()
    fooled = class_domain_loss(logits, encodings["target"], "source")
    assert fooled.item() == pytest.approx(scalars["fada_adv_tgt_raw"], abs=1e-6)
    (0.001 * fooled).backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, arrays["fada_adv_grad_d_tgt"], atol=1e-9, rtol=1e-5)
