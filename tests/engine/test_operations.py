"""Operations of convolutions, against sums over their loops."""

import pytest
import torch
from torch import nn

from segshift.engine.operations import operations


def step(layer: nn.Module, x: torch.Tensor) -> None:
    layer(x).sum().backward()


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_each_gradient_of_a_convolution_costs_its_forward_pass(groups: int) -> None:
    layer, x = nn.Conv2d(8, 16, 3, padding=1, groups=groups, bias=False), torch.ones(2, 8, 5, 7)
    # Of every image, place and output channel: 9 places of the kernel, and the input channels of its group.
    forward = 2 * 2 * 5 * 7 * 16 * 9 * (8 // groups)
    with torch.no_grad():
        assert operations(lambda: layer(x)) == forward
    assert operations(lambda: step(layer, x)) == 2 * forward
    assert operations(lambda: step(layer, x.requires_grad_())) == 3 * forward


def test_a_transposed_convolution_is_counted_from_its_smaller_side() -> None:
    layer, x = nn.ConvTranspose2d(8, 4, 2, stride=2, groups=4, bias=False), torch.ones(1, 8, 5, 7)
    forward = 2 * 5 * 7 * 8 * 4 * (4 // 4)
    assert operations(lambda: step(layer, x)) == 2 * forward


def test_matrix_products_are_counted_as_pytorch_does() -> None:
    layer, x = nn.Linear(3, 5, bias=False), torch.ones(7, 3)
    assert operations(lambda: step(layer, x)) == 2 * (2 * 7 * 3 * 5)
