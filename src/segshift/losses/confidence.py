"""Confidence regularization of self-training (CRST): overconfidence on pseudo labels is made expensive."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from segshift.config import did_you_mean
from segshift.losses.precision import at_least_float32
from segshift.losses.valid import valid_pixels
from segshift.train_ids import IGNORE

RegularizerKind = Literal["mrkld", "mrent", "mrl2"]


def confidence_regularizer(
    logits: Tensor, labels: Tensor, kind: RegularizerKind = "mrkld", ignore: int = IGNORE
) -> Tensor:
    r"""How sharp the predictions on labelled pixels are: the mean of :math:`r(p_v)` over valid pixels v.

    .. math:: \text{mrkld: } r(p) &= -\tfrac{1}{K} \sum_k \log p_k
              && \text{(Kullback-Leibler divergence from uniform, plus } \log K\text{)} \\
              \text{mrent: } r(p) &= \sum_k p_k \log p_k && \text{(negative entropy)} \\
              \text{mrl2: } r(p) &= \sum_k p_k^2

    Each is least for the uniform distribution; a small weight of it beside the pseudo labels' cross-entropy
    keeps outputs smooth. The labels only say which pixels count.

    Args:
        logits: (N, K, H, W) raw scores; p is their softmax.
        labels: (N, H, W) pseudo labels; pixels that are `ignore` do not count.
        kind: which regularizer.
        ignore: the id that does not count.

    Returns:
        Scalar; 0 with zero gradient when no pixel is valid. At least log K (mrkld), in [-log K, 0] (mrent),
        in [1/K, 1] (mrl2). float32 for half precision.

    Raises:
        ValueError: shapes that do not fit, or another word for `kind`.

    Source: Zou et al., Confidence regularized self-training (CRST), ICCV 2019, model regularizers.

    Example:
        >>> import torch
        >>> labels = torch.zeros(1, 2, 2, dtype=torch.long)
        >>> sure = torch.tensor([9.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
        >>> confidence_regularizer(sure, labels) > confidence_regularizer(torch.zeros(1, 3, 2, 2), labels)
        tensor(True)
    """
    _check("confidence_regularizer", logits, labels)
    log_probs = F.log_softmax(at_least_float32(logits), dim=1)
    if kind == "mrkld":
        sharpness = -log_probs.mean(dim=1)
    elif kind == "mrent":
        sharpness = (log_probs.exp() * log_probs).sum(dim=1)
    elif kind == "mrl2":
        sharpness = (2 * log_probs).exp().sum(dim=1)
    else:
        kinds = ["mrkld", "mrent", "mrl2"]
        raise ValueError(f"confidence_regularizer: kind = {kind!r}{did_you_mean(str(kind), kinds)}")
    return _mean_over_valid(sharpness, labels, ignore)


def entropy_regularized_labels(probs: Tensor, thresholds: Tensor, alpha: float) -> Tensor:
    r"""Soft pseudo labels: LRENT, the label regularization of CRST.

    .. math:: \hat y_k = \frac{(p_k / \lambda_k)^{1/\alpha}}{\sum_j (p_j / \lambda_j)^{1/\alpha}}
              = \arg\min_{\hat y} \; -\sum_k \hat y_k \log \frac{p_k}{\lambda_k}
              + \alpha \sum_k \hat y_k \log \hat y_k

    Here the regularizer is the *labels'* negative entropy: it makes the labels soft, while the loss on the
    network stays a cross-entropy (`soft_cross_entropy`).

    Args:
        probs: (N, K, H, W) of the network that labels.
        thresholds: (K,) in (0, 1], the classes' confidence thresholds lambda of class-balanced self-training.
        alpha: above 0; towards 0 the labels become one-hot.

    Returns:
        (N, K, H, W), sums to 1 over the classes. float32 for half precision.

    Raises:
        ValueError: shapes that do not fit, or alpha out of range.

    Source: Zou et al., CRST, ICCV 2019, label entropy regularization.

    Example:
        >>> import torch
        >>> probs = torch.tensor([0.6, 0.3, 0.1]).view(1, 3, 1, 1)
        >>> entropy_regularized_labels(probs, torch.ones(3), alpha=1.0).flatten()  # alpha 1: as they are
        tensor([0.6000, 0.3000, 0.1000])
    """
    if alpha <= 0:
        raise ValueError(f"entropy_regularized_labels: alpha = {alpha}; must be above 0")
    if probs.ndim != 4 or thresholds.shape != (probs.shape[1],):
        raise ValueError(
            "entropy_regularized_labels: needs probs (N, K, H, W) and thresholds (K,), not "
            f"{tuple(probs.shape)} and {tuple(thresholds.shape)}"
        )
    probs = at_least_float32(probs)
    # In logarithms: a power of 1/alpha of a small ratio underflows.
    smallest = torch.finfo(probs.dtype).tiny
    ratio = probs.clamp_min(smallest).log() - thresholds.to(probs).log().view(1, -1, 1, 1)
    return (ratio / alpha).softmax(dim=1)


def soft_cross_entropy(logits: Tensor, soft_labels: Tensor, labels: Tensor, ignore: int = IGNORE) -> Tensor:
    r"""Mean of :math:`-\sum_k \hat y_k \log p_k` over the pixels whose hard label is not ignored.

    Args:
        logits: (N, K, H, W) raw scores; p is their softmax.
        soft_labels: (N, K, H, W) distributions over the classes.
        labels: (N, H, W) pseudo labels, which say which pixels count.
        ignore: the id that does not count.

    Returns:
        Scalar, at least 0; 0 with zero gradient when no pixel is valid. With one-hot `soft_labels` it is
        `cross_entropy`. float32 for half precision.

    Raises:
        ValueError: shapes that do not fit.

    Source: Zou et al., CRST, ICCV 2019: network training with soft pseudo labels.

    Example:
        >>> import torch
        >>> logits = torch.zeros(1, 4, 2, 2)
        >>> soft = torch.full((1, 4, 2, 2), 0.25)
        >>> soft_cross_entropy(logits, soft, torch.zeros(1, 2, 2, dtype=torch.long))  # log 4
        tensor(1.3863)
    """
    _check("soft_cross_entropy", logits, labels)
    if soft_labels.shape != logits.shape:
        raise ValueError(
            f"soft_cross_entropy: soft_labels {tuple(soft_labels.shape)} and logits {tuple(logits.shape)} "
            "must have one shape"
        )
    log_probs = F.log_softmax(at_least_float32(logits), dim=1)
    return _mean_over_valid(-(soft_labels * log_probs).sum(dim=1), labels, ignore)


def _mean_over_valid(values: Tensor, labels: Tensor, ignore: int) -> Tensor:
    valid = labels != ignore
    # Not a product with the mask: a huge logit of an ignored pixel must not turn 0 into NaN.
    return values.masked_fill(~valid, 0).sum() / valid_pixels(labels, ignore)


def _check(function: str, logits: Tensor, labels: Tensor) -> None:
    if logits.ndim != 4 or labels.shape != (logits.shape[0], *logits.shape[2:]):
        raise ValueError(
            f"{function}: needs logits (N, K, H, W) and labels (N, H, W), not {tuple(logits.shape)} and "
            f"{tuple(labels.shape)}"
        )
