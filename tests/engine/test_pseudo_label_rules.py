"""Rules of pseudo labels against sorting and loops."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from segshift.engine.pseudo_label_rules import (
    BINS,
    ConfidenceHistogram,
    LabelChoice,
    Rule,
    bin_confidence,
    doubts,
)

K = 4


def probabilities(seed: int = 0, scale: float = 4.0) -> Tensor:
    """Two images; the last class is never the most probable."""
    logits = scale * torch.randn(2, K, 30, 40, generator=torch.Generator().manual_seed(seed))
    logits[:, K - 1] -= 400
    return logits.softmax(1)


def select(
    rule: Rule, probs: Tensor, portion: float, threshold: float = 0.9, min_share: float = 0
) -> LabelChoice:
    histogram = ConfidenceHistogram(K)
    for part in probs.split(1):
        histogram.add(part)
    return LabelChoice(rule, threshold, histogram.last_bins(portion, min_share))


@pytest.mark.parametrize("portion", [0.01, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("scale", [1.0, 15.0])
def test_thresholds_equal_sorting(portion: float, scale: float) -> None:
    probs = probabilities(scale=scale).double()
    thresholds = select("class_balanced", probs.float(), portion).class_thresholds(K)
    ids = probs.argmax(1)
    for k in range(K - 1):
        others = probs.scatter(1, ids[:, None], 0).sum(1)[ids == k].numpy()
        exact = np.sort(others)[int(np.ceil(portion * len(others))) - 1]
        found = thresholds[k]
        assert found is not None
        # A bin spans a factor of 1.0034 of the distance from 1.
        assert max(exact, 1e-12) <= (1 - found) * 1.0001 + 1e-12
        assert (1 - found) <= max(exact, 1e-12) * 1.0036 + 1e-12
    assert thresholds[K - 1] is None


def test_confidences_near_one_are_told_apart() -> None:
    """float32 rounds all of these probabilities to 1."""
    small = torch.tensor([1e-8, 1e-9, 1e-10, 1e-11])
    probs = torch.stack([torch.ones(4), small]).view(1, 2, 1, 4)
    assert (probs[:, 0] == 1).all()
    _, _, bins = doubts(probs)
    assert (bins.flatten().diff() < 0).all()
    histogram = ConfidenceHistogram(2)
    histogram.add(probs)
    labels, _ = LabelChoice("class_balanced", 0.9, histogram.last_bins(0.5)).labels(probs)
    assert labels.flatten().tolist() == [255, 255, 0, 0]


def test_bins_cover_all_confidences() -> None:
    probs = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.999, 0.001]]).T.reshape(1, 2, 1, 3)
    ids, confidence, bins = doubts(probs)
    assert ids.flatten().tolist() == [0, 0, 0] and confidence.flatten().tolist() == pytest.approx(
        [1, 0.5, 0.999]
    )
    assert bins.flatten()[0] == 0 and 0 < bins.flatten()[2] < bins.flatten()[1] < BINS
    for value, number in zip((0.5, 0.999), bins.flatten()[1:].tolist(), strict=True):
        assert bin_confidence(number) <= value <= bin_confidence(number - 1) + 1e-6


def test_class_balanced_equals_a_loop() -> None:
    # Class 0 is sure of itself in most places; class 1 never is, but comes close where class 0 is unsure.
    kinds = torch.tensor([[0.97, 0.01, 0.01, 0.01], [0.55, 0.40, 0.04, 0.01], [0.25, 0.41, 0.33, 0.01]])
    kind = torch.multinomial(
        torch.tensor([0.6, 0.3, 0.1]), 2400, True, generator=torch.Generator().manual_seed(0)
    )
    noise = 0.1 * torch.randn(2, K, 30, 40, generator=torch.Generator().manual_seed(1))
    probs = (kinds[kind].view(2, 30, 40, K).permute(0, 3, 1, 2).log() + noise).softmax(1)
    selection = select("class_balanced", probs, 0.3)
    labels, given = selection.labels(probs)
    ids = probs.argmax(1)
    thresholds = selection.class_thresholds(K)
    relabelled = 0
    for n in range(2):
        for h in range(30):
            for w in range(40):
                ratios = [
                    0.0 if limit is None else probs[n, k, h, w].item() / limit
                    for k, limit in enumerate(thresholds)
                ]
                best = int(np.argmax(ratios))
                if abs(max(ratios) - 1) < 1e-5:
                    continue
                expected = best if max(ratios) >= 1 else 255
                assert labels[n, h, w].item() == expected
                relabelled += expected not in (255, ids[n, h, w].item())
    assert relabelled > 10
    # What is kept of a class is a part of what the class is given.
    assert torch.equal(given, torch.where(labels == 255, ids, labels))
    plain, _ = replace(selection, weigh_classes=False).labels(probs)
    for k in range(2):
        share = (plain[ids == k] == k).float().mean().item()
        assert 0.3 <= share < 0.31
    assert torch.equal(plain[plain != 255], ids[plain != 255])
    kept = labels != 255
    for k in range(2):
        assert (kept & (ids == k)).sum() >= 0.3 * (ids == k).sum()


@pytest.mark.parametrize("portion", [0.1, 0.5])
def test_class_threshold_keeps_a_share_and_all_that_is_sure(portion: float) -> None:
    probs = probabilities()
    selection = select("class_threshold", probs, portion, threshold=0.95)
    labels, ids = selection.labels(probs)
    confidence = probs.amax(1)
    for k in range(K - 1):
        of_class = confidence[ids == k]
        limit = min(
            0.95, of_class.sort(descending=True).values[int(np.ceil(portion * len(of_class))) - 1].item()
        )
        reported = selection.class_thresholds(K)[k]
        assert reported == pytest.approx(limit, abs=2e-4)
        decided = (of_class - limit).abs() > 1e-3
        assert torch.equal((labels[ids == k] == k)[decided], (of_class >= limit)[decided])
    assert set(labels.unique().tolist()) <= {0, 1, 2, 255}


def test_rules_without_classes() -> None:
    probs = probabilities()
    confidence, ids = probs.max(1)
    everything = LabelChoice("none", 0.9)
    assert torch.equal(everything.labels(probs)[0], ids) and everything.class_thresholds(2) == [None, None]
    sure = LabelChoice("confidence", 0.8)
    labels, _ = sure.labels(probs)
    assert torch.equal(labels, torch.where(confidence > 0.8, ids, 255))
    assert 0 < (labels == 255).sum() < labels.numel() and sure.class_thresholds(2) == [0.8, 0.8]


@pytest.mark.parametrize("rule", ["class_threshold", "class_balanced"])
def test_a_class_with_few_pixels_keeps_none(rule: Rule) -> None:
    probs = probabilities()
    probs[:, :, 1:, :] = torch.tensor([0.99, 0.01, 0.0, 0.0]).view(1, K, 1, 1)
    counts = torch.bincount(probs.argmax(1).flatten(), minlength=K)
    assert 0 < counts[1] < 100 < counts[0]
    labels, _ = select(rule, probs, 0.5, min_share=100 / 2400).labels(probs)
    assert (labels == 0).any() and not (labels == 1).any() and not (labels == 2).any()
    labels, _ = select(rule, probs, 0.5).labels(probs)
    assert (labels == 1).any()
