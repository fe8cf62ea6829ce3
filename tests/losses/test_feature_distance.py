"""The feature distance against a loop over cells."""

import numpy as np
import pytest
import torch

from segshift.losses.feature_distance import feature_distance


def test_it_is_the_mean_norm_over_the_counted_cells() -> None:
    generator = torch.Generator().manual_seed(0)
    features, reference = (torch.randn(2, 5, 3, 4, generator=generator) for _ in range(2))
    counted = torch.rand(2, 3, 4, generator=generator) < 0.4
    norms = [
        np.sqrt(sum(float(features[n, f, y, x] - reference[n, f, y, x]) ** 2 for f in range(5)))
        for n, y, x in counted.nonzero().tolist()
    ]
    assert feature_distance(features, reference, counted).item() == pytest.approx(np.mean(norms), rel=1e-5)


def test_nothing_counted_and_nothing_moved_are_zero_with_zero_gradient() -> None:
    features = torch.randn(1, 3, 2, 2, requires_grad=True)
    for reference, counted in ((torch.zeros(1, 3, 2, 2), False), (features.detach().clone(), True)):
        loss = feature_distance(features, reference, torch.full((1, 2, 2), counted))
        (gradient,) = torch.autograd.grad(loss, features)
        assert loss.item() == 0 and torch.equal(gradient, torch.zeros_like(gradient))


def test_its_gradient_is_that_of_differences() -> None:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(1, 3, 2, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    reference = torch.randn(1, 3, 2, 2, generator=generator, dtype=torch.float64)
    counted = torch.tensor([[[True, False], [True, True]]])
    assert torch.autograd.gradcheck(lambda one: feature_distance(one, reference, counted), (features,))
