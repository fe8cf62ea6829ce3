"""Batches that reach a GPU while the step before them is still at work."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from segshift.methods import Batch


def ahead(steps: Iterator[list[Batch]], device: torch.device) -> Iterator[list[Batch]]:
    """The same steps, of which on CUDA the next is always prepared on a stream of its own.

    Copies and augmentation of step k + 1 then overlap with the computation of step k. On other devices
    nothing is taken before it is asked for.

    Args:
        steps: makes micro-batches on the device when it is advanced.
        device: of the training.
    """
    if device.type != "cuda":
        yield from steps
        return
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def prepared() -> list[Batch] | None:
        with torch.cuda.stream(side):
            return next(steps, None)

    upcoming = prepared()
    while upcoming is not None:
        current = torch.cuda.current_stream(device)
        current.wait_stream(side)
        for tensor in tensors_of(upcoming):
            # Its memory may be reused only when this stream is through with it, too.
            tensor.record_stream(current)
        ready, upcoming = upcoming, prepared()
        yield ready


def tensors_of(micro_batches: Sequence[Batch]) -> Iterator[Tensor]:
    """All tensors of a step."""
    for batch in micro_batches:
        yield from (batch.source_images, batch.source_labels, batch.target_images)
        if batch.target_valid is not None:
            yield batch.target_valid
        for labelled in batch.labelled:
            yield from (labelled.images, labelled.labels)
