"""Contrast of pixels to the distributions of classes: every pixel near its own, far from the others'."""

import torch
from torch import Tensor

from segshift.losses.precision import at_least_float32
from segshift.losses.segmentation import cross_entropy
from segshift.losses.valid import valid_pixels
from segshift.train_ids import IGNORE


def class_contrast(
    features: Tensor,
    labels: Tensor,
    mean: Tensor,
    variance: Tensor,
    temperature: float,
    ignore: int = IGNORE,
) -> Tensor:
    r"""Contrast of features q to normal distributions of the classes, instead of to samples drawn from them.

    .. math:: L = \frac{1}{|V|} \sum_{i \in V} \left( -\log \mathrm{softmax}_c \left(
        \frac{q_i^T \mu_c}{\tau} + \frac{q_i^T \Sigma_c q_i}{2 \tau^2} \right)_{y_i}
        + \frac{q_i^T \Sigma_{y_i} q_i}{2 \tau^2} \right)

    the upper bound of the expected InfoNCE loss over infinitely many samples of every class, with diagonal
    covariances.

    Args:
        features: (N, A, h, w), q.
        labels: (N, h, w) train ids or `ignore`.
        mean: (C, A), mu; no gradient is asked of it, nor of the next.
        variance: (C, A), the diagonals of Sigma, at least 0.
        temperature: tau, above 0.
        ignore: the id that does not count.

    Returns:
        Scalar; 0 with zero gradient when no label is valid. With zero variances it is the cross-entropy of
        the similarities to the means, contrast to prototypes.

    Source: Xie et al., SePiCo: Semantic-guided pixel contrast for domain adaptive semantic segmentation,
    TPAMI 2023, distribution-aware pixel contrast ("DistCL"); the formula as its public code computes it.

    Example:
        >>> import torch
        >>> features = torch.tensor([[[[1.0]], [[0.0]]]])  # one pixel, at the mean of its class
        >>> label, means = torch.tensor([[[0]]]), torch.eye(2)
        >>> class_contrast(features, label, means, torch.zeros(2, 2), temperature=1.0)  # log(1 + 1 / e)
        tensor(0.3133)
    """
    features = at_least_float32(features)
    similarity = torch.einsum("nahw,ca->nchw", features, mean.to(features))
    spread = torch.einsum("nahw,ca->nchw", features.square(), variance.to(features)) / (2 * temperature)
    loss = cross_entropy((similarity + spread) / temperature, labels, ignore)
    valid = labels != ignore
    own = spread.gather(1, labels.where(valid, 0)[:, None].long())[:, 0]
    return loss + (own * valid).sum() / (temperature * valid_pixels(labels, ignore))
