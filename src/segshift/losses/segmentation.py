"""Supervised losses on per-pixel class logits."""

import torch
import torch.nn.functional as F
from torch import Tensor

from segshift.losses.precision import at_least_float32
from segshift.losses.valid import valid_pixels
from segshift.train_ids import IGNORE

_TINY = 1e-9


def cross_entropy(logits: Tensor, labels: Tensor, ignore: int = IGNORE) -> Tensor:
    r"""Mean of :math:`-\log \mathrm{softmax}(z)_{y}` over the pixels that are not ignored.

    Args:
        logits: (N, C, H, W) raw scores.
        labels: (N, H, W) train ids in 0..C-1 or `ignore`; any integer type.
        ignore: the id that does not count.

    Returns:
        Scalar. When every pixel is ignored it is 0 with zero gradient: plain PyTorch returns NaN there,
        and one unlabelled crop must not end a training run.

    Example:
        >>> import torch
        >>> labels = torch.tensor([[[0, 1], [2, 255]]])  # 255 does not count
        >>> cross_entropy(torch.zeros(1, 3, 2, 2), labels)  # log 3
        tensor(1.0986)
    """
    return weighted_cross_entropy(logits, labels, None, ignore)


def weighted_cross_entropy(
    logits: Tensor, labels: Tensor, pixel_weights: Tensor | None, ignore: int = IGNORE
) -> Tensor:
    r"""Cross-entropy with a weight per pixel, :math:`\frac{1}{|V|}\sum_{v \in V} w_v \ell_v`.

    The sum is divided by the number of valid pixels |V|, not by the weights' sum, so that a low weight
    means a weak push, as in DACS (Tranheden et al., WACV 2021, equation 6).

    Args:
        logits: (N, C, H, W).
        labels: (N, H, W), train ids or `ignore`.
        pixel_weights: (N, H, W) at least 0, or None for 1 everywhere.
        ignore: the id that does not count.

    Returns:
        Scalar; 0 with zero gradient when no pixel is valid.

    Example:
        >>> import torch
        >>> labels = torch.tensor([[[0, 1], [2, 255]]])
        >>> half = torch.full((1, 2, 2), 0.5)
        >>> weighted_cross_entropy(torch.zeros(1, 3, 2, 2), labels, half)
        tensor(0.5493)
    """
    labels = labels.long()
    losses = F.cross_entropy(at_least_float32(logits), labels, ignore_index=ignore, reduction="none")
    if pixel_weights is not None:
        losses = losses * pixel_weights
    return losses.sum() / valid_pixels(labels, ignore)


def focal_cross_entropy(logits: Tensor, labels: Tensor, gamma: float, ignore: int = IGNORE) -> Tensor:
    r"""Focal loss :math:`-\frac{1}{|V|} \sum_{v \in V} (1 - p_{y_v})^\gamma \log p_{y_v}`.

    Args:
        logits: (N, C, H, W) raw scores; p is their softmax.
        labels: (N, H, W) train ids in 0..C-1 or `ignore`; any integer type.
        gamma: at least 0; 0 is cross-entropy, 2 the usual value: pixels that are right already count less.
        ignore: the id that does not count.

    Returns:
        Scalar, at least 0; 0 with zero gradient when no pixel is valid. float32 for half precision.

    Raises:
        ValueError: a negative gamma.

    Source: Lin et al., Focal loss for dense object detection, ICCV 2017, equation 4; the supervised loss of
    CLAN's public code (gamma 2), where its paper has cross-entropy.

    Example:
        >>> import torch
        >>> labels = torch.tensor([[[0, 1], [2, 255]]])
        >>> focal_cross_entropy(torch.zeros(1, 3, 2, 2), labels, gamma=2.0)  # log 3 times (1 - 1/3) squared
        tensor(0.4883)
    """
    if gamma < 0:
        raise ValueError(f"focal_cross_entropy: gamma = {gamma}; must not be negative")
    labels = labels.long()
    losses = F.cross_entropy(at_least_float32(logits), labels, ignore_index=ignore, reduction="none")
    if gamma > 0:
        # 1 - p without cancellation, kept off 0, where a power below 1 has an infinite slope.
        losses = (-torch.expm1(-losses)).clamp_min(_TINY) ** gamma * losses
    return losses.sum() / valid_pixels(labels, ignore)
