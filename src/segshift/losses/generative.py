"""The game between a generator of images and a discriminator that also names the domain (LSD)."""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from segshift.config import did_you_mean
from segshift.losses.precision import at_least_float32

GanClass = Literal["source_real", "source_fake", "target_real", "target_fake"]
"""What an image may be, in the order of the discriminator's channels."""
GAN_CLASSES: tuple[GanClass, ...] = get_args(GanClass)


def gan_class_loss(logits: Tensor, gan_class: GanClass) -> Tensor:
    r"""Cross-entropy of a four-class discriminator against one class for every cell.

    .. math:: L = -\frac{1}{|u|} \sum_u \log \mathrm{softmax}(z_u)_{c}

    The discriminator is trained with what each image is; the generator with "source_real" for fake source
    images and "target_real" for fake target ones (within a domain); the segmenter's features with the other
    domain's real class (across domains).

    Args:
        logits: (N, 4, h, w) of a patch discriminator, or (N, 4) of one that judges whole images; channels in
            the order source_real, source_fake, target_real, target_fake.
        gan_class: the class to hold against it.

    Returns:
        Scalar, at least 0; log 4 = 1.386 for a discriminator that cannot tell. float32 for half precision.
        The public code sums over cells, so times h * w gives its value for one image.

    Raises:
        ValueError: not four channels, or another word for `gan_class`.

    Source: Sankaranarayanan et al., Learning from synthetic data (LSD), CVPR 2018, section 3.3 and table 1;
    the reduction is not stated there.

    Example:
        >>> import torch
        >>> gan_class_loss(torch.zeros(1, 4, 8, 8), 'target_fake')  # four equal scores: log 4
        tensor(1.3863)
    """
    if gan_class not in GAN_CLASSES:
        raise ValueError(
            f"gan_class_loss: gan_class = {gan_class!r}{did_you_mean(str(gan_class), GAN_CLASSES)}"
        )
    if logits.ndim not in (2, 4) or logits.shape[1] != len(GAN_CLASSES):
        raise ValueError(f"gan_class_loss: logits must be (N, 4, h, w) or (N, 4), not {tuple(logits.shape)}")
    labels = torch.full(
        (logits.shape[0], *logits.shape[2:]), GAN_CLASSES.index(gan_class), device=logits.device
    )
    return F.cross_entropy(at_least_float32(logits), labels)
