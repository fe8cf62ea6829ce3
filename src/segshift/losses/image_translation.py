"""The least-squares game of image translation (CycleGAN)."""

from torch import Tensor

from segshift.losses.precision import at_least_float32


def least_squares_loss(scores: Tensor, real: bool) -> Tensor:
    r"""Mean squared distance of a critic's scores from what they should be.

    .. math:: L = \frac{1}{|u|} \sum_u (d_u - r)^2, \qquad r = 1 \text{ for real}, 0 \text{ for fake}

    The critic is trained with half of each of the two; the generator with its images called real.

    Args:
        scores: any shape, raw.
        real: what the scores should say.

    Returns:
        Scalar, at least 0. float32 for half precision.

    Source: Mao et al., Least squares generative adversarial networks, ICCV 2017, equation 2 (a = 0,
    b = c = 1); Zhu et al., CycleGAN, ICCV 2017, section 4.

    Example:
        >>> import torch
        >>> least_squares_loss(torch.full((1, 1, 4, 4), 0.5), real=True)
        tensor(0.2500)
    """
    return (at_least_float32(scores) - float(real)).square().mean()
