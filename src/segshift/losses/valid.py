"""Means over the pixels that have a label, wherever the rest of the batch is."""

from torch import Tensor

from segshift.shared_batch import mean_over_processes


def valid_pixels(labels: Tensor, ignore: int) -> Tensor:
    """By what a sum over valid pixels is divided to become their mean.

    Args:
        labels: of any shape.
        ignore: the id that does not count.

    Returns:
        Scalar: the number of pixels that are not ignored, 1 if there are none. Where processes share a batch
        it is the mean over them, so that the mean of their losses is that over all valid pixels.

    Example:
        >>> import torch
        >>> valid_pixels(torch.tensor([0, 3, 255]), ignore=255)
        tensor(2)
    """
    count = mean_over_processes((labels != ignore).sum())
    return count.where(count > 0, 1)
