"""What to say when memory runs out in a step: which settings lower it, with numbers that were measured."""

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import torch
from torch import Tensor
from torch.optim import Optimizer

from segshift.engine.memory import taken, there_is, watched
from segshift.engine.step import StepSettings, train_step
from segshift.errors import InputError, NonFiniteError, is_out_of_memory
from segshift.methods import Batch, LabelledImages, Method
from segshift.plain import counted, size_in_words

# Allocators keep some of what is free, and steps differ.
_USABLE = 0.9
_LEAST_PX, _CROP_PX = 32, 32


@dataclass(frozen=True)
class _Fit:
    """What one image, or a part of one, was seen to take.

    Attributes:
        room: bytes that a step may take beside what is there already.
        per_pixel: bytes of a step for every pixel of a source image.
    """

    room: float
    per_pixel: float


def too_large(
    method: Method, optimizers: Mapping[str, Optimizer], batches: Sequence[Batch], settings: StepSettings
) -> InputError:
    """The error for a step that ran out of memory; to be called when the run is over, which it then is.

    A single image is tried, then ever smaller crops of it, and what these take says what would fit. With
    several processes nothing is tried, since they would have to do it together.

    Args:
        method: takes trial steps, so nothing of it may be saved afterwards.
        optimizers: of its networks.
        batches: the micro-batches of the step that failed.
        settings: of the step.
    """
    images = batches[0].source_images
    count, (height, width) = len(images), images.shape[-2:]
    device = images.device
    for optimizer in optimizers.values():
        optimizer.zero_grad(set_to_none=True)
    _forget(device)
    fit = _measured(method, optimizers, batches[0], settings)
    there = there_is(device)
    had = "" if there is None else f" of {size_in_words(there)}"
    begin = (
        f"memory{had} ran out on {device} in step {batches[0].step}, with {counted(count, 'image')} of "
        f"{width}x{height} px from each domain at once (training.batch_size {count * len(batches)}, "
        f"training.micro_batches {len(batches)})"
    )
    others = "training.precision: bf16 and a smaller model.backbone take less, too"
    if fit is None:
        return InputError(
            f"{begin}; lower training.batch_size, raise training.micro_batches to {count * len(batches)}, "
            f"or take crops of {_rounded(width / 2)}x{_rounded(height / 2)} (augmentation.crop); {others}"
        )
    fitting = int(fit.room / (fit.per_pixel * height * width))
    if fitting >= 1:
        # The smallest number of equal parts that fit; a single image has none.
        parts = next((n for n in range(2, count + 1) if count % n == 0 and count // n <= fitting), 1)
        advice = (
            f"{counted(fitting, 'image')} at once would fit: training.micro_batches: {parts * len(batches)} "
            f"for the same batch in parts, or training.batch_size: {fitting * len(batches)}"
            if count > 1
            else "it was close: other programs took memory meanwhile"
        )
        return InputError(f"{begin}; measured on one image, {advice}; {others}")
    share = sqrt(fit.room / (fit.per_pixel * height * width))
    crop = f"{_rounded(width * share)}x{_rounded(height * share)}"
    return InputError(
        f"{begin}; measured on a part of one image, crops of {crop} would fit, one at a time: "
        f"source.augmentation.crop and target.augmentation.crop [{crop.replace('x', ', ')}], with "
        f"training.micro_batches: {count * len(batches)}; {others}"
    )


def _rounded(side: float) -> int:
    return max(_LEAST_PX, int(side) // _CROP_PX * _CROP_PX)


def _forget(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _measured(
    method: Method, optimizers: Mapping[str, Optimizer], batch: Batch, settings: StepSettings
) -> _Fit | None:
    """What one image takes; where that is too much, what a half, a quarter ... of its sides does."""
    if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
        return None
    device = batch.source_images.device
    one, before, there = batch.part(0, len(batch.source_images)), taken(device), there_is(device)
    height, width = one.source_images.shape[-2:]
    shrink = 1 if len(batch.source_images) > 1 else 2
    while min(height, width) // shrink >= _LEAST_PX and before is not None and there is not None:
        try:
            with watched(device) as peak:
                train_step(method, [_corner(one, shrink)], optimizers, settings)
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, NonFiniteError) or not is_out_of_memory(error):
                return None
            _forget(device)
            shrink *= 2
            continue
        if peak.bytes is None or peak.bytes <= before:
            return None
        pixels = (height // shrink) * (width // shrink)
        return _Fit(_USABLE * (there - before), (peak.bytes - before) / pixels)
    return None


def _corner(batch: Batch, shrink: int) -> Batch:
    """The upper left corner of every image, with sides so many times shorter."""

    def cut(tensor: Tensor) -> Tensor:
        height, width = tensor.shape[-2:]
        return tensor[..., : height // shrink, : width // shrink]

    return replace(
        batch,
        source_images=cut(batch.source_images),
        source_labels=cut(batch.source_labels),
        target_images=cut(batch.target_images),
        labelled=tuple(LabelledImages(one.name, cut(one.images), cut(one.labels)) for one in batch.labelled),
        target_valid=None if batch.target_valid is None else cut(batch.target_valid),
        last_micro_batch=True,
    )
