"""How far a network's features are from those of another, where a mask says that it counts."""

import torch
import torch.nn.functional as F
from torch import Tensor

from segshift.losses.precision import at_least_float32
from segshift.shared_batch import mean_over_processes


def feature_distance(
    features: Tensor, reference: Tensor, counted: Tensor, cosine_share: float | None = None
) -> Tensor:
    r"""Mean over the counted cells of :math:`\lVert f_{ij} - r_{ij} \rVert_2`, or of a mix with the cosine.

    Args:
        features: (N, F, h, w).
        reference: of the same shape; no gradient is asked of it.
        counted: (N, h, w) bool, the cells that count.
        cosine_share: c in [0, 1]; a cell's distance is then
            :math:`c (1 - \cos(f, r)) + (1 - c) \, \mathrm{smooth\,L1}(f, r)`, with a mean over channels.

    Returns:
        Scalar, at least 0; 0 with zero gradient when no cell counts, or where the features are equal.

    Source: Hoyer et al., DAFormer, CVPR 2022, equations 5 and 6; the mix from the public code of VFM-UDA++
    (Englert & Dubbelman, 2025).

    Example:
        >>> import torch
        >>> features, reference = torch.full((1, 4, 1, 2), 1.5), torch.ones(1, 4, 1, 2)
        >>> feature_distance(features, reference, torch.tensor([[[True, False]]]))  # sqrt(4 * 0.5 ** 2)
        tensor(1.)
    """
    features, reference = at_least_float32(features), at_least_float32(reference)
    if cosine_share is None:
        distances: Tensor = torch.linalg.vector_norm(features - reference, dim=1)
    else:
        directions = 1 - F.cosine_similarity(features, reference, dim=1)
        steps = F.smooth_l1_loss(features, reference, reduction="none").mean(dim=1)
        distances = cosine_share * directions + (1 - cosine_share) * steps
    cells = mean_over_processes(counted.sum())
    mean: Tensor = (distances * counted).sum() / cells.where(cells > 0, 1)
    return mean
