"""Classifiers on top of backbone features."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


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
        for parameter_name, parameter in self.named_parameters():
            if parameter_name.endswith("weight"):
                nn.init.normal_(parameter, 0.0, 0.01)
            else:
                nn.init.zeros_(parameter)

    def forward(self, features: Tensor) -> Tensor:
        """(N, F, h, w) features to (N, C, h, w) logits."""
        return torch.stack([branch(features) for branch in self.branches]).sum(dim=0)
