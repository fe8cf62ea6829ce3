"""Supervised losses on per-pixel class logits."""

import torch.nn.functional as F
from torch import Tensor

# Losses are pure functions that need no data layer; a test holds this equal to the label files' 255.
IGNORE = 255


def cross_entropy(logits: Tensor, labels: Tensor, ignore: int = IGNORE) -> Tensor:
    r"""Mean of :math:`-\log \mathrm{softmax}(z)_{y}` over the pixels that are not ignored.

    Args:
        logits: (N, C, H, W) raw scores.
        labels: (N, H, W) train ids in 0..C-1 or `ignore`; any integer type.
        ignore: the id that does not count.

    Returns:
        Scalar. When every pixel is ignored it is 0 with zero gradient: plain PyTorch returns NaN there,
        and one unlabelled crop must not end a training run.
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
    """
    labels = labels.long()
    losses = F.cross_entropy(
        logits.float() if logits.dtype.itemsize < 4 else logits, labels, ignore_index=ignore, reduction="none"
    )
    if pixel_weights is not None:
        losses = losses * pixel_weights
    return losses.sum() / (labels != ignore).sum().clamp_min(1)
