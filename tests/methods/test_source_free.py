"""Training without source images: what runs, what is refused, and steps written out."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segshift.engine.step import train_step
from segshift.errors import InputError
from segshift.methods import TERMS, build_method
from segshift.methods.class_shares import ClassShares
from segshift.models.normalization import normalization_parameters
from tests.methods.networks import (
    align,
    batch,
    largest_difference,
    optimizers,
    parameters_of,
    tiny_segmenter,
    without_source,
)

TENT: dict[str, Any] = {"term": "minent", "weight": 1.0}


def probabilities(network: Any, images: Tensor) -> Tensor:
    logits = network(network.normalize(images)).logits
    return F.interpolate(logits, images.shape[-2:], mode="bilinear", align_corners=True).softmax(dim=1)


def test_tents_step_equals_a_handwritten_one_and_moves_normalisation_alone() -> None:
    method = align(TENT, segmenter=tiny_segmenter(batch_norm="batch"), trained="normalization")
    network, data = copy.deepcopy(method.segmenter), without_source(batch(0))
    moved = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    parameters = [parameter for module in moved for parameter in (module.weight, module.bias)]
    mover = optimizers({"segmenter": parameters})["segmenter"]
    probs = probabilities(network, data.target_images)
    entropy = -(probs * probs.log()).sum(dim=1).mean() / torch.log(torch.tensor(3.0))
    entropy.backward()
    mover.step()
    before = parameters_of(method.segmenter)
    log = train_step(method, [data], optimizers(method.networks()))
    assert log.schedule == ["segmenter"]
    assert log.values() == {"segmenter/minent_entropy": pytest.approx(entropy.item(), rel=1e-5)}
    after = parameters_of(method.segmenter)
    assert largest_difference(after, parameters_of(network)) < 1e-6
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert len(changed) == len(parameters)
    assert sum(map(len, method.networks().values())) == len(parameters)


def test_the_class_shares_term_against_what_the_start_predicts() -> None:
    method = align({"term": "class_shares", "weight": 0.3, "images": 5})
    term, start = method.terms[0], copy.deepcopy(method.segmenter).eval()
    assert isinstance(term, ClassShares)
    generator = torch.Generator().manual_seed(7)
    images = [torch.rand(1, 3, *size, generator=generator) for size in ((40, 32), (24, 56))]

    class Data:
        def target_images(self, batch_size: int, limit: int | None) -> Iterator[Tensor]:
            assert (batch_size, limit) == (1, 5)
            yield from images

    method.prepare(Data())  # type: ignore[arg-type]
    with torch.no_grad():
        shares = torch.stack([probabilities(start, one).mean(dim=(0, 2, 3)) for one in images]).mean(dim=0)
    torch.testing.assert_close(term.shares, shares)
    assert method.segmenter.training
    with torch.no_grad():
        for parameter in method.segmenter.head.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    data = without_source(batch(3))
    mean = probabilities(copy.deepcopy(method.segmenter), data.target_images).mean(dim=(0, 2, 3))
    expected = 0.3 * torch.stack([s * (s / m).log() for s, m in zip(shares, mean, strict=True)]).sum()
    log = train_step(method, [data], optimizers(method.networks()))
    assert log.values() == {"segmenter/class_shares_divergence": pytest.approx(expected.item(), rel=1e-4)}
    assert expected > 1e-3


def test_which_terms_need_a_source() -> None:
    """Those that promise to work without are run without, all together; they see no source loss."""
    without = {name for name, term in TERMS.items() if not term.needs_source}
    assert without >= {"adabn", "balanced_self_training", "class_shares", "masked_consistency", "minent"}
    terms = [
        {"term": name, **({"class_mix": False} if name == "mean_teacher" else {})} for name in sorted(without)
    ]
    method = align(*terms, segmenter=tiny_segmenter(batch_norm="batch"))
    assert not method.needs_source
    log = train_step(method, [without_source(batch(0, images=2))], optimizers(method.networks()))
    assert log.schedule == ["segmenter"] and not any("supervised" in name for name in log.values())
    assert align({"term": "mean_teacher"}).needs_source
    assert align({"term": "advent", "base_channels": 4}, TENT).needs_source


def test_a_step_in_which_every_term_sleeps() -> None:
    method = align({**TENT, "start_step": 5})
    before = parameters_of(method.segmenter)
    log = train_step(method, [without_source(batch(0))], optimizers(method.networks()))
    assert log.schedule == ["segmenter"] and set(log.values().values()) == {0.0}
    assert largest_difference(before, parameters_of(method.segmenter)) == 0


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        ({}, {"BatchNorm2d"}),
        ({"backbone": "convnext_atto", "output_stride": "native"}, {"LayerNorm2d"}),
    ],
)
def test_normalisation_layers_of_several_kinds(settings: dict[str, Any], kinds: set[str]) -> None:
    segmenter = tiny_segmenter(**settings)
    found = {id(parameter) for parameter in normalization_parameters(segmenter)}
    expected = {
        id(parameter)
        for module in segmenter.modules()
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.LayerNorm)
        for parameter in module.parameters(recurse=False)
    }
    assert found == expected != set()
    assert {
        type(module).__name__ for module in segmenter.modules() if "Norm" in type(module).__name__
    } <= kinds | {"BatchNormAct2d"}


def test_a_network_without_normalisation() -> None:
    segmenter = tiny_segmenter()
    segmenter.backbone = torch.nn.Conv2d(3, 3, 1)
    with pytest.raises(InputError, match="no normalisation layer"):
        build_method({"name": "align", "terms": [TENT], "trained": "normalization"}, segmenter)
