"""How far two classifiers on the same features agree: in what they predict, and in their weights (CLAN)."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from segshift.losses.precision import at_least_float32


def cosine_discrepancy(probs_a: Tensor, probs_b: Tensor) -> Tensor:
    r"""Cosine distance of two predictions, pixel by pixel: CLAN's local alignment score map.

    .. math:: M_{nij} = 1 - \cos(a_{nij}, b_{nij})
              = \tfrac{1}{2} \left\lVert \frac{a}{\|a\|} - \frac{b}{\|b\|} \right\rVert^2

    The second form is what is computed: it is never negative, and does not lose small distances to rounding
    as 1 minus a number close to 1 does.

    Args:
        probs_a: (N, C, H, W) class probabilities of the first classifier.
        probs_b: (N, C, H, W) of the second.

    Returns:
        (N, 1, H, W), in [0, 1] for probabilities: 0 where the classifiers agree, 1 where they share no class.
        float32 for half precision. Gradients reach both arguments; detach the map where it is only a weight.

    Raises:
        ValueError: the shapes differ or are not four-dimensional.

    Source: Luo et al., Taking a closer look at domain shift (CLAN), CVPR 2019, section 3.2.

    Example:
        >>> import torch
        >>> a, b = torch.eye(3)[0].view(1, 3, 1, 1), torch.eye(3)[1].view(1, 3, 1, 1)
        >>> cosine_discrepancy(a, b).item(), cosine_discrepancy(a, a).item()
        (1.0, 0.0)
    """
    if probs_a.ndim != 4 or probs_a.shape != probs_b.shape:
        shapes = f"{tuple(probs_a.shape)} and {tuple(probs_b.shape)}"
        raise ValueError(f"cosine_discrepancy: needs two tensors of one shape (N, C, H, W), not {shapes}")
    apart = F.normalize(at_least_float32(probs_a), dim=1) - F.normalize(at_least_float32(probs_b), dim=1)
    return 0.5 * apart.square().sum(dim=1, keepdim=True)


def weight_similarity(params_a: Iterable[Tensor], params_b: Iterable[Tensor]) -> Tensor:
    r"""Cosine of two classifiers' weights, :math:`\frac{w_1 \cdot w_2}{\|w_1\| \|w_2\|}`.

    Minimised, it keeps the two classifiers different views of the same features.

    Args:
        params_a: parameters of the first classifier, each flattened, all concatenated to one vector; a list,
            or what `Module.parameters()` gives.
        params_b: those of the second, in the same order.

    Returns:
        Scalar in [-1, 1]; 0 if one of the vectors is zero. The public code adds 1, which has no gradient.

    Raises:
        ValueError: no parameters, or shapes that differ.

    Source: Luo et al., CLAN, CVPR 2019, equation 4.

    Example:
        >>> import torch
        >>> w = [torch.ones(2, 3), torch.zeros(2)]
        >>> weight_similarity(w, [-p for p in w])
        tensor(-1.0000)
    """
    params_a, params_b = list(params_a), list(params_b)
    if not params_a or [p.shape for p in params_a] != [p.shape for p in params_b]:
        shapes = " and ".join(str([tuple(p.shape) for p in params]) for params in (params_a, params_b))
        raise ValueError(f"weight_similarity: needs two equal, non-empty lists of shapes, not {shapes}")
    first = torch.cat([at_least_float32(parameter).flatten() for parameter in params_a])
    second = torch.cat([at_least_float32(parameter).flatten() for parameter in params_b])
    return F.cosine_similarity(first, second, dim=0)
