"""FADA against a step written by hand as the public code writes it."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from segshift.engine.step import train_step
from segshift.errors import InputError
from segshift.methods import Batch, fada
from segshift.models import FineGrainedDiscriminator, Segmenter
from tests.engine.toy import split_batch
from tests.methods.networks import (
    CLASSES,
    align,
    batch,
    largest_difference,
    optimizers,
    parameters_of,
    tiny_segmenter,
)

K = CLASSES.count
# Far above the paper's 0.001, so that a term that does nothing cannot pass.
TERM = {"term": "fada", "weight": 20.0, "hidden_channels": [8, 4]}


def confident_segmenter() -> Segmenter:
    """A network whose confidences spread from 1/K to nearly 1, so that clip and threshold have work."""
    segmenter = tiny_segmenter()
    with torch.no_grad():
        for parameter in segmenter.head.parameters():
            parameter.mul_(30)
    return segmenter


def forward(segmenter: Segmenter, images: Tensor) -> tuple[Tensor, Tensor]:
    output = segmenter((images - segmenter.mean) / segmenter.std)
    size = images.shape[-2:]
    logits = F.interpolate(output.logits, size=size, mode="bilinear", align_corners=True)
    return logits, output.features


def class_knowledge(logits: Tensor, settings: dict[str, Any]) -> Tensor:
    logits = logits.detach()
    if settings.get("encoding") == "hard":
        p = F.softmax(logits, dim=1)
        one_hot = F.one_hot(p.argmax(1), K).permute(0, 3, 1, 2).float()
        return one_hot * (p.amax(1, keepdim=True) > settings.get("threshold", 0.9))
    soft = F.softmax(logits / settings.get("temperature", 1.8), dim=1)
    clip = settings.get("clip", 0.9)
    soft[soft > clip] = clip
    return soft


def soft_label_loss(judged: Tensor, encoding: Tensor) -> Tensor:
    """Mean over pixels of the cross-entropy over all 2K channels with a full encoding."""
    judged = F.interpolate(judged, size=encoding.shape[-2:], mode="bilinear", align_corners=True)
    return -(encoding * F.log_softmax(judged, dim=1)).sum(1).mean()


def play_by_hand(
    segmenter: Segmenter, judge: nn.Module, batches: list[Batch], settings: dict[str, Any]
) -> None:
    """Segmenter first, with the judge's gradients thrown away, then the judge on the old features."""
    networks = {"segmenter": list(segmenter.parameters()), "fada": list(judge.parameters())}
    movers = optimizers(networks)
    for data in batches:
        for mover in movers.values():
            mover.zero_grad()
        logits, source_features = forward(segmenter, data.source_images)
        divisor = settings.get("temperature", 1.8) if settings.get("tempered_supervision") else 1.0
        F.cross_entropy(logits / divisor, data.source_labels, ignore_index=255).backward()
        source = class_knowledge(logits, settings)
        logits, target_features = forward(segmenter, data.target_images)
        target = class_knowledge(logits, settings)
        none = torch.zeros_like(target)
        as_source = torch.cat([target, none], dim=1)
        (settings["weight"] * soft_label_loss(judge(target_features), as_source)).backward()
        movers["segmenter"].step()
        movers["fada"].zero_grad()
        as_source = torch.cat([source, torch.zeros_like(source)], dim=1)
        (0.5 * soft_label_loss(judge(source_features.detach()), as_source)).backward()
        as_target = torch.cat([none, target], dim=1)
        (0.5 * soft_label_loss(judge(target_features.detach()), as_target)).backward()
        movers["fada"].step()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"clip": 0.5, "temperature": 1.2},
        {"encoding": "hard", "threshold": 0.8},
        {"tempered_supervision": True},
    ],
    ids=["paper", "clipped", "hard", "public code"],
)
def test_steps_equal_a_loop_written_by_hand(settings: dict[str, Any]) -> None:
    term = {**TERM, **settings}
    method = align(term, segmenter=confident_segmenter())
    segmenter, judge = copy.deepcopy(method.segmenter), copy.deepcopy(method.terms[0].adversary)
    plain = align(segmenter=copy.deepcopy(segmenter))
    start = parameters_of(judge)
    batches = [batch(step) for step in range(2)]
    with torch.no_grad():
        confidence = forward(segmenter, batches[0].target_images)[0].softmax(1).amax(1)
        assert confidence.min() < 0.5 and confidence.max() > 0.9
    movers, plain_movers = optimizers(method.networks()), optimizers(plain.networks())
    for data in batches:
        log = train_step(method, [data], movers)
        train_step(plain, [data], plain_movers)
        assert log.schedule == ["segmenter*", "segmenter", "fada"]
    play_by_hand(segmenter, judge, batches, term)
    mine = parameters_of(method.segmenter)
    assert largest_difference(mine, parameters_of(segmenter)) < 2e-6
    assert largest_difference(mine, parameters_of(plain.segmenter)) > 2e-4
    assert largest_difference(parameters_of(method.terms[0].adversary), parameters_of(judge)) < 2e-6
    assert largest_difference(parameters_of(judge), start) > 1e-4


