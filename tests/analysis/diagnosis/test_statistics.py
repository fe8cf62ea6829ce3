"""Distances between two domains, against SciPy and by construction."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from segshift.analysis.diagnosis.maps import class_areas
from segshift.analysis.diagnosis.statistics import (
    ColorCounts,
    LabelCounts,
    divergence_by_class,
    half_of,
    jensen_shannon_bits,
    layout_distance,
    placement_distance,
    spatial_distance,
    wasserstein,
)

RANDOM = np.random.default_rng(0)


def test_divergences_are_those_of_scipy() -> None:
    p, q = RANDOM.dirichlet(np.ones(6), 2)
    q[2] = 0
    q /= q.sum()
    assert float(jensen_shannon_bits(p, q)) == pytest.approx(jensenshannon(p, q, base=2) ** 2)
    assert divergence_by_class(p, q).sum() == pytest.approx(float(jensen_shannon_bits(p, q)))
    assert (divergence_by_class(p, q) >= 0).all() and int(divergence_by_class(p, q).argmax()) >= 0
    assert float(jensen_shannon_bits(np.array([1.0, 0]), np.array([0, 1.0]))) == pytest.approx(1)
    maps = np.moveaxis(RANDOM.dirichlet(np.ones(3), (2, 4, 5)), -1, 1)
    expected = np.mean(
        [jensenshannon(maps[0, :, y, x], maps[1, :, y, x], base=2) ** 2 for y in range(4) for x in range(5)]
    )
    assert spatial_distance(maps[0], maps[1]) == pytest.approx(expected)
    # A place without a label in one domain says nothing.
    maps[0, :, 0, 0] = 0
    assert np.isfinite(spatial_distance(maps[0], maps[1]))


def test_placement_does_not_depend_on_frequency() -> None:
    a = np.zeros((4, 4))
    a[0] = 0.8
    assert placement_distance(a, a / 10) == pytest.approx(0)
    assert placement_distance(a, a[::-1]) == pytest.approx(1)
    assert np.isnan(placement_distance(a, np.zeros((4, 4))))


def test_layouts_are_compared_whatever_the_shares() -> None:
    a = np.zeros((3, 4, 4))
    a[0, :2], a[1, 2:] = 1, 1
    assert layout_distance(a, a[:, ::-1]) == pytest.approx(1)
    rare = a.copy()
    rare[0, :2], rare[2, :2] = 0.4, 0.6
    assert layout_distance(a, rare) == pytest.approx(0)
    # The second class is half a map, and half of it lies elsewhere; the first has 3 of 4 quarters.
    b = np.zeros((3, 4, 4))
    b[0, :2], b[0, 2:, :2], b[1, 2:, 2:] = 1, 1, 1
    expected = (20 * (1 / 3) + 12 * 0.5) / 32
    assert layout_distance(a, b) == pytest.approx(expected)
    # What one domain leaves unlabelled says nothing about places.
    b[:, 2:, :2] = 0
    assert layout_distance(a, b) == pytest.approx(0)
    assert np.isnan(layout_distance(a, np.roll(a, 1, axis=0)[[0, 0, 0]]))


def test_counts_of_classes() -> None:
    counts = LabelCounts(3, (2, 2))
    first = np.array([[0, 0], [1, 255]], np.uint8)
    second = np.full((4, 4), 1, np.uint8)
    for half, label in enumerate((first, second)):
        counts.add(label, class_areas(label, 3, (2, 2)), half)
    np.testing.assert_allclose(counts.shares(), [2 / 7, 5 / 7, 0])
    np.testing.assert_allclose(counts.shares(1), [0, 1, 0])
    np.testing.assert_allclose(counts.image_shares, [0.5, 1, 0])
    assert counts.ignored_share == pytest.approx(0.125)
    np.testing.assert_allclose(counts.maps()[1], np.array([[0.5, 0.5], [1, 1]]))
    assert [half_of(index, 8) for index in range(8)] == [0, 0, 1, 1, 0, 0, 1, 1]


def test_colors_are_those_of_the_pixels() -> None:
    first = RANDOM.integers(0, 200, (30, 40, 3), dtype=np.uint8)
    second = RANDOM.integers(60, 256, (20, 30, 3), dtype=np.uint8)
    counts = ColorCounts(), ColorCounts()
    for one, image in zip(counts, (first, second), strict=True):
        one.add(image)
    for channel in range(3):
        a, b = first[..., channel].ravel(), second[..., channel].ravel()
        assert wasserstein(*counts, channel) == pytest.approx(stats.wasserstein_distance(a, b))
        assert counts[0].mean_std(channel) == pytest.approx((a.mean(), a.std()))
    gray = ColorCounts()
    gray.add(np.full((9, 9, 3), 119, np.uint8))
    # The CIE formula: L = 116 (Y)^(1/3) - 16 with Y the linear intensity.
    linear = ((119 / 255 + 0.055) / 1.055) ** 2.4
    assert gray.mean_std(3)[0] == pytest.approx(116 * linear ** (1 / 3) - 16, abs=0.3)
    assert gray.mean_std(4)[0] == pytest.approx(0, abs=0.5)
