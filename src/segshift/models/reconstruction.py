"""LSD's networks: from features back to an image, and the judge of realness, domain and classes.

Layers are the public code's in kind (the paper leaves them to its supplement): residual blocks of one
convolution, norm, activation and dropout; their number follows the stride of the features. Instance norm,
which the public code has, takes every channel's mean out of every image, and with it most of what tells day
from dusk: without its skips the generator then painted gray and the discriminator stayed at log 4. Group
norm keeps the means; the other is an option.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from segshift.errors import InputError
from segshift.models.batch_norm import evaluating
from segshift.models.discriminators import NEGATIVE_SLOPE
from segshift.models.dropout import Dropout
from segshift.models.resize import check_least_px, upsample
from segshift.models.segmenter import Segmenter
from segshift.models.translators import initialize, to_signed
from segshift.sizes import HeightWidth

_PROBE_PX = 64
_DOMAIN_CLASSES = 4  # source real, source fake, target real, target fake: `losses.GAN_CLASSES`
_DROPOUT = 0.5
_GROUPS = 8
_SMALLEST_PX = 16

Normalization = Literal["group", "instance"]


def pyramid_strides(segmenter: Segmenter) -> tuple[int, ...]:
    """The strides of a segmenter's features, shallow to deep, each a power of two."""
    images = torch.zeros(1, 3, _PROBE_PX, _PROBE_PX, device=segmenter.device)
    with evaluating(segmenter), torch.no_grad():
        pyramid = segmenter(images).pyramid
    # Networks that pad generously (the Caffe ResNet) give a row more than the image's size over the stride.
    return tuple(int(2 ** round(math.log2(_PROBE_PX / level.shape[-1]))) for level in pyramid)


