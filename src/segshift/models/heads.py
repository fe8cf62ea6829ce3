"""Classifiers on top of backbone features."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segshift.models.resize import upsample


class DeepLabV2Head(nn.Module):
    """DeepLab-v2's classifier: the sum of parallel dilated 3x3 convolutions, each straight to the classes.

    Weights start as N(0, 0.01) and biases at 0.

    Args:
        in_channels: F of the (N, F, h, w) features.
        classes: C.
        dilations: one branch each; padding equals dilation, so that the resolution stays.

    Source: Chen et al., DeepLab, TPAMI 2018, section 3.2 ("ASPP-L").
    """

    def __init__(self, in_channels: int, classes: int, dilations: Sequence[int] = (6, 12, 18, 24)) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(in_channels, classes, 3, padding=dilation, dilation=dilation) for dilation in dilations
        )
        _initialize(self)

    def forward(self, features: Tensor) -> Tensor:
        """(N, F, h, w) features to (N, C, h, w) logits."""
        return torch.stack([branch(features) for branch in self.branches]).sum(dim=0)


class FCN8sHead(nn.Module):
    """FCN8s' classifier: scores of three levels, each up-sampled to the next finer one and added there.

    Weights start as N(0, 0.01) and biases at 0. The up-sampling is bilinear and has no parameters.

    Args:
        channels: of the features at strides 8, 16 and 32 (VGG-16: pool3, pool4, fc7).
        classes: C.
        skip_factors: what the features at strides 8 and 16 are multiplied by before they are scored. The
            paper's network has none; its Caffe model, trained in one go, has (0.0001, 0.01).

    Source: Long et al., Fully convolutional networks for semantic segmentation, CVPR 2015, section 4.2.
    """

    def __init__(
        self, channels: Sequence[int], classes: int, skip_factors: tuple[float, float] = (1.0, 1.0)
    ) -> None:
        super().__init__()
        self.skip_factors = skip_factors
        self.scores = nn.ModuleList(nn.Conv2d(count, classes, 1) for count in channels)
        _initialize(self)

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """[(N, F8, h, w), (N, F16, h/2, w/2), (N, F32, h/4, w/4)] features to (N, C, h, w) logits."""
        stride8, stride16, stride32 = pyramid
        logits: Tensor = self.scores[2](stride32)
        for level, features in ((1, stride16), (0, stride8)):
            size = (features.shape[-2], features.shape[-1])
            logits = upsample(logits, size) + self.scores[level](self.skip_factors[level] * features)
        return logits


def _initialize(head: nn.Module) -> None:
    for name, parameter in head.named_parameters():
        if name.endswith("weight"):
            nn.init.normal_(parameter, 0.0, 0.01)
        else:
            nn.init.zeros_(parameter)
