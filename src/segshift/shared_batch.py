"""Processes that share each batch: what they exchange in a step for several of them to give what one gives.

Inside `sharing()`, which the engine enters for every training step, a mean over the batch is one over all
processes. Outside, and in a single process, everything here returns what it was given, so that losses and
networks need not know how many there are.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from segshift.errors import InputError, ProcessLostError

Whole = TypeVar("Whole", Tensor, range, list[Any])
Value = TypeVar("Value")

_shared = False


@contextmanager
def sharing() -> Iterator[None]:
    """The processes that were started together share the batch inside this block; all must enter it."""
    global _shared
    before = _shared
    _shared = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
    try:
        yield
    finally:
        _shared = before


def processes() -> int:
    """How many share the batch; 1 outside of `sharing`."""
    return dist.get_world_size() if _shared else 1


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of each process's tensor, the same in all; without a graph, and float unless alone.

    Raises:
        ProcessLostError: another process ended.
    """
    if not _shared:
        return value
    total = value.detach().to(torch.promote_types(value.dtype, torch.float32), copy=True)
    _exchange(dist.all_reduce, total)
    return total / dist.get_world_size()


def whole_batch(part: Tensor) -> Tensor:
    """Every process's tensor (N, ...) one after the other, (processes * N, ...), without a graph.

    Raises:
        InputError: their shapes differ.
        ProcessLostError: another process ended.
    """
    if not _shared:
        return part
    part = part.detach().contiguous()
    shape = torch.tensor(part.shape, device=part.device)
    if len({tuple(one.tolist()) for one in _gathered(shape)}) > 1:
        raise InputError("the images of a batch differ in size: set `resize` or `crop` in the augmentation")
    return torch.cat(_gathered(part))


def own_part(whole: Whole) -> Whole:
    """This process's share of what `whole_batch` put together, or of what was drawn for all of it."""
    if not _shared:
        return whole
    share = len(whole) // dist.get_world_size()
    part: Any = whole[dist.get_rank() * share : (dist.get_rank() + 1) * share]
    return cast(Whole, part)


def own_places(number: int) -> range:
    """This process's share of so many things: neighbors, as many as the others' or one more or less."""
    if not _shared:
        return range(number)
    rank, count = dist.get_rank(), dist.get_world_size()
    return range(number * rank // count, number * (rank + 1) // count)


def of_all(mine: Value) -> list[Value]:
    """Every process's value, in their order: anything that can be pickled.

    Raises:
        ProcessLostError: another process ended.
    """
    if not _shared:
        return [mine]
    values: list[Any] = [None] * dist.get_world_size()
    _exchange(dist.all_gather_object, values, mine)
    return values


def _gathered(tensor: Tensor) -> list[Tensor]:
    parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    _exchange(dist.all_gather, parts, tensor)
    return parts


def _exchange(collective: Callable[..., Any], *tensors: Any) -> None:
    try:
        collective(*tensors)
    except RuntimeError as error:  # how every backend says that the other end is gone
        raise ProcessLostError from error
