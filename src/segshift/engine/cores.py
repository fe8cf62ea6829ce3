"""How many loader processes and CPU threads suit this machine: the first is counted, the second measured."""

import os
import time
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from segshift.models.batch_norm import evaluating
from segshift.models.segmenter import Segmenter
from segshift.sizes import WidthHeight

_MOST_LOADERS = 8
_REPEATS = 3
# Where a recipe resizes and crops nothing, images are as large as their files.
_UNKNOWN_SIZE = WidthHeight((512, 256))


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def loader_processes(workers: int | Literal["auto"], streams: int) -> int:
    """Loader processes for each of some streams of images.

    Args:
        workers: of the recipe. "auto" shares the cores out among the streams and the training processes of
            this machine: 1 to 8 each.
        streams: that load at the same time.
    """
    if workers != "auto":
        return workers
    training = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return min(_MOST_LOADERS, max(1, cores() // (streams * training)))


def set_threads(threads: int | Literal["auto"] | None) -> None:
    """PyTorch's CPU threads where a number is given; "auto" is up to `measure_threads`."""
    if isinstance(threads, int):
        torch.set_num_threads(threads)


def measure_threads(segmenter: Segmenter, size: WidthHeight | None) -> int:
    """Set PyTorch's CPU threads to the number with which the network sees an image soonest, and return it.

    Tried are 1, 2, 4 ... and all cores, while the machine does whatever else it does: on busy cores a small
    network is faster on one thread than on two. The network stays as it is.

    Args:
        segmenter: on the CPU.
        size: (width, height) of the images.
    """
    width, height = size or _UNKNOWN_SIZE
    image = torch.zeros(1, 3, height, width, device=segmenter.device)
    with evaluating(segmenter), torch.no_grad():
        return fastest_threads(lambda: _seen(segmenter, image))


def fastest_threads(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> int:
    """Set PyTorch's CPU threads to the number with which some work takes the least time, and return it.

    Args:
        work: done some times with each number.
        clock: seconds.
    """
    most = cores()
    taken: dict[int, float] = {}
    for threads in sorted({most, *(2**power for power in range(most.bit_length()))}):
        torch.set_num_threads(threads)
        work()
        seconds = []
        for _ in range(_REPEATS):
            started = clock()
            work()
            seconds.append(clock() - started)
        taken[threads] = min(seconds)
    best = min(taken, key=lambda threads: taken[threads])
    torch.set_num_threads(best)
    return best


def _seen(segmenter: Segmenter, image: Tensor) -> Tensor:
    logits: Tensor = segmenter(image).logits
    return logits
