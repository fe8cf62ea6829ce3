"""Processes that share an evaluation's images count each once, and all know what one alone would."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import start_processes

from segshift.errors import InputError
from segshift.evaluation import BoundaryIou, EvaluationResult, Iou, evaluate
from segshift.shared_batch import own_places, sharing
from tests.evaluation.test_evaluate import MIXED, Items, dataset
from tests.models.networks import tiny

pytestmark = pytest.mark.process
PROCESSES = 2
# Of sizes and number that no two processes share evenly; and fewer images than processes.
CASES = {"mixed": (MIXED, 2), "seven": ([(32, 48)] * 7, 2), "one": ([(32, 48)], 4), "single": (MIXED, 1)}


def judged(name: str, calls: list[tuple[int, int]] | None = None) -> EvaluationResult:
    sizes, batch_size = CASES[name]
    torch.manual_seed(0)
    return evaluate(
        tiny(),
        dataset(sizes),
        measures=[Iou(), BoundaryIou()],
        batch_size=batch_size,
        progress=None if calls is None else lambda done, total: calls.append((done, total)),
    )


def broken() -> Items:
    """The last label, which is the last process's, holds an id that no class has."""
    items = dataset([(32, 48)] * 4)
    label: Tensor | None = items[3].label
    assert label is not None
    return Items((*items.items[:3], replace(items[3], label=torch.full_like(label, 9))))


def work(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/rendezvous"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=PROCESSES)
    found: dict[str, Any] = {}
    with sharing():
        for name in CASES:
            calls: list[tuple[int, int]] = []
            found[name] = (judged(name, calls), calls)
        found["places"] = [own_places(number) for number in (0, 1, 5, 6)]
        try:
            evaluate(tiny(), broken(), batch_size=1)
        except InputError as error:
            found["refused"] = str(error)
    found["alone"] = judged("seven")
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("shared")
    start_processes(work, args=(folder,), nprocs=PROCESSES, start_method="fork")
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(PROCESSES)]


def same(one: EvaluationResult, other: EvaluationResult) -> None:
    np.testing.assert_array_equal(one.confusion, other.confusion)
    for counts in ("per_image", "boundary"):
        mine, theirs = getattr(one, counts), getattr(other, counts)
        assert mine.images == theirs.images
        for kind in ("hits", "truth", "predicted"):
            np.testing.assert_array_equal(getattr(mine, kind), getattr(theirs, kind))
    assert one.to_dict() == other.to_dict()


@pytest.mark.parametrize("name", CASES)
def test_all_of_them_know_what_one_would(shared: list[dict[str, Any]], name: str) -> None:
    alone = judged(name)
    for found in shared:
        same(found[name][0], alone)
    same(shared[1]["alone"], judged("seven"))


def test_each_sees_its_share_alone(shared: list[dict[str, Any]]) -> None:
    assert [found["seven"][1] for found in shared] == [[(2, 4), (4, 4)], [(2, 3), (3, 3)]]
    assert [found["one"][1] for found in shared] == [[], [(1, 1)]]
    firsts, seconds = (found["places"] for found in shared)
    assert [(*first, *second) for first, second in zip(firsts, seconds, strict=True)] == [
        tuple(range(number)) for number in (0, 1, 5, 6)
    ]


def test_what_one_refuses_all_refuse(shared: list[dict[str, Any]]) -> None:
    for found in shared:
        assert "label holds the id 9" in found["refused"]
