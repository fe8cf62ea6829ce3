"""Discriminators: sizes, parameter counts and slopes of the papers."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from segshift.errors import InputError
from segshift.models import FeatureDiscriminator, FullyConvolutionalDiscriminator, WholeMapDiscriminator


def test_size_and_parameters_equal_the_reference(goldens_root: Path) -> None:
    golden = json.loads((goldens_root / "golden.json").read_text())
    discriminator = FullyConvolutionalDiscriminator(19)
    assert sum(p.numel() for p in discriminator.parameters()) == golden["fc_discriminator_params"]
    small = FullyConvolutionalDiscriminator(2, base=2)
    for size, expected in golden["fc_discriminator_out_hw"].items():
        height, width = map(int, size.split("x"))
        assert small(torch.zeros(1, 2, height, width)).shape == (1, 1, *expected)


def test_activations_lie_between_the_convolutions_only() -> None:
    layers = list(FullyConvolutionalDiscriminator(3, 4).layers)
    assert [type(layer) for layer in layers] == [nn.Conv2d, nn.LeakyReLU] * 4 + [nn.Conv2d]
    assert {layer.negative_slope for layer in layers if isinstance(layer, nn.LeakyReLU)} == {0.2}


def test_feature_discriminator_keeps_the_resolution() -> None:
    discriminator = FeatureDiscriminator(6, base=2)
    assert discriminator(torch.zeros(2, 6, 5, 3)).shape == (2, 1, 5, 3)
    channels = [layer.out_channels for layer in discriminator.layers if isinstance(layer, nn.Conv2d)]
    assert channels == [8, 4, 1]


def test_a_map_that_is_too_small_says_so() -> None:
    with pytest.raises(InputError, match="31x64"):
        FullyConvolutionalDiscriminator(2, 2)(torch.zeros(1, 2, 64, 31))
    with pytest.raises(InputError, match="31x64"):
        WholeMapDiscriminator(2, 2)(torch.zeros(1, 2, 64, 31))


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (256, 256), (150, 333)])
def test_one_verdict_a_map_in_which_every_pixel_has_its_part(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    judge, maps = WholeMapDiscriminator(2, base=4).double(), torch.rand(2, 2, *size, dtype=torch.float64)
    maps.requires_grad_()
    verdicts = judge(maps)
    assert verdicts.shape == (2, 1, 1, 1)
    (gradient,) = torch.autograd.grad(verdicts[0].sum(), maps)
    assert (gradient[0] != 0).all()
    assert (gradient[1] == 0).all()


def test_the_one_verdict_weighs_the_means_of_four_by_four_cells() -> None:
    torch.manual_seed(0)
    judge, maps = WholeMapDiscriminator(2, base=2).double(), torch.rand(1, 2, 256, 256, dtype=torch.float64)
    x = maps
    convolutions = [layer for layer in judge.layers if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [2, 4, 8, 16, 16, 1]
    for layer in convolutions[:-1]:
        x = torch.nn.functional.conv2d(x, layer.weight, layer.bias, stride=2, padding=1)
        x = torch.where(x > 0, x, 0.2 * x)
    cells = x.view(16, 4, 2, 4, 2).mean(dim=(2, 4))
    last = convolutions[-1]
    expected = (last.weight[0] * cells).sum() + last.bias[0]
    torch.testing.assert_close(judge(maps).squeeze(), expected)
    # The layout counts: the same windows in other places are another map.
    moved = maps.roll(64, dims=3)
    assert abs(judge(moved) - judge(maps)) > 1e-6
