"""Domains told apart by features."""

import numpy as np

from segshift.analysis.diagnosis.features import linear_separability
from tests.analysis.diagnosis.test_separability import at_chance


def test_features_are_judged_by_a_linear_classifier() -> None:
    random = np.random.default_rng(0)
    a, b = (random.normal(size=(80, 30)).astype(np.float32) for _ in range(2))
    assert at_chance(linear_separability((a, b), None, (0, 1, 2)))
    apart = linear_separability((a, b + 2), None, (0, 1, 2))
    assert apart.error < 0.02 and apart.to_dict()["proxy_a_distance"] > 1.9
    assert "curve" not in apart.to_dict() and apart.images == 3 * 2 * 20
