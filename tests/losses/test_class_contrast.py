"""Contrast to class distributions against a loop over pixels and classes, and against drawn samples."""

import math

import pytest
import torch
from torch import Tensor

from segshift.losses.class_contrast import class_contrast

IGNORED = 255


def drawn(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.nn.functional.normalize(torch.randn(2, 4, 3, 5, generator=generator), dim=1)
    labels = torch.randint(0, 3, (2, 3, 5), generator=generator)
    labels[0, 0] = IGNORED
    mean = torch.randn(3, 4, generator=generator)
    return features, labels, mean, torch.rand(3, 4, generator=generator)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 100.0])
def test_it_equals_a_loop_over_pixels_and_classes(temperature: float) -> None:
    features, labels, mean, variance = drawn()
    losses = []
    for n in range(2):
        for y in range(3):
            for x in range(5):
                label, q = int(labels[n, y, x]), features[n, :, y, x].tolist()
                if label == IGNORED:
                    continue
                scores, spreads = [], []
                for c in range(3):
                    spread = sum(q[a] ** 2 * float(variance[c, a]) for a in range(4)) / (2 * temperature**2)
                    spreads.append(spread)
                    scores.append(sum(q[a] * float(mean[c, a]) for a in range(4)) / temperature + spread)
                log_sum = math.log(sum(math.exp(score) for score in scores))
                losses.append(log_sum - scores[label] + spreads[label])
    expected = sum(losses) / len(losses)
    result = class_contrast(features, labels, mean, variance, temperature)
    assert result.item() == pytest.approx(expected, rel=1e-5)


def test_it_bounds_the_contrast_to_samples_of_the_classes() -> None:
    """What it stands for: the mean of InfoNCE over positives and negatives that are drawn."""
    features, labels, mean, variance = drawn(1)
    variance = 0.1 * variance
    generator = torch.Generator().manual_seed(2)
    samples = mean + variance.sqrt() * torch.randn(4000, 3, 4, generator=generator)
    similarities = torch.einsum("nahw,sca->snchw", features, samples)
    negatives = similarities.exp().mean(dim=0)
    total, count = 0.0, 0
    for n, y, x in (labels != IGNORED).nonzero().tolist():
        label = int(labels[n, y, x])
        others = negatives[n, :, y, x].sum() - negatives[n, label, y, x]
        positive = similarities[:, n, label, y, x]
        total += (torch.log(positive.exp() + others) - positive).mean().item()
        count += 1
    sampled = total / count
    bound = class_contrast(features, labels, mean, variance, 1.0).item()
    assert sampled <= bound + 0.01 and bound - sampled < 0.1


def test_without_variance_it_is_contrast_to_prototypes_and_without_labels_nothing() -> None:
    features, labels, mean, variance = drawn()
    features.requires_grad_(True)
    plain = class_contrast(features, labels, mean, 0 * variance, 0.5)
    similarities = torch.einsum("nahw,ca->nchw", features, mean) / 0.5
    expected = torch.nn.functional.cross_entropy(similarities, labels, ignore_index=IGNORED)
    torch.testing.assert_close(plain, expected)
    nothing = class_contrast(features, torch.full_like(labels, IGNORED), mean, variance, 0.5)
    (gradient,) = torch.autograd.grad(nothing, features)
    assert nothing.item() == 0 and not gradient.any()


def test_its_gradient_is_that_of_differences() -> None:
    features, labels, mean, variance = (value.double() for value in drawn(3))
    features.requires_grad_(True)
    assert torch.autograd.gradcheck(
        lambda one: class_contrast(one, labels.long(), mean, variance, 0.7), (features,)
    )
