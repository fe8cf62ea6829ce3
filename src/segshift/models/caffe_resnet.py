"""ResNets in Caffe's shape, as the public codes of AdaptSegNet, ADVENT and CLAN use them for DeepLab-v2."""

import torch.nn.functional as F
from torch import Tensor, nn

DEPTHS = {"caffe_resnet50": (3, 4, 6, 3), "caffe_resnet101": (3, 4, 23, 3)}
_EXPANSION = 4


class _Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions beside a shortcut; the stride is in the first 1x1."""

    def __init__(self, in_channels: int, width: int, stride: int, dilation: int, projects: bool) -> None:
        super().__init__()
        channels = _EXPANSION * width
        self.conv1 = nn.Conv2d(in_channels, width, 1, stride=stride, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module = nn.Identity()
        if projects:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        shortcut: Tensor = self.downsample(x)
        return F.relu(self.bn3(self.conv3(y)) + shortcut)


class CaffeResNet(nn.Module):
    """A bottleneck ResNet with output stride 8 in Caffe's shape; parameters are named as in the public files.

    It differs from torchvision's in three places: the stride of a stage is in its first 1x1 convolution,
    the max-pooling rounds up (512x256 px give 65x33 features, not 64x32), and every 3x3 convolution of the
    third and fourth stage is dilated by 2 and 4, the first one too.

    Args:
        depths: blocks of the four stages.
        width: channels of the stem and of the first stage's 3x3 convolutions; 64 in the papers.

    Source: He et al., CVPR 2016, in the Caffe model that Chen et al. (DeepLab, TPAMI 2018) start from.
    """

    def __init__(self, depths: tuple[int, int, int, int], width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)
        self.layer1 = _stage(width, width, depths[0], stride=1, dilation=1)
        self.layer2 = _stage(4 * width, 2 * width, depths[1], stride=2, dilation=1)
        self.layer3 = _stage(8 * width, 4 * width, depths[2], stride=1, dilation=2)
        self.layer4 = _stage(16 * width, 8 * width, depths[3], stride=1, dilation=4)
        self.channels = (16 * width, 32 * width)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, H, W) images to the features of the third and of the fourth stage, both at stride 8."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        third: Tensor = self.layer3(self.layer2(self.layer1(x)))
        return [third, self.layer4(third)]


def _stage(in_channels: int, width: int, depth: int, stride: int, dilation: int) -> nn.Sequential:
    first = _Bottleneck(in_channels, width, stride, dilation, projects=True)
    rest = (_Bottleneck(_EXPANSION * width, width, 1, dilation, projects=False) for _ in range(depth - 1))
    return nn.Sequential(first, *rest)
