"""Entropy of the least certain pixels alone: what MinEnt minimises with entropy ranking."""

from torch import Tensor

from segshift.losses.entropy import self_information


def ranked_entropy_loss(probs: Tensor, highest_share: float) -> Tensor:
    r"""Mean normalised entropy of the pixels of each image whose entropy is the highest.

    Args:
        probs: (N, C, H, W) class probabilities in [0, 1], C at least 2.
        highest_share: in (0, 1], of an image's H W pixels; at least one counts. The paper's "MinEnt + ER" has
            0.3; its public code has no such loss.

    Returns:
        Scalar in [0, 1], at least `entropy_loss(probs)`, and equal to it where the share is 1.

    Source: Vu et al., AdvEnt, CVPR 2019, the rows "MinEnt + ER" (entropy ranking).

    Example:
        >>> import torch
        >>> sure, unsure = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])
        >>> ranked_entropy_loss(torch.stack([sure, unsure], dim=1).view(1, 2, 1, 2), 0.5)
        tensor(1.)
    """
    entropy = self_information(probs, normalized=True).sum(dim=1).flatten(1)
    count = max(1, round(highest_share * entropy.shape[1]))
    return entropy.topk(count, dim=1).values.mean()
