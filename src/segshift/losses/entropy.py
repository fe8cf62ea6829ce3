"""Entropy of a prediction: the map that AdvEnt's discriminator sees and the loss that MinEnt minimises."""

import math

import torch
from torch import Tensor

from segshift.losses.precision import at_least_float32

# The logarithm's argument is kept away from 0 by a number that is nothing beside any probability that
# float32 tells from 0; without it the gradient at p = 0 is infinite, and infinity times 0 is NaN.
_TINY = 1e-30


def self_information(probs: Tensor, normalized: bool = False) -> Tensor:
    r"""Weighted self-information map :math:`I_c = -p_c \log p_c`, class by class.

    Args:
        probs: (N, C, H, W) class probabilities in [0, 1].
        normalized: divide by log C, so that the classes of one pixel add up to at most 1. The paper has no
            such factor; the public code does (it takes base-2 logarithms and divides by log2 C).

    Returns:
        (N, C, H, W), in [0, 1/e] (normalized: [0, 1/(e log C)]); float32 for half-precision input, because
        p log p loses its small values there.

    Raises:
        ValueError: `probs` is not four-dimensional.

    Source: Vu et al., AdvEnt, CVPR 2019, section 3.2.

    Example:
        >>> import torch
        >>> probs = torch.tensor([0.5, 0.25, 0.25]).view(1, 3, 1, 1)
        >>> self_information(probs).flatten()
        tensor([0.3466, 0.3466, 0.3466])
    """
    if probs.ndim != 4:
        raise ValueError(f"self_information: probs must be (N, C, H, W), not {tuple(probs.shape)}")
    probs = at_least_float32(probs)
    information = -probs * torch.log(probs + _TINY)
    return information / math.log(probs.shape[1]) if normalized else information


def entropy_loss(probs: Tensor) -> Tensor:
    r"""Mean normalised entropy :math:`\frac{1}{N H W} \sum_{n,h,w} \frac{-\sum_c p_c \log p_c}{\log C}`.

    Args:
        probs: (N, C, H, W) class probabilities in [0, 1], C at least 2.

    Returns:
        Scalar in [0, 1]: 0 for one-hot predictions, 1 for uniform ones.

    Source: Vu et al., AdvEnt, CVPR 2019, equations 2 and 3. The paper sums over pixels; the mean, as in
    the public code, keeps the weight independent of the image size.

    Example:
        >>> import torch
        >>> entropy_loss(torch.full((1, 5, 2, 2), 0.2))  # nothing is known
        tensor(1.)
    """
    return self_information(probs, normalized=True).sum(dim=1).mean()
