"""Networks that tell source from target. They return logits: source is 0, target is 1.

The public codes leave the initial weights at PyTorch's defaults, and so does this file.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from segshift.models.resize import check_least_px

NEGATIVE_SLOPE = 0.2
_SMALLEST_PX = 32
_CELLS = 4  # each way


def _strided(*channels: int) -> list[nn.Module]:
    """4x4 convolutions of stride 2, each with a leaky ReLU behind it."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(NEGATIVE_SLOPE)]
    return layers


def _judged(layers: nn.Module, x: Tensor) -> Tensor:
    # Of a smaller map nothing would be left after the fifth convolution.
    check_least_px(x, _SMALLEST_PX, "the discriminator got a map", "train on larger crops")
    logits: Tensor = layers(x)
    return logits


class FullyConvolutionalDiscriminator(nn.Module):
    """The output-space discriminator: five 4x4 convolutions of stride 2, leaky ReLU 0.2 between them.

    Channels are base, 2 base, 4 base, 8 base, 1.

    Args:
        in_channels: of the map to judge; C for probabilities or self-information.
        base: channels of the first convolution; 64 in the papers.

    Source: Tsai et al., Learning to adapt structured output space, CVPR 2018, section 5.
    """

    def __init__(self, in_channels: int, base: int = 64) -> None:
        super().__init__()
        layers = _strided(in_channels, base, 2 * base, 4 * base, 8 * base, 1)
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, 1, H // 32, W // 32) logits. Raises InputError for H or W < 32."""
        return _judged(self.layers, x)


class WholeMapDiscriminator(nn.Module):
    """One verdict about a whole map, however large: every pixel has its part in it, and so has where it lies.

    Five 4x4 convolutions of stride 2 with leaky ReLU 0.2 (base, 2, 4, 8 and 8 base channels), the mean over
    each of 4x4 cells, and one 4x4 convolution that weighs the cells. A map of 128 px or more keeps its layout
    in cells of a quarter of its sides; a smaller one fills several cells with the same values.

    Args:
        in_channels: of the map to judge; C for probabilities or self-information.
        base: channels of the first convolution.

    Source: the shape is that of DCGAN's discriminator (Radford et al., ICLR 2016), which ends in a 4x4
    convolution over the whole map; the widths are those of `FullyConvolutionalDiscriminator`.
    """

    def __init__(self, in_channels: int, base: int = 64) -> None:
        super().__init__()
        layers = _strided(in_channels, base, 2 * base, 4 * base, 8 * base, 8 * base)
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(_CELLS), nn.Conv2d(8 * base, 1, _CELLS))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, 1, 1, 1) logits. Raises InputError for H or W less than 32."""
        return _judged(self.layers, x)


class FeatureDiscriminator(nn.Module):
    """A discriminator for backbone features: three 3x3 convolutions of stride 1, leaky ReLU 0.2 between them.

    Channels are 4 base, 2 base, 1. Features already have an eighth of the image's resolution or less, so
    nothing is strided; the widths, with base 64, are those of FADA's feature discriminator.

    Args:
        in_channels: F of the features to judge.
        base: a quarter of the first convolution's channels.

    Source: Wang et al., Classes matter (FADA), ECCV 2020, section 4.2 (256, 128 channels), with a single
    output as in the feature-space baseline of Tsai et al., CVPR 2018, table 1.
    """

    def __init__(self, in_channels: int, base: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, 4 * base, 3, padding=1),
            nn.LeakyReLU(NEGATIVE_SLOPE),
            nn.Conv2d(4 * base, 2 * base, 3, padding=1),
            nn.LeakyReLU(NEGATIVE_SLOPE),
            nn.Conv2d(2 * base, 1, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, F, h, w) features to (N, 1, h, w) logits."""
        logits: Tensor = self.layers(x)
        return logits


class FineGrainedDiscriminator(nn.Module):
    """FADA's discriminator of domain and class: 3x3 convolutions of stride 1, leaky ReLU 0.2 between them.

    Channels are the widths, then 2K: the source's K classes first, then the target's. The public code has two
    last convolutions of K channels, whose outputs it concatenates; one of 2K is the same function with the
    same distribution of initial weights.

    Args:
        in_channels: F of the features to judge.
        classes: K.
        widths: channels of the hidden convolutions; the class in the public code defaults to (512, 256).

    Source: Wang et al., Classes matter (FADA), ECCV 2020, section 4.3: 256, 128, 2K channels.
    """

    def __init__(self, in_channels: int, classes: int, widths: Sequence[int] = (256, 128)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((in_channels, *widths, 2 * classes)):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.LeakyReLU(NEGATIVE_SLOPE)]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """(N, F, h, w) features to (N, 2K, h, w) logits of (domain, class)."""
        logits: Tensor = self.layers(x)
        return logits
