"""Held-out images, and intervals of errors."""

import numpy as np
import pytest
from scipy import stats

from segshift.analysis.diagnosis.held_out import effective_count, hold_out, proxy_a_distance, wilson


@pytest.mark.parametrize(("count", "held_out"), [(8, 2), (50, 12), (300, 75), (1000, 500), (9, 4)])
def test_stretches_are_held_out_and_their_neighbors_not_trained_on(count: int, held_out: int) -> None:
    turns = [hold_out(count, held_out, turn) for turn in range(count // held_out)]
    for train, test in turns:
        assert len(test) == held_out and not set(train) & set(test) and len(train)
        # At most two stretches, each of which may wrap around the end of its half.
        assert np.count_nonzero(np.diff(test) > 1) <= 3
        if count >= 32:
            assert min(abs(int(a) - int(b)) for a in train for b in test) >= 2
    tested = np.concatenate([test for _, test in turns])
    assert len(set(tested.tolist())) >= 0.9 * held_out * len(turns)


@pytest.mark.parametrize(("wrong", "count"), [(0, 20), (7, 20), (10, 20), (45, 450)])
def test_intervals_are_wilsons(wrong: int, count: int) -> None:
    expected = stats.binomtest(wrong, count).proportion_ci(method="wilson")
    assert wilson(wrong / count, count) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_images_of_one_scene_count_less() -> None:
    independent = np.random.default_rng(0).integers(0, 2, (40, 50)).astype(float)
    many = 10**9
    assert effective_count(2000, list(independent), many) > 1700
    scenes = np.repeat(independent[:, :10], 5, axis=1)
    assert effective_count(2000, list(scenes), many) < 700
    # A classifier that calls everything source is wrong about all of the target, which is no scene.
    assert effective_count(40, [np.zeros(20), np.ones(20)], 120) == 40
    # Three seeds that train on what the others are tested on are less than three independent tests.
    assert effective_count(120, [np.zeros(20), np.ones(20)] * 3, 120) == 60
    assert proxy_a_distance(0.5) == 0 and proxy_a_distance(0.0) == 2
