"""LSD's step in the shape of its public code: all networks run on both domains in every turn.

That code makes one graph and moves weights between three backward passes through it, which PyTorch refuses
today; here every turn makes the graph again. Nothing is frozen or detached: each backward pass goes through
all three networks, and one of them moves.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Adam

from segshift.methods import Batch
from segshift.methods.lsd import LSD
from segshift.models.reconstruction import Judgement

SOURCE_REAL, SOURCE_FAKE, TARGET_REAL, TARGET_FAKE = range(4)


def _gan(judged: Judgement, number: int) -> Tensor:
    truth = torch.full((len(judged.domain), *judged.domain.shape[2:]), number)
    return F.cross_entropy(judged.domain, truth)


def lsd(method: LSD) -> Callable[[Batch], dict[str, float]]:
    """The step that trains the networks of `method`."""
    segmenter, generator, discriminator = method.segmenter, method.generator, method.discriminator
    assert generator is not None
    config = method.config
    networks = {"segmenter": segmenter, "generator": generator, "discriminator": discriminator}
    l1 = config.reconstruction_weight
    rates = {
        "segmenter": (1e-5, (0.9, 0.999)),
        "generator": (2e-4, (0.5, 0.999)),
        "discriminator": (2e-4, (0.5, 0.999)),
    }
    optimizers = {
        name: Adam(
            (p for p in network.parameters() if p.requires_grad), lr=rates[name][0], betas=rates[name][1]
        )
        for name, network in networks.items()
    }

    def classes(judged: Judgement, labels: Tensor) -> Tensor:
        assert judged.labels is not None
        small = F.interpolate(labels[:, None].float(), judged.labels.shape[-2:], mode="nearest-exact")
        return F.cross_entropy(judged.labels, small[:, 0].long(), ignore_index=255)

    def seen(images: Tensor) -> tuple[Tensor, Tensor, Judgement]:
        """Logits at the size of the images, the painted images and what is said of them."""
        output = segmenter(segmenter.normalize(images))
        painted = generator(output.pyramid[-method.levels :], images.shape[-2:])
        logits = F.interpolate(output.logits, images.shape[-2:], mode="bilinear", align_corners=True)
        return logits, painted, discriminator(painted)

    def losses_of(turn: str, batch: Batch) -> dict[str, Tensor]:
        logits, fake_source, judged_source = seen(batch.source_images)
        _, fake_target, judged_target = seen(batch.target_images)
        if turn == "discriminator":
            real = discriminator(batch.source_images)
            return {
                "source_real": _gan(real, SOURCE_REAL),
                "source_fake": _gan(judged_source, SOURCE_FAKE),
                "target_real": _gan(discriminator(batch.target_images), TARGET_REAL),
                "target_fake": _gan(judged_target, TARGET_FAKE),
                "labels": classes(real, batch.source_labels),
            }
        if turn == "generator":
            return {
                "source_real": config.generator_domain_weight * _gan(judged_source, SOURCE_REAL),
                "target_real": config.generator_domain_weight * _gan(judged_target, TARGET_REAL),
                "source_reconstruction": l1 * F.l1_loss(fake_source, batch.source_images),
                "target_reconstruction": l1 * F.l1_loss(fake_target, batch.target_images),
            }
        return {
            "supervised": F.cross_entropy(logits, batch.source_labels, ignore_index=255),
            "source_as_target": config.domain_weight * _gan(judged_source, TARGET_REAL),
            "target_as_source": config.domain_weight * _gan(judged_target, SOURCE_REAL),
            "labels": config.label_weight * classes(judged_source, batch.source_labels),
        }

    def step(batch: Batch) -> dict[str, float]:
        found = {}
        for turn in ("discriminator", "generator", "segmenter"):
            for network in networks.values():
                network.zero_grad()
            losses = losses_of(turn, batch)
            torch.stack(list(losses.values())).sum().backward()
            optimizers[turn].step()
            found |= {f"{turn}/{name}": loss.item() for name, loss in losses.items()}
        return found

    return step
