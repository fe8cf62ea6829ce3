"""A small adversarial method without batch norm, whose step can be written out by hand."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from segshift.losses import cross_entropy, domain_loss
from segshift.methods.base import Batch, Method, Update

CLASSES = 3


class ToyGame(Method):
    """AdaptSegNet in miniature: `segmenter* segmenter adversary`."""

    def __init__(self, weight: float = 0.1) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, CLASSES, 1))
        self.adversary = nn.Sequential(nn.Conv2d(CLASSES, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 1, 1))
        self.weight = weight

    def networks(self) -> dict[str, list[nn.Parameter]]:
        return {"segmenter": list(self.body.parameters()), "adversary": list(self.adversary.parameters())}

    def step(self, batch: Batch) -> Iterator[Update]:
        source = self.body(batch.source_images)
        yield Update("segmenter", {"supervised": cross_entropy(source, batch.source_labels)}, step=False)
        target = self.body(batch.target_images)
        judged = self.adversary(target.softmax(1))
        yield Update("segmenter", {"adversarial": self.weight * domain_loss(judged, "source")})
        source, target = source.detach(), target.detach()
        yield Update(
            "adversary",
            {
                "source": 0.5 * domain_loss(self.adversary(source.softmax(1)), "source"),
                "target": 0.5 * domain_loss(self.adversary(target.softmax(1)), "target"),
            },
        )

    def predict(self, images: Tensor) -> Tensor:
        return self.body(images)


def toy_batch(step: int = 0, images: int = 4, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed * 1000 + step)
    return Batch(
        source_images=torch.rand(images, 3, 8, 10, generator=generator),
        source_labels=torch.randint(0, CLASSES, (images, 8, 10), generator=generator),
        target_images=torch.rand(images, 3, 6, 12, generator=generator),
        step=step,
        progress=step / 10,
    )


def split_batch(batch: Batch, parts: int) -> list[Batch]:
    size = len(batch.source_images) // parts
    return [
        Batch(
            batch.source_images[k * size : (k + 1) * size],
            batch.source_labels[k * size : (k + 1) * size],
            batch.target_images[k * size : (k + 1) * size],
            batch.step,
            batch.progress,
            last_micro_batch=k == parts - 1,
        )
        for k in range(parts)
    ]


def toy_optimizers(method: Method) -> dict[str, torch.optim.Optimizer]:
    networks = method.networks()
    return {
        "segmenter": torch.optim.SGD(networks["segmenter"], lr=0.1, momentum=0.9, weight_decay=5e-4),
        "adversary": torch.optim.Adam(networks["adversary"], lr=0.01, betas=(0.9, 0.99)),
    }


def twins(seed: int = 0) -> tuple[ToyGame, ToyGame]:
    torch.manual_seed(seed)
    first = ToyGame()
    return first, copy.deepcopy(first)


def assert_equal_parameters(first: nn.Module, second: nn.Module, **tolerance: float) -> None:
    for (name, mine), theirs in zip(first.named_parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, msg=lambda m, n=name: f"{n}: {m}", **tolerance)
