"""The domain game class by class: which domain, and which class in it, do features come from (FADA)?"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from segshift.config import did_you_mean
from segshift.losses.adversarial import Domain, domain_number
from segshift.losses.precision import at_least_float32

EncodingKind = Literal["soft", "hard"]


def domain_encoding(
    logits: Tensor,
    temperature: float = 1.8,
    clip: float = 0.9,
    kind: EncodingKind = "soft",
    threshold: float = 0.9,
) -> Tensor:
    r"""What the classifier knows of each pixel, as the class half :math:`a` of FADA's domain encoding.

    .. math:: \text{soft: } a_k &= \min(\mathrm{softmax}(z / T)_k,\ \mathit{clip}) \\
              \text{hard: } a_k &= [k = \arg\max_j p_j] \cdot [\max_j p_j > \mathit{threshold}],
              \quad p = \mathrm{softmax}(z)

    The full encoding is [a; 0] for the source and [0; a] for the target; `class_domain_loss` places it.

    Args:
        logits: (N, K, H, W) of the segmenter.
        temperature: T of the soft kind, above 0; 1 is the plain softmax. The paper's hard labels have none.
        clip: largest value of a soft entry, in (0, 1]; 1 does not clip. Nothing is renormalised afterwards,
            so a clipped pixel's entries add up to less than 1.
        kind: "soft", or "hard".
        threshold: a hard pixel is kept where the largest probability exceeds this; others are all zeros.

    Returns:
        (N, K, H, W) in [0, 1], without a graph: the knowledge is a constant of the game, so the classifier
        gets no adversarial gradient through it. float32 for half precision.

    Raises:
        ValueError: `logits` is not four-dimensional, T or clip out of range, or another word for `kind`.

    Source: Wang et al., Classes matter (FADA), ECCV 2020, section 3.3: equation 8 (soft), equation 7 and
    the threshold after it (hard), clipping in the last paragraph but one.

    Example:
        >>> import torch
        >>> logits = torch.tensor([4.0, 0.0, 0.0]).view(1, 3, 1, 1)
        >>> domain_encoding(logits).flatten()
        tensor([0.8219, 0.0891, 0.0891])
        >>> domain_encoding(logits, kind='hard').flatten()
        tensor([1., 0., 0.])
    """
    if logits.ndim != 4:
        raise ValueError(f"domain_encoding: logits must be (N, K, H, W), not {tuple(logits.shape)}")
    if temperature <= 0 or not 0 < clip <= 1:
        raise ValueError(
            f"domain_encoding: temperature = {temperature}, clip = {clip}; need above 0 and in (0, 1]"
        )
    logits = at_least_float32(logits.detach())
    if kind == "soft":
        return (logits / temperature).softmax(dim=1).clamp_max(clip)
    if kind == "hard":
        confidence, best = logits.softmax(dim=1).max(dim=1, keepdim=True)
        return torch.zeros_like(logits).scatter_(1, best, (confidence > threshold).to(logits.dtype))
    raise ValueError(f"domain_encoding: kind = {kind!r}{did_you_mean(str(kind), ['soft', 'hard'])}")


def class_domain_loss(discriminator_logits: Tensor, encoding: Tensor, domain: Domain) -> Tensor:
    r"""Cross-entropy of a discriminator over (domain, class) pairs against a domain encoding.

    .. math:: L = -\frac{1}{N H W} \sum_u \sum_{k=1}^{K} a_{uk} \log P(d, k \mid f_u), \qquad
              P = \mathrm{softmax} \text{ over all } 2K \text{ channels}

    The discriminator is trained with each map's own domain (half of each); the features are trained with
    target maps called "source".

    Args:
        discriminator_logits: (N, 2K, H, W) raw scores, the source's K channels first.
        encoding: (N, K, H, W) from `domain_encoding`; a pixel of zeros adds 0 and still counts in the mean.
        domain: "source" (first K channels) or "target" (last K).

    Returns:
        Scalar, at least 0; log 2K for a discriminator that knows nothing and encodings that add up to 1. 0
        when every pixel's encoding is zero. float32 for half precision.

    Raises:
        ValueError: shapes that do not fit, or another word for `domain`.

    Source: Wang et al., FADA, ECCV 2020, equations 5 and 6 (the paper sums over pixels; the public code
    takes the mean).

    Example:
        >>> import torch
        >>> undecided = torch.zeros(1, 2 * 3, 4, 4)  # six equal scores: log 6 for every pixel
        >>> encoding = torch.eye(3)[0].view(1, 3, 1, 1).expand(1, 3, 4, 4)
        >>> class_domain_loss(undecided, encoding, 'source')
        tensor(1.7918)
    """
    number = domain_number(domain, "class_domain_loss")
    classes = encoding.shape[1] if encoding.ndim == 4 else -1
    wanted = (encoding.shape[0], 2 * classes, *encoding.shape[2:])
    if classes < 1 or discriminator_logits.shape != wanted:
        raise ValueError(
            "class_domain_loss: needs logits (N, 2K, H, W) and an encoding (N, K, H, W), not "
            f"{tuple(discriminator_logits.shape)} and {tuple(encoding.shape)}"
        )
    log_probs = F.log_softmax(at_least_float32(discriminator_logits), dim=1)
    of_domain = log_probs[:, number * classes : (number + 1) * classes]
    return -(encoding * of_domain).sum(dim=1).mean()
