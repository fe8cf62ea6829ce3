"""CycleGAN's networks: sizes, parameter counts, receptive field, files."""

from itertools import pairwise, product
from pathlib import Path

import pytest
import torch
from torch import nn

from segshift.errors import InputError
from segshift.folders import TRANSLATOR_FILE
from segshift.models.translators import (
    PatchDiscriminator,
    ResidualBlock,
    ResnetGenerator,
    TranslatorConfig,
    load_translator,
    save_translator,
)
from tests.models.networks import tiny

SMALL = TranslatorConfig(base_channels=4, blocks=2)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameter_counts_are_those_that_the_public_code_prints() -> None:
    """11.378 and 2.765 million, which include a bias per channel before every instance norm; we have none."""
    biases = 64 + 128 + 256 + 9 * 2 * 256 + 128 + 64
    assert round((count(ResnetGenerator(TranslatorConfig())) + biases) / 1e6, 3) == 11.378
    assert round((count(PatchDiscriminator()) + 128 + 256 + 512) / 1e6, 3) == 2.765


def test_the_discriminator_sees_70_pixels() -> None:
    field = 1
    for layer in reversed(list(PatchDiscriminator(2).layers)):
        if isinstance(layer, nn.Conv2d):
            field = (field - 1) * layer.stride[0] + layer.kernel_size[0]
    assert field == 70


@pytest.mark.parametrize(("height", "width"), [*product((16, 17, 18, 19), (20, 23)), (64, 16)])
def test_the_generator_keeps_every_size(height: int, width: int) -> None:
    torch.manual_seed(0)
    made = ResnetGenerator(SMALL)(torch.rand(2, 3, height, width) * 2 - 1)
    assert made.shape == (2, 3, height, width)
    assert made.abs().max() <= 1 and torch.isfinite(made).all()


def test_padding_does_not_move_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """The top left of an image of a multiple of 4 is where it was; only the border differs."""
    torch.manual_seed(0)
    generator = ResnetGenerator(SMALL)
    for layer in generator.modules():
        if isinstance(layer, nn.InstanceNorm2d):
            monkeypatch.setattr(layer, "forward", lambda x: x)
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    torch.testing.assert_close(
        generator(images)[..., :24, :24], generator(images[..., :63, :62])[..., :24, :24]
    )


def test_unit_range_in_and_out() -> None:
    torch.manual_seed(0)
    generator = ResnetGenerator(SMALL).eval()
    images = torch.rand(1, 3, 20, 24)
    expected = (generator(images * 2 - 1) + 1) / 2
    torch.testing.assert_close(generator.translate(images), expected)
    assert expected.min() >= 0 and expected.max() <= 1


@pytest.mark.parametrize("size", [(32, 32), (33, 50), (96, 64)])
def test_scores_per_patch(size: tuple[int, int]) -> None:
    scores = PatchDiscriminator(2)(torch.zeros(1, 3, *size))
    assert scores.shape == (1, 1, size[0] // 8 - 2, size[1] // 8 - 2)


def test_images_that_are_too_small_say_so() -> None:
    with pytest.raises(InputError, match="20x15"):
        ResnetGenerator(SMALL)(torch.zeros(1, 3, 15, 20))
    with pytest.raises(InputError, match="31x64"):
        PatchDiscriminator(2)(torch.zeros(1, 3, 64, 31))


def test_no_convolution_before_an_instance_norm_has_a_bias() -> None:
    """Its gradient would be zero."""
    for network in (ResnetGenerator(SMALL), PatchDiscriminator(2), ResidualBlock(3)):
        layers = list(network.modules())
        for before, after in pairwise(layers):
            if isinstance(after, nn.InstanceNorm2d):
                assert isinstance(before, nn.Conv2d | nn.ConvTranspose2d) and before.bias is None


def test_a_residual_block_adds() -> None:
    torch.manual_seed(0)
    block, x = ResidualBlock(3), torch.rand(1, 3, 4, 5)
    nn.init.zeros_(block.get_parameter("layers.3.weight"))
    torch.testing.assert_close(block.eval()(x), x)


def test_a_file_gives_the_same_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    generator = ResnetGenerator(SMALL)
    save_translator(tmp_path / TRANSLATOR_FILE, generator)
    images = torch.rand(1, 3, 20, 24)
    for place in (tmp_path, tmp_path / TRANSLATOR_FILE):
        loaded = load_translator(place)
        assert loaded.config == SMALL and not loaded.training
        assert torch.equal(loaded.translate(images), generator.eval().translate(images))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"translator\.safetensors: no such file.*train cyclegan"):
        load_translator(tmp_path)
    tiny().save(tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="is no translator"):
        load_translator(tmp_path / "model.safetensors")
