"""The training images of both domains, step by step, as batches on the device."""

import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from segshift.data.dataset import Collated, SegmentationDataset, collate
from segshift.data.labels import ClassSet
from segshift.data.sampler import StepSampler
from segshift.data.spec import Split
from segshift.engine.recipe import Recipe
from segshift.engine.seeds import derive_seed
from segshift.errors import InputError
from segshift.methods.base import Batch


@dataclass(frozen=True)
class Place:
    """This process among all.

    Attributes:
        rank: from 0.
        processes: how many there are.
        device: where its tensors live.
    """

    rank: int
    processes: int
    device: torch.device


class TrainingData:
    """Both domains' training sets. The target's is built without labels and cannot give any."""

    def __init__(self, recipe: Recipe, source: Split, target: Split | None, classes: ClassSet) -> None:
        self.recipe = recipe
        self.source = SegmentationDataset(source, classes, recipe.source.augmentation, with_labels=True)
        self.target = (
            None
            if target is None
            else SegmentationDataset(target, classes, recipe.target.augmentation, with_labels=False)
        )

    def target_images(self, batch_size: int, limit: int | None) -> Iterator[Tensor]:
        """Batches (N, 3, H, W) in [0, 1] of the target's images, resized but not augmented, in order."""
        if self.target is None:
            raise InputError("the method needs target images: give --target or `target.dataset`")
        count = len(self.target) if limit is None else min(limit, len(self.target))
        for first in range(0, count, batch_size):
            items = [self.target[index] for index in range(first, min(first + batch_size, count))]
            yield to_unit_range(collate(items).images, torch.device("cpu"), channels_last=False)

    def steps(self, place: Place, start_step: int, uses_target: bool) -> Iterator[list[Batch]]:
        """The micro-batches of every step from `start_step` on, for one process.

        Raises:
            InputError: a batch that does not divide by processes and micro-batches, or a bad image file.
        """
        training = self.recipe.training
        parts = place.processes * training.micro_batches
        if training.batch_size % parts:
            raise InputError(
                f"training.batch_size = {training.batch_size}: must be a multiple of {parts} "
                f"({place.processes} processes x {training.micro_batches} micro-batches)"
            )
        source = iter(self._loader(self.source, 3, place, start_step))
        target = None
        if uses_target:
            if self.target is None:
                raise InputError("the method needs target images: give --target or `target.dataset`")
            target = iter(self._loader(self.target, 4, place, start_step))
        for step in range(start_step, training.steps):
            yield self._micro_batches(next(source), None if target is None else next(target), step, place)

    def _loader(
        self, dataset: SegmentationDataset, stream: int, place: Place, start_step: int
    ) -> Iterable[Collated]:
        training = self.recipe.training
        sampler = StepSampler(
            length=len(dataset),
            batch_size=training.batch_size,
            seed=derive_seed(self.recipe.seed, stream),
            rank=place.rank,
            world_size=place.processes,
            start_step=start_step,
            steps=training.steps,
        )
        loader: Iterable[Collated] = DataLoader(
            dataset,
            batch_sampler=sampler,
            collate_fn=collate,
            num_workers=training.workers,
            worker_init_fn=_leave_signals_to_the_parent,
            pin_memory=place.device.type == "cuda",
            prefetch_factor=4 if training.workers else None,
        )
        return loader

    def _micro_batches(
        self, source: Collated, target: Collated | None, step: int, place: Place
    ) -> list[Batch]:
        training, device = self.recipe.training, place.device
        images = to_unit_range(source.images, device, training.channels_last)
        if source.labels is None:
            raise InputError("the source has no labels; give `labels:` in its dataset file")
        labels = source.labels.to(device, non_blocking=True).long()
        others = (
            images[:0] if target is None else to_unit_range(target.images, device, training.channels_last)
        )
        count = training.micro_batches
        return [
            Batch(
                source_images=images[k * len(images) // count : (k + 1) * len(images) // count],
                source_labels=labels[k * len(labels) // count : (k + 1) * len(labels) // count],
                target_images=others[k * len(others) // count : (k + 1) * len(others) // count],
                step=step,
                progress=step / training.steps,
                last_micro_batch=k == count - 1,
            )
            for k in range(count)
        ]


def to_unit_range(images: Tensor, device: torch.device, channels_last: bool) -> Tensor:
    """uint8 (N, 3, H, W) to float in [0, 1] on the device; the images travel as bytes."""
    images = images.to(device, non_blocking=True).float().div_(255)
    return images.contiguous(memory_format=torch.channels_last) if channels_last else images


def _leave_signals_to_the_parent(worker: int) -> None:
    """Ctrl-C reaches the whole process group; the training process decides when workers end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
