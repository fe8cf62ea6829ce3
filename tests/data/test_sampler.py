"""Which samples a step sees: permutations, ranks, resume."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segshift.data.sampler import Draw, StepSampler, UniformOrder, draw_seed, epoch_order, mix
from segshift.errors import InputError
from tests.data.files import assert_one_line

PINNED_ORDER = [0, 6, 7, 4, 3, 2, 1, 5]
PINNED_SEED = 6017775124710473527

lengths = st.integers(1, 40)
seeds = st.integers(0, 2**63)


def uniform(length: int, batch_size: int, seed: int, **place: int) -> StepSampler:
    return StepSampler(UniformOrder(length, seed), batch_size, seed, **place)


def draws(sampler: StepSampler) -> list[Draw]:
    return [draw for batch in sampler for draw in batch]


@given(lengths, st.integers(1, 20), seeds, st.integers(1, 12))
def test_every_epoch_is_a_permutation_also_across_batches(
    length: int, batch: int, seed: int, steps: int
) -> None:
    indices = [draw.index for draw in draws(uniform(length, batch, seed, steps=steps))]
    assert len(indices) == batch * steps
    for start in range(0, len(indices), length):
        epoch = indices[start : start + length]
        assert len(set(epoch)) == len(epoch)
        assert set(epoch) <= set(range(length))


@given(lengths, st.integers(1, 6), st.integers(1, 4), seeds)
def test_processes_together_see_what_one_sees(length: int, share: int, world: int, seed: int) -> None:
    alone = list(uniform(length, share * world, seed, steps=5))
    ranks = [
        list(uniform(length, share * world, seed, rank=rank, world_size=world, steps=5))
        for rank in range(world)
    ]
    assert [list(chain(*parts)) for parts in zip(*ranks, strict=True)] == alone
    assert all(len(batch) == share for rank in ranks for batch in rank)


@given(lengths, st.integers(1, 12), seeds, st.integers(0, 9))
def test_a_resumed_run_is_the_tail_of_a_straight_one(length: int, batch: int, seed: int, start: int) -> None:
    straight = uniform(length, batch, seed, steps=9)
    resumed = uniform(length, batch, seed, start_step=start, steps=9)
    assert list(resumed) == list(straight)[start:]
    assert len(resumed) == 9 - start


def test_every_process_has_its_part_of_every_micro_batch() -> None:
    whole = list(uniform(50, 12, seed=3, steps=2))
    ranks = [list(uniform(50, 12, seed=3, steps=2, rank=r, world_size=2, micro_batches=3)) for r in (0, 1)]
    for step in range(2):
        for part in range(3):
            together = [draw for rank in ranks for draw in rank[step][part * 2 : part * 2 + 2]]
            assert together == whole[step][part * 4 : part * 4 + 4]


def test_iterating_twice_gives_the_same() -> None:
    sampler = uniform(7, 3, seed=1, steps=6)
    assert list(sampler) == list(sampler)


def test_a_run_that_is_over_has_no_steps_left() -> None:
    sampler = uniform(7, 3, seed=1, start_step=9, steps=6)
    assert len(sampler) == 0
    assert list(sampler) == []


def test_seeds_and_epochs_differ() -> None:
    orders = {tuple(epoch_order(20, seed, epoch)) for seed in range(10) for epoch in range(10)}
    assert len(orders) == 100
    drawn = {draw_seed(seed, position) for seed in range(30) for position in range(300)}
    assert len(drawn) == 9000
    assert all(0 <= seed < 2**63 for seed in drawn)


def test_every_place_is_equally_likely() -> None:
    # 6 samples, 6000 epochs: each count is binomial with mean 1000 and standard deviation 29.
    counts = np.zeros((6, 6))
    for epoch in range(6000):
        counts[np.arange(6), epoch_order(6, 3, epoch)] += 1
    assert np.abs(counts - 1000).max() < 150


def test_the_order_is_the_same_on_every_machine_and_version() -> None:
    # Pinned: a checkpoint of an older version must go on with the same data.
    assert epoch_order(8, seed=0, epoch=0).tolist() == PINNED_ORDER
    assert draw_seed(0, 0) == PINNED_SEED
    # Reference values of SplitMix64 started at 0 (Vigna's public test vector).
    assert mix(0) == 0xE220A8397B1DCDAF


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"length": 0, "batch_size": 1}, ["no samples"]),
        ({"length": 5, "batch_size": 0}, ["batch_size = 0"]),
        ({"length": 5, "batch_size": 3, "world_size": 2}, ["batch_size = 3", "multiple of 2"]),
        ({"length": 5, "batch_size": 2, "world_size": 2, "rank": 2}, ["rank = 2"]),
    ],
)
def test_impossible_arguments(arguments: dict[str, int], parts: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        uniform(**arguments, seed=0)
    assert_one_line(caught.value, *parts)
