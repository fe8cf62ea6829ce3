"""How far the classes' shares of a prediction are from given ones: what keeps adaptation from collapsing."""

import torch
from torch import Tensor

from segshift.losses.precision import at_least_float32
from segshift.shared_batch import mean_over_processes

# A share is never so small; it keeps the logarithm finite.
_TINY = 1e-8


def class_share_divergence(probs: Tensor, shares: Tensor) -> Tensor:
    r"""Kullback-Leibler divergence of the mean prediction from given shares of the classes.

    .. math:: \sum_c s_c \log \frac{s_c}{\bar p_c}, \quad \bar p_c = \frac{1}{N H W} \sum_{n,h,w} p_{nchw}

    Classes with a share of 0 do not count, and a class that disappears from the prediction costs without
    bound: entropy alone is least when it does. The mean is that of all processes which share the batch.

    Args:
        probs: (N, C, H, W) class probabilities in [0, 1], sums to 1 over the classes.
        shares: (C,) at least 0, sums to 1.

    Returns:
        Scalar, at least 0; 0 when the mean prediction has exactly these shares. float32 for half precision.

    Raises:
        ValueError: shapes that do not fit.

    Source: Bateson et al., Source-relaxed domain adaptation for image segmentation, MICCAI 2020, with shares
    that are known there and estimated here.

    Example:
        >>> import torch
        >>> uniform = torch.full((1, 2, 3, 3), 0.5)
        >>> class_share_divergence(uniform, torch.tensor([1.0, 0.0]))  # log 2
        tensor(0.6931)
    """
    if probs.ndim != 4 or shares.shape != (probs.shape[1],):
        raise ValueError(
            f"class_share_divergence: needs probs (N, C, H, W) and shares (C,), not {tuple(probs.shape)} and "
            f"{tuple(shares.shape)}"
        )
    own = at_least_float32(probs).mean(dim=(0, 2, 3))
    # The value of all processes; the gradient is each one's own, and the engine averages those.
    mean = own + (mean_over_processes(own.detach()) - own.detach())
    shares = shares.to(mean)
    terms = shares * (shares.clamp_min(_TINY).log() - mean.clamp_min(_TINY).log())
    return torch.where(shares > 0, terms, 0.0).sum()
