"""The binary domain game: which domain does the discriminator take a map for?"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from segshift.config import did_you_mean

Domain = Literal["source", "target"]
# The convention of the public codes; Transfer-Learning-Library has it the other way round.
_DOMAIN_TARGET: dict[str, float] = {"source": 0.0, "target": 1.0}


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
    """
    if domain not in _DOMAIN_TARGET:
        raise ValueError(f"domain_loss: domain = {domain!r}{did_you_mean(str(domain), list(_DOMAIN_TARGET))}")
    if domain_logits.dtype in (torch.float16, torch.bfloat16):
        domain_logits = domain_logits.float()
    target = torch.full_like(domain_logits, _DOMAIN_TARGET[domain])
    return F.binary_cross_entropy_with_logits(domain_logits, target)
