"""CycleGAN's networks: the generator that turns images of one domain into the other's, and its critic.

Both start from N(0, 0.02), as the public code of the paper does. Instance norm has no parameters here, and
convolutions before it have no bias, which it would only take away again.
"""

from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segshift.config import Strict, parse
from segshift.errors import InputError
from segshift.folders import TRANSLATOR_FILE, RunFolder, model_path
from segshift.models.discriminators import NEGATIVE_SLOPE
from segshift.models.model_file import fill, read_model, write_model
from segshift.models.resize import check_least_px
from segshift.ranges import Channels, Layers
from segshift.version import __version__

_SMALLEST_PX = 16
_SMALLEST_JUDGED_PX = 32
_STRIDE = 4


class TranslatorConfig(Strict):
    """Configuration of a generator.

    Attributes:
        base_channels: of the first convolution; the residual blocks have four times as many. 64 in the paper.
        blocks: residual blocks; the paper has 6 for images of 128 px and 9 from 256 px on.
        upsampling: transposed = 3x3 transposed convolutions, the paper's, whose checkerboard takes long
            training to go; resize = doubling pixels before a 3x3 convolution (Odena et al., Distill 2016).
    """

    base_channels: Channels = 64
    blocks: Layers = 9
    upsampling: Literal["transposed", "resize"] = "transposed"


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with instance norm, the second without activation, around which the input goes.

    Args:
        channels: of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _convolution(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(),
            _convolution(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) to the same shape; h and w at least 2."""
        residual: Tensor = self.layers(x)
        return x + residual


class ResnetGenerator(nn.Module):
    """CycleGAN's generator: 7x7 stem, two strided convolutions, residual blocks, two that double, 7x7.

    Args:
        config: widths and depth.

    Source: Zhu et al., Unpaired image-to-image translation (CycleGAN), ICCV 2017, section 4 and appendix 7.2,
    after Johnson et al., ECCV 2016.
    """

    def __init__(self, config: TranslatorConfig) -> None:
        super().__init__()
        self.config = config
        base = config.base_channels
        layers: list[nn.Module] = [_convolution(3, base, 7), nn.InstanceNorm2d(base), nn.ReLU()]
        for before, after in pairwise((base, 2 * base, 4 * base)):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)]
            layers += [nn.InstanceNorm2d(after), nn.ReLU()]
        layers += [ResidualBlock(4 * base) for _ in range(config.blocks)]
        for before, after in pairwise((4 * base, 2 * base, base)):
            layers += _doubling(before, after, config.upsampling)
            layers += [nn.InstanceNorm2d(after), nn.ReLU()]
        last = nn.Conv2d(base, 3, 7, padding=3, padding_mode="reflect")
        self.layers = nn.Sequential(*layers, last, nn.Tanh())
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) images in [-1, 1] to translated ones of the same shape and range.

        Sides that are no multiple of 4 are continued by reflection and cut off again.

        Raises:
            InputError: H or W is less than 16.
        """
        height, width = images.shape[-2:]
        check_least_px(images, _SMALLEST_PX, "the translator got an image", "use larger crops or images")
        padded = F.pad(images, (0, -width % _STRIDE, 0, -height % _STRIDE), mode="reflect")
        translated: Tensor = self.layers(padded)
        return translated[..., :height, :width]

    def translate(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) images in [0, 1] to translated ones of the same shape and range."""
        translated: Tensor = self(to_signed(images))
        return to_unit(translated)


class PatchDiscriminator(nn.Module):
    """The 70x70 PatchGAN: one score per overlapping patch of 70 px, from five 4x4 convolutions.

    Channels are base, 2 base, 4 base, 8 base, 1; strides 2, 2, 2, 1, 1; leaky ReLU 0.2 between them, and
    instance norm on the middle three.

    Args:
        base: channels of the first convolution; 64 in the paper.

    Source: Isola et al., CVPR 2017, section 3.2.2; Zhu et al., CycleGAN, ICCV 2017, appendix 7.2.
    """

    def __init__(self, base: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, base, 4, stride=2, padding=1), nn.LeakyReLU(NEGATIVE_SLOPE)]
        for factor, stride in ((1, 2), (2, 2), (4, 1)):
            before, after = factor * base, 2 * factor * base
            layers += [nn.Conv2d(before, after, 4, stride=stride, padding=1, bias=False)]
            layers += [nn.InstanceNorm2d(after), nn.LeakyReLU(NEGATIVE_SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(8 * base, 1, 4, padding=1))
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) images in [-1, 1] to (N, 1, H // 8 - 2, W // 8 - 2) scores, high for real.

        Raises:
            InputError: H or W is less than 32.
        """
        check_least_px(images, _SMALLEST_JUDGED_PX, "the discriminator got an image", "train on larger crops")
        scores: Tensor = self.layers(images)
        return scores


def to_signed(images: Tensor) -> Tensor:
    """Images in [0, 1] to [-1, 1]."""
    return 2 * images - 1


def to_unit(images: Tensor) -> Tensor:
    """Images in [-1, 1] to [0, 1]."""
    return (images + 1) / 2


def initialize(network: nn.Module) -> None:
    """N(0, 0.02) for the weights of all convolutions and linear layers, 0 for their biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class _Metadata(Strict):
    """What a translator's file says about its weights."""

    version: str
    kind: Literal["translator"] = "translator"
    config: TranslatorConfig


def save_translator(path: str | Path, generator: ResnetGenerator) -> None:
    """Write a generator's weights and configuration as one safetensors file."""
    metadata = _Metadata(version=__version__, config=generator.config)
    write_model(path, generator.state_dict(), metadata.model_dump_json())


def translator_file(path: str | Path) -> Path:
    """The file of a translator: `path` itself, or that of a run folder or of RUN@STEP. Raises InputError."""
    found = model_path(path)
    file = RunFolder(found).translator if found.is_dir() else found
    if not file.is_file():
        raise InputError(
            f"{file}: no such file; give a run folder of `segshift train cyclegan` or its {TRANSLATOR_FILE}"
        )
    return file


def load_translator(path: str | Path, device: str | torch.device = "cpu") -> ResnetGenerator:
    """The generator in a file written by `save_translator`, or in a run folder, in evaluation mode.

    Raises:
        InputError: a missing, broken or foreign file.
    """
    file = translator_file(path)
    data, tensors = read_model(file)
    if not isinstance(data, dict) or data.get("kind") != "translator":
        raise InputError(f"{file}: is no translator; give a run folder of `segshift train cyclegan`")
    metadata = parse(_Metadata, data, where=str(file))
    with torch.device("meta"):
        fill(ResnetGenerator(metadata.config), tensors, file, metadata.version, "train it again")
    generator = ResnetGenerator(metadata.config)
    fill(generator, tensors, file, metadata.version, "train it again")
    return generator.to(device).eval()


def _convolution(before: int, after: int, side: int) -> nn.Conv2d:
    """A convolution for an instance norm: no bias, and the image continued by reflection."""
    return nn.Conv2d(before, after, side, padding=side // 2, padding_mode="reflect", bias=False)


def _doubling(before: int, after: int, upsampling: Literal["transposed", "resize"]) -> list[nn.Module]:
    """Layers to twice the resolution, before an instance norm."""
    if upsampling == "resize":
        return [nn.Upsample(scale_factor=2), _convolution(before, after, 3)]
    return [nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1, bias=False)]