class EmbeddingGenerator(nn.Module):
    """LSD's generator: doubles the features' resolution, by transposed convolutions, up to the image's.

    Every stage is two residual blocks and a 4x4 transposed convolution of stride 2. Dropout, in training
    mode, takes the place of the noise of other generators.

    Args:
        channels: of the features it gets, shallow to deep; the last are the embedding, others are skips.
        strides: of these features, powers of two, the embedding's at least 2 and the largest.
        width: channels at half the image's resolution; twice as many per halving, up to eight times.
        normalization: group or instance norm.

    Source: Sankaranarayanan et al., Learning from synthetic data (LSD), CVPR 2018, sections 3.1 and 3.2; the
    skips (pool3 and pool4) are the public code's.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        width: int = 64,
        normalization: Normalization = "group",
    ) -> None:
        super().__init__()
        self.strides = tuple(strides)
        stages = self.strides[-1].bit_length() - 1
        widths = {level: width * 2 ** min(max(level, 1) - 1, 3) for level in range(stages + 1)}
        self.entrances = nn.ModuleList(
            nn.Conv2d(count, widths[stride.bit_length() - 1], 1)
            for count, stride in zip(channels, self.strides, strict=True)
        )
        self.stages = nn.ModuleList(
            nn.Sequential(
                _Block(widths[level], 0.0, normalization),
                _Block(widths[level], 0.0, normalization),
                nn.ConvTranspose2d(widths[level], widths[level - 1], 4, stride=2, padding=1, bias=False),
                _norm(widths[level - 1], normalization),
                nn.ReLU(),
            )
            for level in range(stages, 0, -1)
        )
        self.exit = nn.Conv2d(widths[0], 3, 3, padding=1, padding_mode="reflect")
        initialize(self)

    def forward(self, pyramid: Sequence[Tensor], size: HeightWidth) -> Tensor:
        """An image from features.

        Args:
            pyramid: (N, F, h, w) features as told to the constructor. Maps that are not exactly the image's
                size over their stride are resized.
            size: (H, W) of the image.

        Returns:
            (N, 3, H, W) RGB in [0, 1].

        Raises:
            InputError: the embedding is smaller than 2x2, which has no neighbors to paint from.
        """
        if min(pyramid[-1].shape[-2:]) < 2:
            height, width = pyramid[-1].shape[-2:]
            raise InputError(
                f"the generator got features of {width}x{height}, it needs 2x2; train on larger crops"
            )
        stride = self.strides[-1]
        parts: list[Tensor] = []
        for stage in self.stages:
            here = _shrunk(size, stride)
            for entrance, features, own in zip(self.entrances, pyramid, self.strides, strict=True):
                if own == stride:
                    parts.append(upsample(entrance(features), here))
            doubled: Tensor = stage(torch.stack(parts).sum(dim=0))
            stride //= 2
            parts = [upsample(doubled, _shrunk(size, stride))]
        image: Tensor = self.exit(parts[0]).sigmoid()
        return image


class Judgement(NamedTuple):
    """What LSD's discriminator says of images.

    Attributes:
        domain: (N, 4, h, w), or (N, 4) of whole images: logits in the order of `losses.GAN_CLASSES`.
        labels: (N, C, h, w) class logits; None of a discriminator without that output.
    """

    domain: Tensor
    labels: Tensor | None


class LabellingDiscriminator(nn.Module):
    """LSD's discriminator: one trunk of stride 8 with residual blocks, and two outputs.

    Args:
        classes: C of the auxiliary output; None leaves it out (the ablation without auxiliary loss).
        width: channels of the trunk; 128 in the public code.
        blocks: residual blocks; 9 in the public code.
        scope: "patch": the domain is judged cell by cell; "whole": once per image (the ablation "without
            patch discriminator"), by the mean of its cells. The classes are told cell by cell in both.
        normalization: group or instance norm.

    Source: Sankaranarayanan et al., LSD, CVPR 2018, sections 3.1 and 3.4; table 4 for the ablations.
    """

    def __init__(
        self,
        classes: int | None,
        width: int = 128,
        blocks: int = 9,
        scope: Literal["patch", "whole"] = "patch",
        normalization: Normalization = "group",
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for after in (max(1, width // 4), max(1, width // 2), width):
            # No norm on the first layer: it would hide the images' colors from the judge.
            layers.append(nn.Conv2d(before, after, 4, stride=2, padding=1, bias=before == 3))
            layers += [] if before == 3 else [_norm(after, normalization)]
            layers.append(nn.LeakyReLU(NEGATIVE_SLOPE))
            before = after
        residual = [_Block(width, NEGATIVE_SLOPE, normalization) for _ in range(blocks)]
        self.trunk = nn.Sequential(*layers, *residual)
        self.whole = scope == "whole"
        self.domain = nn.Conv2d(width, _DOMAIN_CLASSES, 3, padding=1)
        self.labels = None if classes is None else nn.Conv2d(width, classes, 3, padding=1)
        initialize(self)

    def forward(self, images: Tensor) -> Judgement:
        """(N, 3, H, W) images in [0, 1] to logits at (H // 8, W // 8).

        Raises:
            InputError: H or W is less than 16.
        """
        check_least_px(images, _SMALLEST_PX, "the discriminator got an image", "train on larger crops")
        features: Tensor = self.trunk(to_signed(images))
        labels = None if self.labels is None else self.labels(features)
        domain: Tensor = self.domain(features)
        return Judgement(domain.mean(dim=(2, 3)) if self.whole else domain, labels)


class _Block(nn.Module):
    """A residual block: x plus convolution, norm, activation and dropout of it."""

    def __init__(self, channels: int, slope: float, normalization: Normalization) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=False),
            _norm(channels, normalization),
            nn.LeakyReLU(slope) if slope > 0 else nn.ReLU(),
            Dropout(_DROPOUT),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) to the same shape."""
        residual: Tensor = self.layers(x)
        return x + residual


def _norm(channels: int, normalization: Normalization) -> nn.Module:
    if normalization == "instance":
        return nn.InstanceNorm2d(channels)
    return nn.GroupNorm(math.gcd(channels, _GROUPS), channels)


def _shrunk(size: HeightWidth, stride: int) -> HeightWidth:
    return HeightWidth((-(-size[0] // stride), -(-size[1] // stride)))
