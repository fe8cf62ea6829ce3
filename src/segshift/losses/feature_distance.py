"""How far a network's features are from those of another, where a mask says that it counts."""

import torch
from torch import Tensor

from segshift.losses.precision import at_least_float32
from segshift.shared_batch import mean_over_processes


def feature_distance(features: Tensor, reference: Tensor, counted: Tensor) -> Tensor:
    r"""Mean over the counted cells of :math:`\lVert f_{ij} - r_{ij} \rVert_2`.

    Args:
        features: (N, F, h, w).
        reference: of the same shape; no gradient is asked of it.
        counted: (N, h, w) bool, the cells that count.

    Returns:
        Scalar, at least 0; 0 with zero gradient when no cell counts, or where the features are equal.

    Source: Hoyer et al., DAFormer, CVPR 2022, equations 5 and 6.

    Example:
        >>> import torch
        >>> features, reference = torch.full((1, 4, 1, 2), 1.5), torch.ones(1, 4, 1, 2)
        >>> feature_distance(features, reference, torch.tensor([[[True, False]]]))  # sqrt(4 * 0.5 ** 2)
        tensor(1.)
    """
    difference = at_least_float32(features) - at_least_float32(reference)
    distances: Tensor = torch.linalg.vector_norm(difference, dim=1)
    cells = mean_over_processes(counted.sum())
    mean: Tensor = (distances * counted).sum() / cells.where(cells > 0, 1)
    return mean
