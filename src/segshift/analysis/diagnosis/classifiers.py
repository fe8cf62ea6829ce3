"""The networks that are told to tell two domains apart."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

Network = Literal["small", "resnet18"]


def domain_classifier(name: Network, channels: int) -> nn.Module:
    """A network with new weights: (N, channels, H, W) to (N, 1) logits of "target"."""
    if name == "small":
        return SmallResNet(channels)
    import timm

    return timm.create_model("resnet18", pretrained=False, in_chans=channels, num_classes=1)


class SmallResNet(nn.Module):
    """A stem of stride 4 and three residual blocks of 16, 32 and 64 channels, at strides 4, 8 and 16.

    The last features are averaged in 3 x 4 parts of the map instead of as a whole, so that few iterations
    suffice to see where things are: a network of this depth sees less of the map at once than a ResNet-18.

    Args:
        channels: of the input.

    Shape: (N, channels, H, W) to (N, 1) logits of "target".
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, 16, 5, stride=4, padding=2, bias=False), nn.BatchNorm2d(16), nn.ReLU()
        )
        self.stages = nn.Sequential(_Block(16, 16, 1), _Block(16, 32, 2), _Block(32, 64, 2))
        self.head = nn.Linear(64 * 12, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, 1)."""
        features = F.adaptive_avg_pool2d(self.stages(self.stem(x)), (3, 4))
        logits: Tensor = self.head(features.flatten(1))
        return logits


class _Block(nn.Module):
    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        same = stride == 1 and channels == out
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))
