"""A small segmenter, batches and optimizers for the methods' tests."""

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from segshift.data.labels import ClassSet
from segshift.engine.step import train_step
from segshift.methods import Batch, Method, build_method
from segshift.models.segmenter import Segmenter, SegmenterConfig

CLASSES = ClassSet("toy", ("sky", "ground", "box"), ((0, 0, 255), (0, 255, 0), (255, 0, 0)))
# Discriminators need maps of 32 px; the domains differ in size, as real ones do.
SOURCE_SIZE, TARGET_SIZE = (32, 40), (40, 32)


def tiny_segmenter(**settings: Any) -> Segmenter:
    config = {"backbone": "segshift_tiny", "weights": "none", "batch_norm": "frozen", **settings}
    torch.manual_seed(0)
    return Segmenter(SegmenterConfig.model_validate(config), CLASSES).train()


def align(*terms: dict[str, Any], segmenter: Segmenter | None = None, **settings: Any) -> Method:
    config = {"name": "align", "terms": list(terms), **settings}
    method = build_method(config, segmenter or tiny_segmenter())
    return method.train()


def batch(step: int = 0, images: int = 2, ignored: bool = True) -> Batch:
    generator = torch.Generator().manual_seed(100 + step)
    labels = torch.randint(0, CLASSES.count, (images, *SOURCE_SIZE), generator=generator)
    if ignored:
        labels[:, :5] = 255
    return Batch(
        source_images=torch.rand(images, 3, *SOURCE_SIZE, generator=generator),
        source_labels=labels,
        target_images=torch.rand(images, 3, *TARGET_SIZE, generator=generator),
        step=step,
        progress=step / 10,
    )


def optimizers(networks: dict[str, list[nn.Parameter]]) -> dict[str, Optimizer]:
    return {
        name: SGD(parameters, lr=0.02, momentum=0.9, weight_decay=5e-4)
        if name == "segmenter"
        else Adam(parameters, lr=1e-3, betas=(0.9, 0.99))
        for name, parameters in networks.items()
    }


def parameters_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def largest_difference(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    assert first.keys() == second.keys()
    return max((first[name] - second[name]).abs().max().item() for name in first)


def without_source(given: Batch) -> Batch:
    """The batch of a run that has no source images."""
    return replace(given, source_images=given.source_images[:0], source_labels=given.source_labels[:0])


def assert_resumes(*terms: dict[str, Any]) -> None:
    """A copy through the state dict goes on with the same bits: what a term remembers is in it."""
    method = align(*terms, segmenter=tiny_segmenter(batch_norm="batch"))
    movers = optimizers(method.networks())
    for step in range(3):
        torch.manual_seed(step)
        train_step(method, [batch(step)], movers)
    other = align(*terms, segmenter=tiny_segmenter(batch_norm="batch"))
    other.load_state_dict(method.state_dict())
    other_movers = optimizers(other.networks())
    other_movers["segmenter"].load_state_dict(copy.deepcopy(movers["segmenter"].state_dict()))
    for target, mover in ((method, movers), (other, other_movers)):
        torch.manual_seed(9)
        train_step(target, [batch(3)], mover)
    for (name, mine), theirs in zip(method.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs), name
