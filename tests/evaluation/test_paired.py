"""The paired bootstrap: against a loop, its symmetries, and how often its interval holds the truth."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from segshift.errors import InputError
from segshift.evaluation import ClassCounts, EvaluationResult, compare_paired, miou

NAMES = ("road", "car", "sky")


def result(confusions: NDArray[np.int64], **fields: object) -> EvaluationResult:
    """From (N, C, C) confusions of N images."""
    hits = np.diagonal(confusions, axis1=1, axis2=2)
    counts = ClassCounts(tuple(map(str, range(len(confusions)))), hits, confusions.sum(2), confusions.sum(1))
    return replace(EvaluationResult(confusions.sum(0), NAMES, per_image=counts), **fields)  # type: ignore[arg-type]


def images(
    count: int, skill: float, generator: np.random.Generator, truth: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(N, C, C): every pixel of a class is right with an image's own probability around `skill`."""
    share = np.clip(skill + 0.1 * generator.standard_normal((count, 1)), 0, 1)
    right = generator.binomial(truth, share)
    confusions = np.zeros((count, 3, 3), np.int64)
    for index in range(3):
        confusions[:, index, index] = right[:, index]
        confusions[:, index, (index + 1) % 3] = truth[:, index] - right[:, index]
    return confusions


def pair(seed: int, count: int = 40, gain: float = 0.02) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(20, 400, (count, 3)) * (generator.random((count, 3)) < 0.8)
    return images(count, 0.7, generator, truth), images(count, 0.7 + gain, generator, truth)


def test_the_interval_is_that_of_a_loop_over_resamples() -> None:
    a, b = pair(0)
    found = compare_paired(result(a), result(b), resamples=300, seed=3)
    weights = np.random.default_rng(3).multinomial(40, np.full(40, 1 / 40), size=300)
    differences = []
    for row in weights:
        drawn = np.repeat(np.arange(40), row)
        differences.append(miou(b[drawn].sum(0)) - miou(a[drawn].sum(0)))
    assert found.interval == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=1e-12)
    assert found.share_b_better == pytest.approx(np.mean(np.array(differences) > 0))
    assert found.difference == pytest.approx(miou(b.sum(0)) - miou(a.sum(0)))


def test_chunks_of_resamples_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = pair(1)
    whole = compare_paired(result(a), result(b), resamples=100)
    monkeypatch.setattr("segshift.evaluation.paired._WEIGHTS_AT_ONCE", 40 * 7)
    assert compare_paired(result(a), result(b), resamples=100).interval == pytest.approx(whole.interval)


def test_equal_models_differ_by_exactly_nothing() -> None:
    a, _ = pair(2)
    found = compare_paired(result(a), result(a))
    assert (found.difference, found.interval, found.share_b_better) == (0, (0, 0), 0)
    assert not found.decided and not found.class_interval.any()
    assert "score the same on every resample of the 40 images" in found.verdict("x", "y")


def test_exchanging_the_models_flips_the_sign() -> None:
    a, b = map(result, pair(3))
    there, back = compare_paired(a, b), compare_paired(b, a)
    assert back.interval == pytest.approx((-there.interval[1], -there.interval[0]))
    np.testing.assert_allclose(back.class_interval, -there.class_interval[:, ::-1])
    assert back.difference == -there.difference
    assert back.share_b_better == pytest.approx(1 - there.share_b_better)


def test_the_interval_holds_the_true_difference_about_as_often_as_it_says() -> None:
    population_a, population_b = pair(4, count=4000)
    truth = miou(population_b.sum(0)) - miou(population_a.sum(0))
    generator = np.random.default_rng(5)
    held = 0
    for _ in range(200):
        drawn = generator.choice(4000, 60, replace=False)
        found = compare_paired(result(population_a[drawn]), result(population_b[drawn]), resamples=300)
        held += found.interval[0] <= truth <= found.interval[1]
    # 95 % of 200 is 190; a percentile interval of 60 images is a little narrow.
    assert 178 <= held <= 199


def test_hard_images_are_hard_for_both() -> None:
    """Pairing: models that err on the same images have a narrow interval though images vary widely."""
    generator = np.random.default_rng(6)
    truth = np.full((50, 3), 1000)
    confusions = np.zeros((50, 3, 3), np.int64)
    hits = generator.integers(200, 950, (50, 3))
    for index in range(3):
        confusions[:, index, index] = hits[:, index]
        confusions[:, index, (index + 1) % 3] = truth[:, index] - hits[:, index]
    better = confusions.copy()
    for index in range(3):
        better[:, index, index] += 10
        better[:, index, (index + 1) % 3] -= 10
    found = compare_paired(result(confusions), result(better))
    assert found.decided and found.interval[0] > 0 and found.share_b_better == 1
    assert np.ptp(found.interval) < 0.002


def test_a_class_that_some_resamples_lack() -> None:
    a, b = pair(7, count=3)
    for confusions in (a, b):
        confusions[:, :, 0] += confusions[:, :, 2]
        confusions[:, 2] = confusions[:, :, 2] = 0
        confusions[0, 2, 2] = 50
    found = compare_paired(result(a), result(b), resamples=200)
    assert found.class_interval[2].tolist() == [0, 0] and not np.isnan(found.interval).any()
    for confusions in (a, b):
        confusions[0, 2, 2] = 0
    assert np.isnan(compare_paired(result(a), result(b), resamples=50).class_interval[2]).all()


def test_only_scored_classes_enter() -> None:
    a, b = pair(8)
    found = compare_paired(result(a).scored(["car"]), result(b).scored(["car"]), resamples=50)
    assert found.class_names == ("car",)
    assert found.interval == pytest.approx(tuple(found.class_interval[0]))


@pytest.mark.parametrize(
    ("gain", "words"), [(0.1, "b is better than a on images like these: "), (0.001, "Not decided: ")]
)
def test_the_verdict_in_words(gain: float, words: str) -> None:
    a, b = pair(9, gain=gain)
    found = compare_paired(result(a), result(b))
    assert found.verdict("a", "b").startswith(words) and "95 % interval" in found.verdict("a", "b")
    assert "too narrow" not in found.verdict("a", "b")
    few = compare_paired(result(a[:9]), result(b[:9]))
    assert "With fewer than 30 images the interval is too narrow." in few.verdict("a", "b")


def test_what_cannot_be_compared() -> None:
    a, b = map(result, pair(10))
    with pytest.raises(InputError, match="counts per image"):
        compare_paired(a, replace(b, per_image=None))
    with pytest.raises(InputError, match="same classes"):
        compare_paired(a, b.scored(["car"]))
    with pytest.raises(InputError, match="same labelled images"):
        compare_paired(a, result(pair(11)[1]))
    with pytest.raises(InputError, match="resamples = 0"):
        compare_paired(a, b, resamples=0)
