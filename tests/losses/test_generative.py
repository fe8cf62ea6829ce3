"""The four-class game against loops, references and gradients."""

import math
from pathlib import Path

import pytest
import torch

from segshift.losses import GAN_CLASSES, GanClass, gan_class_loss
from tests.losses.reference import goldens, normal, softmax


@pytest.mark.parametrize("gan_class", GAN_CLASSES)
def test_equals_a_loop(gan_class: GanClass) -> None:
    logits = normal(2, 4, 3, 5)
    column = ["source_real", "source_fake", "target_real", "target_fake"].index(gan_class)
    total = 0.0
    for n in range(2):
        for h in range(3):
            for w in range(5):
                total -= math.log(softmax(logits[n, :, h, w].tolist())[column]) / 30
    assert gan_class_loss(logits, gan_class).item() == pytest.approx(total, abs=1e-12)


def test_a_global_discriminator_is_one_cell_per_image() -> None:
    logits = normal(3, 4)
    assert gan_class_loss(logits, "target_real").item() == pytest.approx(
        gan_class_loss(logits[..., None, None], "target_real").item(), abs=1e-12
    )
    assert gan_class_loss(torch.zeros(2, 4), "source_fake").item() == pytest.approx(math.log(4))


def test_gradcheck() -> None:
    logits = normal(2, 4, 2, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: gan_class_loss(z, "source_fake"), (logits,))


def test_half_precision_is_computed_in_float32() -> None:
    logits = normal(1, 4, 2, 2).bfloat16()
    assert gan_class_loss(logits, "source_real").dtype == torch.float32


def test_refusals() -> None:
    with pytest.raises(ValueError, match="did you mean `target_real`"):
        gan_class_loss(torch.zeros(1, 4), "target-real")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\(N, 4, h, w\)"):
        gan_class_loss(torch.zeros(1, 5, 2, 2), "target_real")


def test_public_code_agrees(goldens_root: Path) -> None:
    scalars, arrays = goldens(goldens_root)
    held: list[tuple[str, str, GanClass]] = [
        ("lsd_D_src_real_s", "sr", "source_real"),
        ("lsd_D_src_fake_s", "sf", "source_fake"),
        ("lsd_D_tgt_real", "tr", "target_real"),
        ("lsd_D_tgt_fake", "tf", "target_fake"),
        ("lsd_G_src_adv_s", "sf", "source_real"),
        ("lsd_G_tgt_adv_s", "tf", "target_real"),
        ("lsd_F_src_adv_s", "sf", "target_real"),
        ("lsd_F_tgt_adv_s", "tf", "source_real"),
    ]
    for key, which, gan_class in held:
        logits = arrays[f"lsd_d_{which}"]
        cells = logits.shape[-2] * logits.shape[-1]  # the public code sums
        assert cells * gan_class_loss(logits, gan_class).item() == pytest.approx(scalars[key], abs=1e-6)
