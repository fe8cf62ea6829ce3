"""The training images of both domains, step by step, as batches on the device."""

import hashlib
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from segshift.data.augmentation import Augmentation
from segshift.data.border import Border
from segshift.data.dataset import Collated, SegmentationDataset, collate
from segshift.data.deferred import Deferred, augmented
from segshift.data.mixture import DrawPlan, MixedDataset, plan_draws
from segshift.data.sampler import StepSampler
from segshift.data.sampling import evenly
from segshift.data.spec import Split
from segshift.engine.ahead import ahead
from segshift.engine.cores import loader_processes
from segshift.engine.datasets import Domains
from segshift.engine.loader import load
from segshift.engine.processes import Processes
from segshift.engine.recipe import DomainConfig, Recipe
from segshift.engine.seeds import derive_seed
from segshift.errors import InputError
from segshift.methods.base import Batch, LabelledImages
from segshift.train_ids import IGNORE

# One random stream per data stream, so that none depends on which others there are.
_SEED_STREAMS = {"source": 3, "target": 4, "pseudo_labelled": 5, "target_labelled": 6}


class TrainingData:
    """The training images of all streams. The target's is built without labels and cannot give any.

    `announce` is called with one line before classes are counted for sampling, which can take minutes.
    """

    def __init__(
        self, recipe: Recipe, domains: Domains, announce: Callable[[str], None] | None = None
    ) -> None:
        self.recipe = recipe
        self.domains = domains
        self._plans: dict[str, DrawPlan] = {}
        self._augmentations: dict[str, Augmentation] = {}
        self._announce = announce
        self.source = (
            None if domains.source is None else self._dataset("source", domains.source, recipe.source)
        )
        self.target = (
            None if domains.target is None else self._dataset("target", domains.target, recipe.target)
        )
        self.labelled = {
            name: self._dataset(name, domains.labelled[name], stream)
            for name, stream in recipe.labelled_streams.items()
        }

    def target_images(self, batch_size: int, limit: int | None) -> Iterator[Tensor]:
        """Batches (N, 3, H, W) in [0, 1] of the target's images, resized but not augmented, in order."""
        if self.target is None:
            raise InputError("the method needs target images: give --target or `target.dataset`")
        count = len(self.target) if limit is None else min(limit, len(self.target))
        for first in range(0, count, batch_size):
            items = [self.target[index] for index in range(first, min(first + batch_size, count))]
            yield to_unit_range(collate(items).images, torch.device("cpu"), channels_last=False)

    def source_labels(self, batch_size: int, limit: int | None) -> Iterator[Tensor]:
        """Batches (N, H, W) int64 of the source's labels, resized but not augmented, spread evenly."""
        source = self._labelled_source()
        chosen = evenly(len(source), limit)
        for first in range(0, len(chosen), batch_size):
            labels = collate([source[index] for index in chosen[first : first + batch_size]]).labels
            assert labels is not None  # the source is built with labels
            yield labels.long()

    def source_fingerprint(self) -> str:
        """A hash of the source's label files (paths, sizes, times), its classes and its training size."""
        digest = hashlib.sha256()
        classes, augmentation = self.domains.classes.names, self.recipe.source.augmentation
        for part in self._labelled_source().parts:
            for sample in part.split.samples:
                assert sample.label is not None  # checked when the domains were resolved
                status = sample.label.stat()
                digest.update(f"{sample.label} {status.st_size} {status.st_mtime_ns}\n".encode())
            digest.update(f"{classes} {augmentation.resize} {part.split.decoder}".encode())
        return digest.hexdigest()

    def steps(self, processes: Processes, start_step: int, uses_target: bool) -> Iterator[list[Batch]]:
        """The micro-batches of every step from `start_step` on, for one process.

        On CUDA the next step's are already on their way while a step is computed.

        Raises:
            InputError: a batch that does not divide by processes and micro-batches, or a bad image file.
        """
        training = self.recipe.training
        parts = processes.count * training.micro_batches
        if training.batch_size % parts:
            raise InputError(
                f"training.batch_size = {training.batch_size}: must be a multiple of {parts} "
                f"({processes.count} processes x {training.micro_batches} micro-batches)"
            )
        datasets = dict(self.labelled) if self.source is None else {"source": self.source, **self.labelled}
        if uses_target:
            if self.target is None:
                raise InputError("the method needs target images: give --target or `target.dataset`")
            datasets["target"] = self.target
        streams = {
            name: self._loader(name, dataset, processes, start_step, len(datasets))
            for name, dataset in datasets.items()
        }
        drawn = (
            self._micro_batches({name: next(stream) for name, stream in streams.items()}, step, processes)
            for step in range(start_step, training.steps)
        )
        yield from ahead(drawn, processes.device)

    def describe(self, name: str) -> str | None:
        """A stream's data sets, and how images are drawn where that is not uniform."""
        described, plan = self.domains.describe(name), self._plans.get(name)
        if described is None or plan is None:
            return described
        return f"{described}; {plan.description}" if plan.description else described

    def _labelled_source(self) -> MixedDataset:
        if self.source is None:
            raise InputError("the method needs source images, and `source.dataset` is none")
        return self.source

    def _images_of(self, name: str) -> DomainConfig:
        """The part of the recipe that names a stream's images; an oracle's source are the target's."""
        recipe = self.recipe
        streams = {"source": recipe.source, "target": recipe.target, **recipe.labelled_streams}
        return recipe.target if recipe.oracle and name == "source" else streams[name]

    def _dataset(self, name: str, split: Split, stream: DomainConfig) -> MixedDataset:
        parts = (split, *self.domains.also.get(name, ()))
        classes, with_labels = self.domains.classes, name != "target"
        images_of = self._images_of(name)
        borders = [images_of.ignored_border, *(further.ignored_border for further in images_of.also)]
        if any(borders):
            # A batch has a map of what counts for all of its images or for none.
            borders = [border or Border() for border in borders]
        dataset = MixedDataset(
            [
                SegmentationDataset(part, classes, stream.augmentation, with_labels, border)
                for part, border in zip(parts, borders, strict=True)
            ]
        )
        self._augmentations[name] = stream.augmentation
        self._plans[name] = plan_draws(
            dataset,
            [1.0, *(further.weight for further in self._images_of(name).also)],
            stream.sampling,
            derive_seed(self.recipe.seed, _SEED_STREAMS[name]),
            self._announce,
        )
        return dataset

    def _loader(
        self, name: str, dataset: MixedDataset, processes: Processes, start_step: int, streams: int
    ) -> Iterator[Collated]:
        training = self.recipe.training
        sampler = StepSampler(
            order=self._plans[name].order,
            batch_size=training.batch_size,
            seed=derive_seed(self.recipe.seed, _SEED_STREAMS[name]),
            rank=processes.rank,
            world_size=processes.count,
            start_step=start_step,
            steps=training.steps,
            micro_batches=training.micro_batches,
        )
        deferred = training.augment_on == "device"
        batches = load(
            Deferred(dataset) if deferred else dataset,
            loader_processes(training.workers, streams),
            training.loader_timeout_s,
            batch_sampler=sampler,
            collate_fn=list if deferred else collate,
            pin_memory=processes.device.type == "cuda",
        )
        if not deferred:
            return batches
        augmentation = self._augmentations[name]
        return (augmented(drawn, augmentation, processes.device) for drawn in batches)

    def _micro_batches(self, drawn: Mapping[str, Collated], step: int, processes: Processes) -> list[Batch]:
        training = self.recipe.training
        images = {
            name: to_unit_range(one.images, processes.device, training.channels_last)
            for name, one in drawn.items()
        }
        labels = {
            name: one.labels.to(processes.device, non_blocking=True).long()
            for name, one in drawn.items()
            if one.labels is not None
        }
        # Of a stream that a run does not have, a batch of no images.
        nothing = next(iter(images.values()))[:0]
        source = images.get("source", nothing)
        batch = Batch(
            source_images=source,
            source_labels=labels.get("source", source[:, 0].long()),
            target_images=images.get("target", nothing),
            step=step,
            progress=step / training.steps,
            labelled=tuple(LabelledImages(name, images[name], labels[name]) for name in self.labelled),
            # The target has no labels here, but a map of where pseudo labels would count.
            target_valid=labels["target"] != IGNORE if "target" in labels else None,
        )
        return [batch.part(k, training.micro_batches) for k in range(training.micro_batches)]


def to_unit_range(images: Tensor, device: torch.device, channels_last: bool) -> Tensor:
    """uint8 (N, 3, H, W) to float in [0, 1] on the device; the images travel as bytes."""
    images = images.to(device, non_blocking=True).float().div_(255)
    return images.contiguous(memory_format=torch.channels_last) if channels_last else images
