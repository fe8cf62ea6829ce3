"""The separability experiment on domains whose answer is known by construction."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from segshift.analysis.diagnosis.separability import Separability, SeparabilitySettings, separability

Maps = NDArray[np.uint8]
FAST = SeparabilitySettings(iterations=60, validate_every=10, seeds=(0, 1))


def shapes(count: int, seed: int, low: float, high: float) -> Maps:
    """(N, 24, 32) squares of two classes on a uniform background, between two heights of the map."""
    random = np.random.default_rng(seed)
    maps = np.zeros((count, 24, 32), np.uint8)
    for one in maps:
        for _ in range(6):
            top, left = int(random.uniform(24 * low, 24 * high - 2)), int(random.integers(0, 30))
            one[top : top + 2, left : left + 2] = random.integers(1, 3)
    return maps


def at_chance(found: Separability) -> bool:
    return found.interval[0] <= 0.5 <= found.interval[1]


@pytest.mark.parametrize("patch", [(4, 4), (10, 10), None])
def test_two_samples_of_one_kind_stay_at_chance(patch: tuple[int, int] | None) -> None:
    found = separability((shapes(60, 1, 0, 1), shapes(60, 2, 0, 1)), patch, 3, FAST)
    assert at_chance(found) and abs(found.error - 0.5) < 0.12


def test_layout_alone_is_seen_in_whole_maps_and_not_in_small_patches() -> None:
    domains = shapes(60, 1, 0, 0.5), shapes(60, 2, 0.5, 1)
    whole, small = (separability(domains, patch, 3, FAST) for patch in (None, (4, 4)))
    assert whole.error < 0.05 and whole.interval[1] < 0.15
    assert small.error > 0.4 and small.interval[1] > 0.45
    assert whole.errors.shape == (2, 6) and whole.iterations == (10, 20, 30, 40, 50, 60)
    document = whole.to_dict()
    assert document["proxy_a_distance"] == pytest.approx(2 * (1 - 2 * document["error"]))
    assert document["curve"]["mean"][-1] == pytest.approx(whole.errors[:, -1].mean())
    assert document["error"] == pytest.approx(whole.errors[:, -3:].mean())


def test_a_class_of_one_domain_gives_it_away_at_every_size() -> None:
    source = shapes(60, 1, 0, 1)
    target = np.where(shapes(60, 2, 0, 1) == 0, 3, shapes(60, 2, 0, 1)).astype(np.uint8)
    assert separability((source, target), (4, 4), 4, FAST).error < 0.05


def test_noise_is_not_learnt_by_heart_into_a_difference() -> None:
    """Training error would be 0 here; only images that were held out count."""
    random = np.random.default_rng(0)
    domains = tuple(random.integers(0, 4, (16, 24, 32), dtype=np.uint8) for _ in range(2))
    assert at_chance(separability((domains[0], domains[1]), None, 4, FAST))


def test_style_alone_is_seen_in_images() -> None:
    random = np.random.default_rng(0)
    images = [random.integers(60, 200, (40, 24, 32, 3), dtype=np.uint8) for _ in range(2)]
    settings = replace(FAST, iterations=40)
    assert at_chance(separability((images[0], images[1]), None, None, settings))
    warmer = np.clip(images[1].astype(int) + np.array([25, 0, -25]), 0, 255).astype(np.uint8)
    assert separability((images[0], warmer), (6, 6), None, settings).error < 0.05


def test_the_same_seeds_give_the_same_curves() -> None:
    domains = shapes(20, 1, 0, 0.6), shapes(20, 2, 0.4, 1)
    settings = replace(FAST, iterations=10, validate_every=5)
    first, again = (separability(domains, (8, 8), 3, settings) for _ in range(2))
    np.testing.assert_array_equal(first.errors, again.errors)
    other = separability(domains, (8, 8), 3, replace(settings, seeds=(7, 8)))
    assert (first.errors != other.errors).any()


def test_domains_of_different_size_are_balanced() -> None:
    found = separability((shapes(90, 1, 0, 1), shapes(16, 2, 0, 1)), None, 3, FAST)
    assert found.images == 2 * 2 * 4 and at_chance(found)


def test_the_papers_network_takes_the_same_maps() -> None:
    settings = replace(FAST, network="resnet18", iterations=4, validate_every=2, seeds=(0,))
    found = separability((shapes(12, 1, 0, 0.5), shapes(12, 2, 0.5, 1)), None, 3, settings)
    assert found.errors.shape == (1, 2)
