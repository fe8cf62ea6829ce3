"""Class-balanced self-training against thresholds and steps written out."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segshift.engine.step import train_step
from segshift.methods import Method
from segshift.methods.balanced_self_training import BalancedSelfTraining
from tests.methods.networks import (
    align,
    batch,
    largest_difference,
    optimizers,
    parameters_of,
    tiny_segmenter,
    without_source,
)

PLAIN = {"term": "balanced_self_training", "color_jitter": 0, "blur": 0, "portion": 0.3}


def term_of(method: Method) -> BalancedSelfTraining:
    term = method.terms[0]
    assert isinstance(term, BalancedSelfTraining)
    return term


def predicted(network: Any, images: Tensor) -> Tensor:
    logits = network(network.normalize(images)).logits
    return F.interpolate(logits, images.shape[-2:], mode="bilinear", align_corners=True)


def test_each_class_keeps_its_surest_share_and_its_threshold_moves() -> None:
    term = term_of(align({**PLAIN, "threshold_decay": 0.75}))
    generator = np.random.default_rng(0)
    expected = np.full(3, np.nan)
    for step in range(3):
        confidence = generator.random((2, 6, 7)).astype(np.float32)
        # The last class comes in the second batch alone.
        labels = generator.integers(0, 3 if step == 1 else 2, confidence.shape)
        for index in range(3):
            own = np.sort(confidence[labels == index])[::-1]
            if not len(own):
                continue
            surest = own[max(1, round(0.3 * len(own))) - 1]
            before = expected[index]
            expected[index] = surest if np.isnan(before) else 0.75 * before + 0.25 * surest
        weights = term._weights(torch.from_numpy(confidence), torch.from_numpy(labels))
        for place in np.ndindex(*labels.shape):
            assert weights[place].item() == float(confidence[place] >= np.float32(expected[labels[place]]))
        known = ~np.isnan(expected)
        np.testing.assert_allclose(term.thresholds.numpy()[known], expected[known], rtol=1e-6)
        assert (term.thresholds.numpy()[~known] < 0).all()


def test_a_step_without_source_images_equals_a_handwritten_one() -> None:
    """The teacher is another network than the student; momentum and weight decay take part."""
    method = align({**PLAIN, "weight": 0.7, "ema_decay": 0.6})
    term, data = term_of(method), without_source(batch(1))
    with torch.no_grad():
        for parameter in term.teacher.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    teacher, student = copy.deepcopy(term.teacher), copy.deepcopy(method.segmenter)
    with torch.no_grad():
        confidence, labels = predicted(teacher, data.target_images).softmax(1).max(1)
    kept = torch.zeros_like(confidence)
    for index in labels.unique():
        own = confidence[labels == index].sort(descending=True).values
        kept[(labels == index) & (confidence >= own[max(1, round(0.3 * len(own))) - 1])] = 1
    losses = F.cross_entropy(predicted(student, data.target_images), labels, reduction="none")
    loss = 0.7 * (kept * losses).mean()
    mover = optimizers({"segmenter": list(student.parameters())})["segmenter"]
    loss.backward()
    mover.step()
    log = train_step(method, [data], optimizers(method.networks()))
    assert log.schedule == ["segmenter"]
    assert log.values() == {"segmenter/balanced_self_training_surest": pytest.approx(loss.item(), rel=1e-5)}
    share = log.observations()["segmenter/balanced_self_training_accepted_share"]
    assert share == pytest.approx(kept.mean().item()) and 0.3 <= share < 0.35
    assert largest_difference(parameters_of(method.segmenter), parameters_of(student)) < 1e-6
    # The second step of the average: the teacher moves by half.
    moved = {name: 0.5 * (a + parameters_of(student)[name]) for name, a in parameters_of(teacher).items()}
    assert largest_difference(parameters_of(term.teacher), moved) < 1e-6


def test_one_class_is_no_matter_and_a_resumed_run_knows_its_thresholds() -> None:
    term = term_of(align(PLAIN))
    term._weights(torch.tensor([[[0.5, 0.9, 0.7]]]), torch.tensor([[[1, 1, 1]]]))
    other = term_of(align(PLAIN))
    other.load_state_dict(term.state_dict())
    assert torch.equal(other.thresholds, term.thresholds)
    assert other.thresholds.tolist() == [-1, pytest.approx(0.9), -1]


def test_masked_images_use_its_teacher_and_its_labels() -> None:
    method = align(PLAIN, {"term": "masked_consistency", "block_px": 16}, segmenter=tiny_segmenter())
    log = train_step(method, [without_source(batch(0))], optimizers(method.networks()))
    assert {name.rpartition("/")[2] for name in log.values()} == {
        "balanced_self_training_surest",
        "masked_consistency_masked",
    }
    assert list(log.observations()) == ["segmenter/balanced_self_training_accepted_share"]
    assert sum(isinstance(module, nn.Module) for module in method.terms) == 2
