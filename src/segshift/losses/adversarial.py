"""The binary domain game: which domain does the discriminator take a map for?"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from segshift.config import did_you_mean
from segshift.losses.precision import at_least_float32

Domain = Literal["source", "target"]
# The convention of the public codes; Transfer-Learning-Library has it the other way round.
_DOMAINS = ["source", "target"]


def domain_number(domain: Domain, where: str) -> int:
    """0 for "source", 1 for "target". Raises ValueError, which begins with `where`, for another word."""
    if domain not in _DOMAINS:
        raise ValueError(f"{where}: domain = {domain!r}{did_you_mean(str(domain), _DOMAINS)}")
    return _DOMAINS.index(domain)


def domain_loss(domain_logits: Tensor, domain: Domain) -> Tensor:
    r"""Binary cross-entropy of a discriminator's logits against one domain for every cell.

    .. math:: L = \frac{1}{|u|} \sum_u \begin{cases} -\log(1 - \sigma(d_u)) & \text{source} \\
              -\log \sigma(d_u) & \text{target} \end{cases}

    The discriminator is trained with each map's own domain; the segmenter with target maps called "source".

    Args:
        domain_logits: any shape, raw scores; positive means "target".
        domain: "source" (0) or "target" (1).

    Returns:
        Scalar, at least 0; log 2 = 0.693 for a discriminator that cannot tell. float32 for half precision.

    Raises:
        ValueError: another word for `domain`.

    Source: Tsai et al., AdaptSegNet, CVPR 2018, equations 1 and 3, as binary cross-entropy.

    Example:
        >>> import torch
        >>> verdicts = torch.tensor([[[[-2.0, -2.0]]]])  # well below 0: source
        >>> domain_loss(verdicts, 'source'), domain_loss(verdicts, 'target')
        (tensor(0.1269), tensor(2.1269))
    """
    return _domain_losses(domain_logits, domain, "domain_loss").mean()


def weighted_domain_loss(
    domain_logits: Tensor, domain: Domain, weight_map: Tensor, local_weight: float, epsilon: float
) -> Tensor:
    r"""CLAN's self-adaptive adversarial loss: the domain loss, weighted cell by cell.

    .. math:: L = \frac{1}{|u|} \sum_u (\lambda_{local} M_u + \epsilon)\, \ell(d_u, \mathit{domain})

    with the binary cross-entropy l of `domain_loss`.

    Args:
        domain_logits: (N, 1, H, W) raw scores at the map's resolution; positive means "target".
        domain: "source" (0) or "target" (1).
        weight_map: M, of the same shape; `cosine_discrepancy` of the two classifiers. Detach it where the
            gradient shall not reach the classifiers through the weights.
        local_weight: lambda_local; 40 in the paper.
        epsilon: weight where the classifiers agree; 0.4 in the paper.

    Returns:
        Scalar, at least 0. With local_weight = 0 and epsilon = 1 it is `domain_loss`. float32 for half
        precision.

    Raises:
        ValueError: the shapes differ, or another word for `domain`.

    Source: Luo et al., CLAN, CVPR 2019, equation 5, its target term (the mean instead of the expectation).

    Example:
        >>> import torch
        >>> verdicts, disagreement = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
        >>> weighted_domain_loss(verdicts, 'source', disagreement, local_weight=40.0, epsilon=0.4)
        tensor(0.2773)
    """
    if domain_logits.shape != weight_map.shape:
        raise ValueError(
            f"weighted_domain_loss: logits {tuple(domain_logits.shape)} and map {tuple(weight_map.shape)} "
            "differ in shape; up-sample the logits to the map"
        )
    weights = local_weight * at_least_float32(weight_map) + epsilon
    return (weights * _domain_losses(domain_logits, domain, "weighted_domain_loss")).mean()


def _domain_losses(domain_logits: Tensor, domain: Domain, where: str) -> Tensor:
    domain_logits = at_least_float32(domain_logits)
    target = torch.full_like(domain_logits, float(domain_number(domain, where)))
    return F.binary_cross_entropy_with_logits(domain_logits, target, reduction="none")
