"""Classifiers on top of backbone features."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from segshift.models.resize import upsample
from segshift.sizes import height_width

if TYPE_CHECKING:
    from segshift.models.segmenter_config import SegmenterConfig


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
            size = height_width(features)
            logits = upsample(logits, size) + self.scores[level](self.skip_factors[level] * features)
        return logits


class LinearHead(nn.Module):
    """Batch norm and a 1x1 convolution: the probe by which foundation backbones are judged.

    Weights of the convolution start as N(0, 0.01) and its biases at 0.

    Args:
        in_channels: F of the (N, F, h, w) features.
        classes: C.

    Source: Oquab et al., DINOv2, TMLR 2024, section 7.4 ("linear"), whose code puts the batch norm in front.
    """

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.classifier = nn.Conv2d(in_channels, classes, 1)
        _initialize(self.classifier)

    def forward(self, features: Tensor) -> Tensor:
        """(N, F, h, w) features to (N, C, h, w) logits."""
        logits: Tensor = self.classifier(self.norm(features))
        return logits


class SegFormerHead(nn.Module):
    """SegFormer's all-MLP decoder: every level to one width, up-sampled to the finest, joined, classified.

    Args:
        channels: of the four levels, finest first (MiT: strides 4, 8, 16, 32).
        classes: C.
        width: channels of the decoder; 256 in SegFormer-B0 and -B1, 768 from B2 on.
        dropout: share of channels dropped before the classifier.

    Source: Xie et al., SegFormer, NeurIPS 2021, section 3.2, equation 4; batch norm, ReLU and dropout as in
    its code.
    """

    def __init__(self, channels: Sequence[int], classes: int, width: int = 256, dropout: float = 0.1) -> None:
        super().__init__()
        self.embed = nn.ModuleList(nn.Conv2d(count, width, 1) for count in channels)
        self.fuse = _convolution(len(channels) * width, width, 1)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(width, classes, 1)
        _initialize(self.classifier)

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Four (N, F_i, h_i, w_i) features, finest first, to (N, C, h_1, w_1) logits."""
        # SegFormer joins the coarsest first.
        logits: Tensor = self.classifier(self.dropout(self.fuse(_joined(self.embed, pyramid, reverse=True))))
        return logits


class DAFormerHead(nn.Module):
    """DAFormer's decoder: context-aware fusion of all levels by a separable ASPP.

    Args:
        channels: of the four levels, finest first.
        classes: C.
        width: channels of the decoder.
        dilations: of the ASPP's branches; 1 is a 1x1 convolution, the others are depthwise separable.
        dropout: share of channels dropped before the classifier.

    Source: Hoyer et al., DAFormer, CVPR 2022, section 3.2 and supplement; 3.7 M parameters on MiT-B5.
    """

    def __init__(
        self,
        channels: Sequence[int],
        classes: int,
        width: int = 256,
        dilations: Sequence[int] = (1, 6, 12, 18),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.embed = nn.ModuleList(nn.Conv2d(count, width, 1) for count in channels)
        joined = len(channels) * width
        self.branches = nn.ModuleList(
            _convolution(joined, width, 1) if dilation == 1 else _separable(joined, width, dilation)
            for dilation in dilations
        )
        self.bottleneck = _convolution(len(dilations) * width, width, 3)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(width, classes, 1)
        _initialize(self.classifier)

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Four (N, F_i, h_i, w_i) features, finest first, to (N, C, h_1, w_1) logits."""
        joined = _joined(self.embed, pyramid)
        context = torch.cat([branch(joined) for branch in self.branches], dim=1)
        logits: Tensor = self.classifier(self.dropout(self.bottleneck(context)))
        return logits


class OfLast(nn.Module):
    """A classifier on the last features that is given all of them."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """(N, F_i, h_i, w_i) features, shallow to deep, to (N, C, h, w) logits."""
        logits: Tensor = self.head(pyramid[-1])
        return logits


Head = DeepLabV2Head | LinearHead | FCN8sHead | SegFormerHead | DAFormerHead
LEVELS = {"deeplab_v2": 1, "linear": 1, "fcn8s": 3, "segformer": 4, "daformer": 4}
"""How many levels of features each head takes; those of one level take the last features alone."""


def build_head(config: "SegmenterConfig", channels: Sequence[int], classes: int) -> Head:
    """The classifier that a configuration names, with random weights.

    Args:
        config: `head` and the keys that belong to it.
        channels: of the backbone's features, shallow to deep.
        classes: C.
    """
    match config.head:
        case "deeplab_v2":
            return DeepLabV2Head(channels[-1], classes, config.head_dilations)
        case "linear":
            return LinearHead(channels[-1], classes)
        case "fcn8s":
            return FCN8sHead(channels, classes, config.skip_factors)
        case "segformer":
            return SegFormerHead(channels, classes, config.head_channels)
        case "daformer":
            return DAFormerHead(channels, classes, config.head_channels)


def _joined(embed: nn.ModuleList, pyramid: Sequence[Tensor], reverse: bool = False) -> Tensor:
    """All levels at the width of `embed` and the size of the finest, side by side."""
    size = height_width(pyramid[0])
    maps = [upsample(layer(features), size) for layer, features in zip(embed, pyramid, strict=True)]
    return torch.cat(maps[::-1] if reverse else maps, dim=1)


def _convolution(
    in_channels: int, out_channels: int, kernel: int, dilation: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution, batch norm, ReLU, at the same resolution."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(
            in_channels,
            out_channels,
            kernel,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=False,
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def _separable(in_channels: int, out_channels: int, dilation: int) -> nn.Sequential:
    """A dilated 3x3 convolution of each channel, then a 1x1 one, each with batch norm and ReLU."""
    depthwise = _convolution(in_channels, in_channels, 3, dilation=dilation, groups=in_channels)
    return nn.Sequential(depthwise, _convolution(in_channels, out_channels, 1))


def _initialize(head: nn.Module) -> None:
    for name, parameter in head.named_parameters():
        if name.endswith("weight"):
            nn.init.normal_(parameter, 0.0, 0.01)
        else:
            nn.init.zeros_(parameter)
