"""Two processes that share every batch, to compare with one that sees it whole."""

import os
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import start_processes

from segshift.engine.doctor.toy import ToyData, plain_optimizers, toy_batch, toy_method
from segshift.engine.recipe import Recipe
from segshift.engine.seeds import seed_step
from segshift.engine.step import train_step

PROCESSES = 2


def train_in_processes(
    recipe: Recipe, steps: int, folder: Path, *, start_method: str = "spawn"
) -> list[dict[str, Tensor]]:
    """The method's state after `steps` in each of two processes that average their gradients.

    Args:
        recipe: a toy recipe.
        steps: how many.
        folder: for what they exchange; nothing of an earlier call is in it.
        start_method: `fork` is quicker, where this process has not computed gradients.
    """
    arguments = (recipe.model_dump_json(), steps, str(folder))
    start_processes(  # type: ignore[no-untyped-call]
        _worker, args=arguments, nprocs=PROCESSES, start_method=start_method
    )
    return [torch.load(folder / f"state_{rank}.pt", weights_only=True) for rank in range(PROCESSES)]


def _worker(rank: int, recipe_json: str, steps: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    store = f"file://{folder}/rendezvous"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=PROCESSES)
    recipe = Recipe.model_validate_json(recipe_json)
    method = toy_method(recipe)
    method.prepare(ToyData())
    optimizers = plain_optimizers(method)
    for step in range(steps):
        seed_step(recipe.seed, step)
        # Each process has a single micro-batch, which is its last.
        part = replace(toy_batch(recipe, step).part(rank, PROCESSES), last_micro_batch=True)
        train_step(method, [part], optimizers)
    torch.save(method.state_dict(), Path(folder) / f"state_{rank}.pt")
    dist.destroy_process_group()
