"""Discriminators: sizes, parameter counts and slopes of the papers."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from segshift.errors import InputError
from segshift.models import FeatureDiscriminator, FullyConvolutionalDiscriminator


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