def test_bands_of_rows_equal_whole_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for values_at_once in (2**30, 2 * 2 * K * 40 * 7):
        monkeypatch.setattr(fada, "_VALUES_AT_ONCE", values_at_once)
        method = align(TERM, segmenter=confident_segmenter())
        log = train_step(method, [batch()], optimizers(method.networks()))
        found.append((log.values(), parameters_of(method)))
    (whole, moved), (bands, moved_by_bands) = found
    assert bands == pytest.approx(whole, rel=1e-5)
    assert largest_difference(moved, moved_by_bands) < 1e-5


def test_no_map_of_all_answers_at_the_size_of_the_crop_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fada, "_VALUES_AT_ONCE", 2**12)
    method, largest = align(TERM, segmenter=confident_segmenter()), 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal largest
            made = op(*args, **(kwargs or {}))
            if isinstance(made, Tensor) and made.ndim == 4 and made.shape[1] == 2 * K:
                largest = max(largest, made.numel())
            return made

    with Watch():
        train_step(method, [batch()], optimizers(method.networks()))
    assert 0 < largest <= 2**12


def test_the_classifier_gets_no_adversarial_gradient() -> None:
    with_game, without = align(TERM), align()
    for method in (with_game, without):
        movers = {name: torch.optim.SGD(group, lr=0.1) for name, group in method.networks().items()}
        train_step(method, [batch()], movers)
    mine, theirs = parameters_of(with_game.segmenter), parameters_of(without.segmenter)
    moved = {name: (mine[name] - theirs[name]).abs().max().item() for name in mine}
    assert max(moved[name] for name in moved if name.startswith("head.")) == 0
    assert max(moved[name] for name in moved if name.startswith("backbone.")) > 1e-5


def test_micro_batches_equal_the_whole_batch() -> None:
    whole = align({**TERM, "weight": 0.5})
    split = copy.deepcopy(whole)
    whole_movers, split_movers = optimizers(whole.networks()), optimizers(split.networks())
    for step in range(2):
        data = batch(step, images=4, ignored=False)
        one = train_step(whole, [data], whole_movers)
        two = train_step(split, split_batch(data, 2), split_movers)
        assert one.values() == pytest.approx(two.values(), rel=1e-4)
    assert largest_difference(parameters_of(whole.segmenter), parameters_of(split.segmenter)) < 1e-5


def test_the_discriminator_has_the_papers_shape() -> None:
    judge = FineGrainedDiscriminator(6, 5)
    layers = list(judge.layers)
    assert [type(layer) for layer in layers] == [nn.Conv2d, nn.LeakyReLU] * 2 + [nn.Conv2d]
    assert [layer.out_channels for layer in layers[::2]] == [256, 128, 10]
    assert {layer.negative_slope for layer in layers[1::2]} == {0.2}
    assert judge(torch.zeros(2, 6, 5, 3)).shape == (2, 10, 5, 3)
    narrow = FineGrainedDiscriminator(6, 5, (4, 3)).layers
    assert [layer.out_channels for layer in narrow if isinstance(layer, nn.Conv2d)] == [4, 3, 10]


def test_tempered_supervision_refuses_an_auxiliary_head() -> None:
    with pytest.raises(InputError, match="tempered_supervision: false") as error:
        align({**TERM, "tempered_supervision": True}, segmenter=tiny_segmenter(auxiliary_head=True))
    assert len(str(error.value).splitlines()) == 1
    align(TERM, segmenter=tiny_segmenter(auxiliary_head=True))


@pytest.mark.parametrize("key", ["temperature", "clip", "threshold"])
def test_settings_out_of_range_are_one_line(key: str) -> None:
    with pytest.raises(InputError, match=rf"terms\.0: `{key}` = 2|terms\.0: `{key}` = 0"):
        align({**TERM, key: 0 if key == "temperature" else 2})
