"""A small network for demonstrations and tests that learns from scratch on a CPU."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


class _Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut; the shortcut is a 1x1 convolution where the shape changes."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(
            in_channels, channels, 3, stride=stride, padding=dilation, dilation=dilation, bias=False
        )
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class TinyNetwork(nn.Module):
    """`segshift_tiny`: a strided stem and four residual blocks, 0.24 million parameters, output stride 8.

    The last two blocks are dilated by 2 and 4, which gives each of the features a view of 80 pixels
    around it: streets are recognised by their context.
    """

    channels = (64, 72)
    """Of the auxiliary and of the last features."""

    def __init__(self) -> None:
        super().__init__()
        auxiliary, last = self.channels
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()
        )
        self.stage1 = _Residual(16, 32, stride=2)
        self.stage2 = nn.Sequential(
            _Residual(32, auxiliary, stride=2), _Residual(auxiliary, auxiliary, dilation=2)
        )
        self.stage3 = _Residual(auxiliary, last, dilation=4)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, H, W) images to [auxiliary (N, 64, h, w), last (N, 72, h, w)] features at stride 8."""
        auxiliary: Any = self.stage2(self.stage1(self.stem(x)))
        return [auxiliary, self.stage3(auxiliary)]
