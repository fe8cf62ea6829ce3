"""Orders of draws: the published probabilities, exact mixtures, and that nothing depends on the past."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from segshift.data.orders import SUB_EPOCH, ClassBalancedOrder, MixedOrder, RareClassOrder
from segshift.data.sampler import Order, StepSampler, UniformOrder, Wish
from segshift.errors import InputError


def pixels(images: int = 12) -> NDArray[np.int64]:
    """Three classes: one everywhere, one in every third image, one in the last image alone."""
    table = np.zeros((images, 3), np.int64)
    table[:, 0] = 900
    table[::3, 1] = 90
    table[-1, 2] = 10
    return table


def orders() -> dict[str, Order]:
    return {
        "uniform": UniformOrder(12, 5),
        "rare_class": RareClassOrder(pixels(), 5, temperature=0.1, min_pixels=10),
        "class_balanced": ClassBalancedOrder(pixels(), 5, min_pixels=1),
        "mixed": MixedOrder(
            [UniformOrder(12, 5), RareClassOrder(pixels(), 6, temperature=0.1, min_pixels=1)], [1, 2]
        ),
    }


def drawn(order: Order, count: int, start: int = 0) -> list[int]:
    return [order.index(draw) for draw in range(start, start + count)]


@pytest.mark.parametrize("kind", orders())
def test_a_draw_depends_on_its_number_alone(kind: str) -> None:
    straight = drawn(orders()[kind], 7000)
    assert set(straight) <= set(range(orders()[kind].length))
    backwards = orders()[kind]
    numbers = [6999, 0, 3001, 2999, 3000, 17, 6000, 5, 40, 3500]
    assert [backwards.index(number) for number in numbers] == [straight[number] for number in numbers]


@pytest.mark.parametrize("kind", orders())
def test_processes_together_see_what_one_sees_and_a_resumed_run_its_tail(kind: str) -> None:
    alone = list(StepSampler(orders()[kind], 6, 1, steps=40))
    halves = [list(StepSampler(orders()[kind], 6, 1, rank, 2, steps=40)) for rank in (0, 1)]
    assert [first + second for first, second in zip(*halves, strict=True)] == alone
    assert list(StepSampler(orders()[kind], 6, 1, start_step=23, steps=40)) == alone[23:]


def test_rare_class_probabilities_are_the_published_ones() -> None:
    order = RareClassOrder(pixels(), 0, temperature=0.5, min_pixels=10)
    frequencies = pixels().sum(axis=0) / pixels().sum()
    expected = np.exp((1 - frequencies) / 0.5)
    expected /= expected.sum()
    np.testing.assert_allclose(order.probabilities, expected, rtol=1e-12)
    # Image 11 holds all of class 2, a fourth of class 1 (0, 3, 6, 9 do) not, and a twelfth of class 0.
    counts = Counter(drawn(order, 20000))
    assert counts[11] / 20000 == pytest.approx(expected[2] + expected[0] / 12, abs=0.015)
    assert counts[3] / 20000 == pytest.approx(expected[1] / 4 + expected[0] / 12, abs=0.015)
    assert counts[1] / 20000 == pytest.approx(expected[0] / 12, abs=0.01)


def test_a_repeated_crop_looks_for_the_class_that_the_image_was_drawn_for() -> None:
    plain = RareClassOrder(pixels(), 5, temperature=0.5, min_pixels=10)
    order = RareClassOrder(pixels(), 5, temperature=0.5, min_pixels=10, crop_tries=10, crop_pixels=5)
    assert drawn(order, 300) == drawn(plain, 300)
    assert plain.wish(3) is None and UniformOrder(5, 1).wish(3) is None
    wishes = [order.wish(draw) for draw in range(300)]
    assert {wish[1:] for wish in wishes if wish is not None} == {(5, 10)}
    for draw, wish in enumerate(wishes):
        assert wish is not None and pixels()[order.index(draw), wish.train_id] >= 10
    shares = np.bincount([wish.train_id for wish in wishes if wish is not None]) / 300
    np.testing.assert_allclose(shares, order.probabilities, atol=0.09)
    # A mixture hands on what its part wishes for, and the sampler tells the data set.
    mixed = MixedOrder([UniformOrder(12, 5), order], [1, 1])
    for draw in range(40):
        second = mixed.index(draw) >= 12
        assert (mixed.wish(draw) is not None) == second
    (batch,) = StepSampler(order, 4, 1, start_step=2, steps=3)
    assert [one.wish for one in batch] == [order.wish(draw) for draw in range(8, 12)]
    assert all(isinstance(one.wish, Wish) for one in batch)


def test_a_small_temperature_does_not_overflow() -> None:
    order = RareClassOrder(pixels(), 0, temperature=1e-4, min_pixels=10)
    np.testing.assert_allclose(order.probabilities, [0, 0, 1], atol=1e-12)
    assert set(drawn(order, 50)) == {11}


def test_classes_that_no_image_holds_are_left_out() -> None:
    order = RareClassOrder(pixels(), 0, temperature=0.01, min_pixels=50)
    assert order.probabilities[2] == 0
    assert {0, 3, 6, 9} >= set(drawn(order, 200))
    with pytest.raises(InputError, match=r"`sampling\.min_pixels`"):
        RareClassOrder(pixels(), 0, temperature=0.01, min_pixels=1000)
    with pytest.raises(InputError, match=r"`sampling\.min_pixels`"):
        ClassBalancedOrder(pixels(), 0, min_pixels=1000)


def test_class_balanced_follows_its_weights() -> None:
    # Classes without common images: then the drawn classes are the images' classes, and the counts can be
    # followed exactly. P(c) ~ 1 / ln(1.01 + n_c / n) leads to equal counts.
    table = np.zeros((30, 3), np.int64)
    table[:24, 0], table[24:29, 1], table[29:, 2] = 5, 5, 5
    order = ClassBalancedOrder(table, 3, min_pixels=1)
    images = drawn(order, SUB_EPOCH)
    classes = np.array([0] * 24 + [1] * 5 + [2])[images]
    shares = np.bincount(classes) / SUB_EPOCH
    np.testing.assert_allclose(shares, 1 / 3, atol=0.03)
    # The first draws: a class just drawn has weight 1 / ln(2.01) against 1 / ln(1.01) = 70 times as much.
    firsts = [drawn(ClassBalancedOrder(table, seed, min_pixels=1), 2) for seed in range(60)]
    kinds = [[int(np.array([0] * 24 + [1] * 5 + [2])[image]) for image in pair] for pair in firsts]
    assert sum(first == second for first, second in kinds) <= 4
    # Each class walks permutations: all its images occur equally often, give or take one.
    for members in (range(24), range(24, 29)):
        counts = [images.count(image) for image in members]
        assert max(counts) - min(counts) <= 1


def test_class_balanced_raises_the_share_of_rare_classes() -> None:
    order = ClassBalancedOrder(pixels(), 3, min_pixels=1)
    counts = Counter(drawn(order, SUB_EPOCH))
    assert counts[11] / SUB_EPOCH > 3 / 12
    assert set(counts) == set(range(12))
    assert drawn(order, 50) != drawn(order, 50, start=SUB_EPOCH), "the next sub-epoch has other choices"


@given(
    st.lists(st.sampled_from([0.1, 0.5, 1.0, 1 / 3, 2.0, 7.5]), min_size=1, max_size=4), st.integers(1, 3000)
)
def test_a_mixture_has_its_weights_in_every_beginning(weights: list[float], count: int) -> None:
    sizes = [3, 50, 7, 1][: len(weights)]
    order = MixedOrder([UniformOrder(size, seed) for seed, size in enumerate(sizes)], weights)
    assert order.length == sum(sizes)
    parts = np.repeat(np.arange(len(sizes)), sizes)[drawn(order, count)]
    expected = count * np.array(weights) / sum(weights)
    # One rounding per data set before it.
    assert np.abs(np.bincount(parts, minlength=len(sizes)) - expected).max() <= len(weights)


def test_each_part_of_a_mixture_is_drawn_as_it_would_be_alone() -> None:
    alone = [UniformOrder(5, 1), UniformOrder(9, 2)]
    order = MixedOrder([UniformOrder(5, 1), UniformOrder(9, 2)], [1.0, 2.0])
    indices = drawn(order, 90)
    assert [index for index in indices if index < 5] == drawn(alone[0], 30)
    assert [index - 5 for index in indices if index >= 5] == drawn(alone[1], 60)


def test_seeds_differ() -> None:
    for kind in (
        lambda seed: RareClassOrder(pixels(), seed, temperature=1.0, min_pixels=1),
        lambda seed: ClassBalancedOrder(pixels(), seed, min_pixels=1),
    ):
        assert len({tuple(drawn(kind(seed), 30)) for seed in range(20)}) == 20
