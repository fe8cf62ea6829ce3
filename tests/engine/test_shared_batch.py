"""Two processes that share each batch give what one gives: batch norm, labels of any number, draws, log."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import start_processes
from torch.optim import SGD

from segshift.engine.doctor.toy import ToyData, toy_batch, toy_method, toy_recipe
from segshift.engine.doctor.toy import write_toy_dataset as write_blocks
from segshift.engine.presets import load_recipe
from segshift.engine.recipe import Recipe
from segshift.engine.seeds import seed_step
from segshift.engine.step import train_step
from segshift.methods import Batch
from segshift.shared_batch import mean_over_processes, own_part, processes, sharing, whole_batch

pytestmark = pytest.mark.process
PROCESSES, STEPS = 2, 3
METHODS = [
    "source_only",
    "mean_teacher",
    "mic",
    "adaptsegnet",
    "advent",
    "minent",
    "clan",
    "fada",
    "lsd",
    "local_alignment",
    "adaptpatch",
]
State = dict[str, Tensor]


def recipes(folder: Path) -> dict[str, Recipe]:
    """The methods on tiny networks with the default batch norm."""
    found = {}
    for name in [*METHODS, "cyclegan"]:
        recipe = toy_recipe(load_recipe(name, []), folder)
        model = recipe.model.model_copy(update={"batch_norm": "batch"})
        found[name] = recipe.model_copy(update={"model": model})
    return found


def batch_of(recipe: Recipe, step: int) -> Batch:
    """Its first image has half as many labels as its second."""
    batch = toy_batch(recipe, step)
    batch.source_labels[0, :24] = 255
    return batch


def train(recipe: Recipe) -> tuple[State, dict[str, float]]:
    """The state after some steps on this process's part of the batches, and the last step's log."""
    method = toy_method(recipe)
    method.prepare(ToyData())
    optimizers = {
        # What paints tiny images magnifies rounding far more than segmenters do.
        name: SGD(group, lr=1e-5 if recipe.method["name"] in ("cyclegan", "lsd") else 0.005)
        for name, group in method.networks().items()
    }
    rank, count = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    log: dict[str, float] = {}
    for step in range(STEPS):
        seed_step(recipe.seed, step)
        batch = replace(batch_of(recipe, step).part(rank, count), last_micro_batch=True)
        log = (done := train_step(method, [batch], optimizers)).values() | done.observations()
    return method.state_dict(), log


def work(rank: int, folder: Path) -> None:
    """What one of the processes does: every method, and the exchanges by themselves."""
    torch.set_num_threads(1)
    store = f"file://{folder}/rendezvous"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=PROCESSES)
    results: dict[str, Any] = {name: train(recipe) for name, recipe in recipes(folder).items()}
    mine = torch.tensor([rank, 10 + rank])
    with sharing():
        results["exchange"] = (
            processes(),
            mean_over_processes(mine),
            whole_batch(mine),
            own_part(whole_batch(mine)),
        )
    results["outside"] = (processes(), mean_over_processes(mine), whole_batch(mine), own_part(mine))
    torch.save(results, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """What each of two processes found, which have all methods between them to start only once."""
    folder = tmp_path_factory.mktemp("shared")
    write_blocks(folder)
    start_processes(work, args=(folder,), nprocs=PROCESSES, start_method="fork")
    return folder, [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(PROCESSES)]


@pytest.mark.parametrize("name", METHODS)
def test_two_processes_are_one(shared: tuple[Path, list[dict[str, Any]]], name: str) -> None:
    folder, found = shared
    state, log = train(recipes(folder)[name])
    for theirs, their_log in (results[name] for results in found):
        assert their_log == pytest.approx(log, rel=1e-5, abs=1e-6)
        for key, value in state.items():
            torch.testing.assert_close(
                theirs[key], value, rtol=1e-5, atol=2e-6, msg=lambda m, k=key: f"{k}: {m}"
            )


def test_two_processes_share_the_memory_of_images(shared: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, found = shared
    state, log = train(recipes(folder)["cyclegan"])
    for theirs, their_log in (results["cyclegan"] for results in found):
        assert their_log == pytest.approx(log, rel=1e-3)
        for key, value in state.items():
            # Images are kept in 8 bits, where rounding may tip over.
            atol = 1.0 if "history" in key else 1e-4
            torch.testing.assert_close(theirs[key].float(), value.float(), rtol=1e-4, atol=atol)


def test_what_is_exchanged(shared: tuple[Path, list[dict[str, Any]]]) -> None:
    for rank, results in enumerate(shared[1]):
        count, mean, whole, own = results["exchange"]
        assert count == PROCESSES
        assert mean.tolist() == [0.5, 10.5]
        assert whole.tolist() == [0, 10, 1, 11]
        assert own.tolist() == [rank, 10 + rank]
        count, *same = results["outside"]
        assert count == 1 and all(tensor.tolist() == [rank, 10 + rank] for tensor in same)
