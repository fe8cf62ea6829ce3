"""What a run will cost in time, memory and disk: measured by a step whose results are thrown away."""

import copy
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from segshift.data.sampler import Draw
from segshift.engine.build import build_optimizers, set_learning_rates
from segshift.engine.cores import cores, loader_processes
from segshift.engine.feed import TrainingData
from segshift.engine.kept_networks import STATES
from segshift.engine.memory import there_is, watched
from segshift.engine.opening import duration
from segshift.engine.recipe import Recipe
from segshift.engine.seeds import seed_step
from segshift.engine.step import StepSettings, train_step
from segshift.methods import Batch, Method
from segshift.models.compiling import compile_networks
from segshift.plain import size_in_words

_TIMED_IMAGES = 2


@dataclass(frozen=True)
class Cost:
    """What a run, or the rest of it, will cost.

    Attributes:
        steps: that are left.
        seconds_per_step: without loading and augmentation; validations come on top.
        parameters: of the method, those of teachers and adversaries among them.
        memory_bytes: the most that a step takes; None where the system does not say.
        memory_there_bytes: that this process can have; None likewise.
        disk_bytes: of checkpoints and networks, at most.
        disk_free_bytes: where they go.
        images_per_step: of all streams, in this process.
        loader_images_per_second: that can be loaded with the recipe's workers on this machine's cores.
        workers_needed: loader processes per stream with which loading keeps up with the steps.
    """

    steps: int
    seconds_per_step: float
    parameters: int
    memory_bytes: int | None
    memory_there_bytes: int | None
    disk_bytes: int
    disk_free_bytes: int
    images_per_step: int
    loader_images_per_second: float
    workers_needed: int

    @property
    def seconds(self) -> float:
        """Of all steps that are left; the slower of loader and step sets the pace."""
        return self.steps * max(self.seconds_per_step, self.images_per_step / self.loader_images_per_second)

    @property
    def step_images_per_second(self) -> float:
        """Images that the steps use up."""
        return self.images_per_step / self.seconds_per_step

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for JSON."""
        return {
            **asdict(self),
            "seconds": self.seconds,
            "step_images_per_second": self.step_images_per_second,
        }

    def lines(self) -> list[str]:
        """In words: what it costs, how loading compares, and what to do where that is too slow."""
        memory = "not known" if self.memory_bytes is None else size_in_words(self.memory_bytes)
        if self.memory_there_bytes is not None:
            memory += f" of {size_in_words(self.memory_there_bytes)}"
        disk = f"{size_in_words(self.disk_bytes)} of {size_in_words(self.disk_free_bytes)} free"
        lines = [
            f"about {duration(self.seconds)} for {self.steps} steps at {self.seconds_per_step:.2g} s, "
            f"memory {memory}, disk {disk} (measured)",
            f"loader {self.loader_images_per_second:.3g} images/s, "
            f"steps {self.step_images_per_second:.3g} images/s",
        ]
        if self.loader_images_per_second < self.step_images_per_second:
            lines.append(
                "warning: loading is slower than the steps; `segshift data prepare` makes files of the size "
                f"that training reads, or set training.workers: {self.workers_needed}"
            )
        if self.memory_bytes and self.memory_there_bytes and self.memory_bytes > self.memory_there_bytes:
            lines.append("warning: that is more memory than there is")
        if self.disk_bytes > self.disk_free_bytes:
            lines.append("warning: that is more than is free on the disk; lower training.keep_checkpoints")
        return lines


def measure_cost(
    recipe: Recipe,
    method: Method,
    data: TrainingData,
    micro_batches: Sequence[Batch],
    settings: StepSettings,
    folder: Path,
) -> Cost:
    """The cost of the steps from that of `micro_batches` on.

    A copy of the method takes two steps, in all processes alike; the method itself, its optimizers and
    the random state stay as they are.

    Args:
        recipe: of the run.
        method: on its device, prepared.
        data: its images, of which a few are loaded.
        micro_batches: of the next step.
        settings: of the step.
        folder: of the run, for the free disk; it need not be there.

    Raises:
        NonFiniteError: as the step itself would.
    """
    step, device = micro_batches[0].step, micro_batches[0].source_images.device
    own = _bytes(method.state_dict())
    trial = copy.deepcopy(method).train()
    if recipe.training.compile:
        compile_networks(trial)
    optimizers = build_optimizers(trial, recipe)
    set_learning_rates(optimizers, recipe, step)
    there = there_is(device)
    with torch.random.fork_rng(), watched(device) as peak:
        # The first pays for what is made once. How many there are is the same in all processes.
        _, seconds = (timed_step(trial, micro_batches, optimizers, settings, recipe.seed) for _ in range(2))
    load_s = _seconds_per_image(data, recipe, method.uses_target)
    per_stream = sum(len(batch.source_images) for batch in micro_batches)
    per_core = max(1.0, cores() / len(load_s))
    workers = loader_processes(recipe.training.workers, len(load_s))
    # Without loader processes the steps wait for every image of every stream.
    at_once = min(float(workers), per_core) if workers else 1 / len(load_s)
    slowest = max(load_s)
    return Cost(
        steps=recipe.training.steps - step,
        seconds_per_step=seconds,
        parameters=sum(parameter.numel() for parameter in method.parameters()),
        # The run has one method, not two.
        memory_bytes=None if peak.bytes is None else peak.bytes - own,
        memory_there_bytes=there,
        disk_bytes=_disk_bytes(recipe, trial, optimizers),
        disk_free_bytes=shutil.disk_usage(_nearest(folder)).free,
        images_per_step=per_stream * len(load_s),
        loader_images_per_second=len(load_s) * at_once / slowest,
        workers_needed=max(1, min(int(per_core), ceil(per_stream * slowest / seconds))),
    )


def timed_step(
    method: Method,
    micro_batches: Sequence[Batch],
    optimizers: dict[str, Optimizer],
    settings: StepSettings,
    seed: int,
) -> float:
    """Take a step; return its seconds, a GPU's work included."""
    device = micro_batches[0].source_images.device
    started = time.perf_counter()
    seed_step(seed, micro_batches[0].step)
    train_step(method, micro_batches, optimizers, settings)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def _seconds_per_image(data: TrainingData, recipe: Recipe, uses_target: bool) -> list[float]:
    """Of every stream: how long a loader process takes for an image."""
    deferred = recipe.training.augment_on == "device"
    streams = [data.source, data.target if uses_target else None, *data.labelled.values()]
    seconds = []
    for stream in filter(None, streams):
        started = time.perf_counter()
        for number in range(_TIMED_IMAGES):
            index = number % len(stream)
            stream.read(index) if deferred else stream[Draw(index, recipe.seed + number)]
        seconds.append((time.perf_counter() - started) / _TIMED_IMAGES)
    return seconds


def _disk_bytes(recipe: Recipe, method: Method, optimizers: Mapping[str, Optimizer]) -> int:
    """Of all checkpoints that are kept, the one that is being written, and the networks beside them."""
    training, segmenter = recipe.training, method.deployed()
    saved = 1 + ceil(training.steps / training.checkpoint_every)
    every = isinstance(training.keep_checkpoints, str)
    networks = saved if every else min(saved, int(training.keep_checkpoints))
    states = min(saved, STATES if every else int(training.keep_checkpoints)) + 1
    state = _bytes(method.state_dict())
    state += sum(_bytes(values) for one in optimizers.values() for values in one.state.values())
    network = state if segmenter is None else _bytes(segmenter.state_dict())
    return states * state + (networks + 1) * network


def _bytes(tensors: Mapping[str, Any]) -> int:
    return sum(
        value.numel() * value.element_size() for value in tensors.values() if isinstance(value, Tensor)
    )


def _nearest(folder: Path) -> Path:
    """The folder, or the first above it that is there."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
