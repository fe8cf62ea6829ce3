"""Screened self-training against a step written by hand."""

import copy
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segshift.engine.step import train_step
from segshift.methods import Batch, Method
from segshift.models.segmenter import Segmenter
from tests.methods.networks import (
    CLASSES,
    align,
    batch,
    largest_difference,
    optimizers,
    parameters_of,
)

K = CLASSES.count
# Far above the defaults, so that nothing can be left out unnoticed.
TERM = {
    "term": "screened_self_training",
    "source_weight": 30.0,
    "weight": 20.0,
    "self_training_weight": 2.0,
    "self_training_start_step": 1,
    "base_channels": 4,
}


def logits_of(segmenter: Segmenter, images: Tensor) -> Tensor:
    output = segmenter((images - segmenter.mean) / segmenter.std)
    return F.interpolate(output.logits, size=images.shape[-2:], mode="bilinear", align_corners=True)


def judged(judge: nn.Module, maps: Tensor) -> Tensor:
    return F.interpolate(judge(maps), size=maps.shape[-2:], mode="bilinear", align_corners=True)[:, 0]


def bce(logits: Tensor, value: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, value))


def by_hand(segmenter: Segmenter, judge: nn.Module, batches: list[Batch], threshold: float) -> list[float]:
    movers = optimizers({"segmenter": list(segmenter.parameters()), "judge": list(judge.parameters())})
    kept = []
    for data in batches:
        for mover in movers.values():
            mover.zero_grad()
        labels = data.source_labels
        valid = labels != 255
        source, target = logits_of(segmenter, data.source_images), logits_of(segmenter, data.target_images)
        loss = F.cross_entropy(source, labels, ignore_index=255)
        loss = loss + 30 * bce(judged(judge, source.softmax(1))[valid], 0.0)
        scores = judged(judge, target.softmax(1))
        loss = loss + 20 * bce(scores, 0.0)
        if data.step >= 1:
            mask = (1 - scores.detach().sigmoid()) > threshold
            kept.append(mask.float().mean().item())
            per_pixel = F.cross_entropy(target, target.detach().argmax(1), reduction="none")
            loss = loss + 2 * (per_pixel * mask).sum() / mask.sum().clamp_min(1)
        loss.backward()
        one_hot = torch.zeros_like(source)
        for k in range(K):
            one_hot[:, k] = labels == k
        movers["judge"].zero_grad()
        wrong = 0.5 * bce(judged(judge, one_hot)[valid], 0.0)
        (wrong + 0.5 * bce(judged(judge, source.detach().softmax(1))[valid], 1.0)).backward()
        for mover in movers.values():
            mover.step()
    return kept


def confident(**changes: float) -> Method:
    """Its maps differ between images, and its discriminator cares."""
    method = align({**TERM, **changes})
    with torch.no_grad():
        for parameter in method.segmenter.head.parameters():
            parameter.mul_(30)
        for parameter in method.terms[0].adversary.parameters():
            parameter.mul_(4)
    return method


def batches_of_steps() -> list[Batch]:
    """Two steps with targets of 2 x 3 discriminator cells, the second image nearly black."""
    drawn = []
    for step in range(2):
        images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(step))
        images[1] *= 0.02
        drawn.append(replace(batch(step), target_images=images))
    return drawn


def test_steps_equal_a_loop_written_by_hand_whatever_is_kept() -> None:
    # What the discriminator thinks in the second step, from a first run.
    trial = confident()
    first, second = batches_of_steps()
    train_step(trial, [first], optimizers(trial.networks()))
    with torch.no_grad():
        probs = logits_of(trial.segmenter, second.target_images).softmax(1)
        means = (1 - judged(trial.terms[0].adversary, probs).sigmoid()).mean((1, 2))
    assert (means[0] - means[1]).abs() > 1e-3
    for threshold in (0.2, means.mean().item()):
        check(threshold, some=threshold != 0.2)


def check(threshold: float, some: bool) -> None:
    method = confident(threshold=threshold)
    segmenter, judge = copy.deepcopy(method.segmenter), copy.deepcopy(method.terms[0].adversary)
    batches = batches_of_steps()
    movers = optimizers(method.networks())
    logs = [train_step(method, [data], movers) for data in batches]
    assert logs[0].schedule == logs[1].schedule == ["segmenter*", "segmenter", "screened_self_training"]
    names = [{name for name in log.losses if "self_training_self_training" in name} for log in logs]
    assert not names[0] and names[1]
    kept = by_hand(segmenter, judge, batches, threshold)
    assert 0.1 < kept[0] < 0.9 if some else kept[0] == 1
    assert largest_difference(parameters_of(method.segmenter), parameters_of(segmenter)) < 5e-6
    assert largest_difference(parameters_of(method.terms[0].adversary), parameters_of(judge)) < 5e-6


def test_a_source_without_labels_leaves_the_discriminator_unmoved() -> None:
    method = align(TERM)
    data = batch()
    data.source_labels.fill_(255)
    log = train_step(method, [data], optimizers(method.networks())).values()
    assert log["screened_self_training/labels"] == log["screened_self_training/predictions"] == 0
    assert log["segmenter/screened_self_training_source_adversarial"] == 0
