"""VGG-16 as a backbone: dilated for DeepLab, and with its fully connected layers for FCN8s."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from segshift.models.dropout import Dropout2d

_WIDTHS = (
    64,
    64,
    "pool",
    128,
    128,
    "pool",
    256,
    256,
    256,
    "pool",
    512,
    512,
    512,
    "pool",
    512,
    512,
    512,
    "pool",
)
# Positions in torchvision's `features`: the ends of conv3_3 + pool3, of conv4_3, of conv5_3.
_POOL3_END, _CONV4_END, _CONV5_END = 17, 23, 30
# What the fully connected layers are called by torchvision, by the files converted from Caffe, by timm.
_FULLY_CONNECTED = {
    "classifier.0": "fc6",
    "classifier.1": "fc6",
    "pre_logits.fc1": "fc6",
    "classifier.3": "fc7",
    "classifier.4": "fc7",
    "pre_logits.fc2": "fc7",
}
_CLASSIFIERS = ("classifier.6", "head.fc")


class DeepLabVGG16(nn.Module):
    """VGG-16 with output stride 8: pool4 and pool5 left out, conv5 dilated by 2, dilated fc6 and fc7.

    fc6 and fc7 are 3x3 convolutions to 1024 channels with dilation 4 and new weights. DeepLab-v2 itself
    sub-samples ImageNet's weights for them; the networks behind the adaptation papers' VGG-16 rows
    (AdaptSegNet, AdaptPatch, FADA) are as here.

    Source: Chen et al., DeepLab, TPAMI 2018, section 3.1; Wang et al. (FADA), ECCV 2020, section 4.2.
    """

    channels = (512, 1024)
    """Of the features of conv4_3 and of fc7."""
    new: tuple[str, ...] = ("fc6.weight", "fc6.bias", "fc7.weight", "fc7.bias")
    """Parameters that a file of ImageNet's weights does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.features = _features()
        # An identity in place of pool4, and nothing in place of pool5, keep torchvision's numbers.
        self.features[_CONV4_END] = nn.Identity()
        del self.features[_CONV5_END]
        for module in self.features[_CONV4_END:]:
            if isinstance(module, nn.Conv2d):
                module.dilation = module.padding = (2, 2)
        self.fc6 = nn.Conv2d(512, 1024, 3, padding=4, dilation=4)
        self.fc7 = nn.Conv2d(1024, 1024, 3, padding=4, dilation=4)
        _initialize(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, H, W) images to [conv4_3 (N, 512, h, w), fc7 (N, 1024, h, w)] at stride 8."""
        fourth: Tensor = self.features[:_CONV4_END](x)
        fifth: Tensor = self.features[_CONV4_END:](fourth)
        return [fourth, F.relu(self.fc7(F.relu(self.fc6(fifth))))]


class FullyConvolutionalVGG16(nn.Module):
    """VGG-16 whose fully connected layers are convolutions (fc6 7x7, fc7 1x1, dropout 0.5 after each).

    Unlike the Caffe model it pads the image by 1 px instead of 100: fc6 is padded by 3 px, so that every
    level has exactly the image's size over its stride, rounded up.

    Args:
        width: channels of fc6 and fc7; 4096 in the paper and in ImageNet's weights.

    Source: Long et al., Fully convolutional networks for semantic segmentation, CVPR 2015, section 4.
    """

    def __init__(self, width: int = 4096) -> None:
        super().__init__()
        self.features = _features(ceil_mode=True)
        self.fc6 = nn.Conv2d(512, width, 7, padding=3)
        self.fc7 = nn.Conv2d(width, width, 1)
        self.dropout = Dropout2d(0.5)
        self.channels = (256, 512, width)
        _initialize(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, H, W) images to [pool3 (N, 256, ...), pool4 (N, 512, ...), fc7] at strides 8, 16, 32."""
        third: Tensor = self.features[:_POOL3_END](x)
        fourth: Tensor = self.features[_POOL3_END : _CONV4_END + 1](third)
        fifth: Tensor = self.features[_CONV4_END + 1 :](fourth)
        sixth: Tensor = self.dropout(F.relu(self.fc6(fifth)))
        return [third, fourth, self.dropout(F.relu(self.fc7(sixth)))]


def as_convolutions(state: Mapping[str, Tensor], *, fully_connected: bool) -> dict[str, Tensor]:
    """A VGG-16 classifier's state dict under this module's names.

    Args:
        state: names as torchvision, timm, or files converted from Caffe have them.
        fully_connected: keep fc6 and fc7 of the classifier, as (4096, 512, 7, 7) and (4096, 4096, 1, 1)
            convolutions; otherwise drop them.
    """
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        module, _, parameter = key.rpartition(".")
        layer = _FULLY_CONNECTED.get(module)
        if module in _CLASSIFIERS or (layer is not None and not fully_connected):
            continue
        if layer is None:
            renamed[key] = value
            continue
        if parameter == "weight" and value.ndim == 2:
            side = 7 if layer == "fc6" else 1
            value = value.reshape(value.shape[0], -1, side, side)
        renamed[f"{layer}.{parameter}"] = value
    return renamed


def _features(ceil_mode: bool = False) -> nn.Sequential:
    """torchvision's 31 modules: thirteen 3x3 convolutions with ReLU, five max-poolings."""
    layers: list[nn.Module] = []
    channels = 3
    for width in _WIDTHS:
        if isinstance(width, int):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        else:
            layers.append(nn.MaxPool2d(2, stride=2, ceil_mode=ceil_mode))
    return nn.Sequential(*layers)


def _initialize(module: nn.Module) -> None:
    for child in module.modules():
        if isinstance(child, nn.Conv2d) and child.bias is not None:
            nn.init.kaiming_normal_(child.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(child.bias)
