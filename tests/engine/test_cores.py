"""Loader processes from the cores, threads from a measurement."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from segshift.engine import cores, trainer
from segshift.engine.cores import fastest_threads, loader_processes, measure_threads
from segshift.sizes import WidthHeight
from tests.engine.recipes import toy_recipe
from tests.engine.runs import assert_same_bits, run
from tests.methods.networks import tiny_segmenter


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("there", "streams", "training", "each"),
    [(1, 2, 1, 1), (2, 2, 1, 1), (16, 2, 1, 8), (16, 1, 1, 8), (16, 3, 1, 5), (16, 2, 4, 2), (2, 2, 8, 1)],
)
def test_cores_are_shared_by_streams_and_training_processes(
    monkeypatch: pytest.MonkeyPatch, there: int, streams: int, training: int, each: int
) -> None:
    monkeypatch.setattr(cores, "cores", lambda: there)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(training))
    assert loader_processes("auto", streams) == each
    assert loader_processes(0, streams) == 0


@pytest.mark.parametrize(("seconds", "best"), [({1: 3, 2: 2, 4: 4, 6: 5}, 2), ({1: 2, 2: 2, 4: 2, 6: 1}, 6)])
def test_the_fastest_number_of_threads_is_set(
    monkeypatch: pytest.MonkeyPatch, seconds: dict[int, int], best: int
) -> None:
    monkeypatch.setattr(cores, "cores", lambda: 6)
    now = 0.0

    def work() -> None:
        nonlocal now
        now += seconds[torch.get_num_threads()]

    assert fastest_threads(work, clock=lambda: now) == best == torch.get_num_threads()


def test_measuring_leaves_the_network_and_the_draws_alone() -> None:
    segmenter = tiny_segmenter(batch_norm="batch")
    before = {name: value.clone() for name, value in segmenter.state_dict().items()}
    drawn = torch.get_rng_state()
    assert 1 <= measure_threads(segmenter, WidthHeight((40, 32))) <= cores.cores()
    assert_same_bits(before, segmenter.state_dict())
    assert drawn.equal(torch.get_rng_state()) and segmenter.training


def test_a_run_measures_when_it_is_asked_to(
    tmp_path: Path, toy_source: Path, toy_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[WidthHeight | None] = []
    monkeypatch.setattr(trainer, "measure_threads", lambda _, size: measured.append(size) or 1)
    for threads in (1, "auto"):
        recipe = toy_recipe(
            toy_source, toy_target, training={"steps": 1, "threads": threads, "workers": "auto"}
        )
        run(recipe, tmp_path / str(threads))
    assert measured == [recipe.source.augmentation.crop or recipe.source.augmentation.resize]
