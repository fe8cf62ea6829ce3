"""Convolutions as matrix products against PyTorch's own in double precision."""

import copy

import pytest
import torch
from torch import Tensor, nn

from segshift.models.matrix_convolutions import MatrixConvolution, use_matrix_products

# What Winograd's transforms lose is about ten times the rounding of a plain sum.
TOLERANCE = 1e-5


def convolution(channels: int, results: int, dilation: int = 1, bias: bool = True) -> nn.Conv2d:
    conv = nn.Conv2d(channels, results, 3, padding=dilation, dilation=dilation, bias=bias)
    return conv.to(memory_format=torch.channels_last)


def passes(conv: nn.Conv2d, x: Tensor, gradient: Tensor) -> tuple[str, list[Tensor]]:
    """The name of the operation that was taken; result, gradients of input, weight and bias."""
    x = x.to(conv.weight.dtype).contiguous(memory_format=torch.channels_last).requires_grad_()
    y = conv(x)
    name = type(y.grad_fn).__name__
    if name == "AddBackward0":
        name = type(y.grad_fn.next_functions[0][0]).__name__
    y.backward(gradient.to(y.dtype))
    parameters = [parameter.grad for parameter in conv.parameters()]
    assert x.grad is not None and all(grad is not None for grad in parameters)
    return name, [y.detach(), x.grad, *(grad for grad in parameters if grad is not None)]


@pytest.mark.parametrize(
    ("channels", "results", "dilation", "shape", "way"),
    [
        (256, 192, 2, (1, 32, 64), "_WinogradBackward"),
        (192, 256, 1, (2, 31, 46), "_WinogradBackward"),  # padded tiles
        (256, 256, 4, (1, 62, 66), "_WinogradBackward"),  # interleaved lines of two lengths
        (180, 19, 6, (1, 20, 31), "_FewChannelsBackward"),
        (180, 19, 24, (2, 20, 24), "_FewChannelsBackward"),  # taps that meet no pixel
        (64, 64, 4, (1, 8, 9), "ConvolutionBackward0"),  # mostly padding: the library is faster
    ],
)
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_the_librarys(
    channels: int, results: int, dilation: int, shape: tuple[int, int, int], way: str, bias: bool
) -> None:
    torch.manual_seed(0)
    conv = convolution(channels, results, dilation, bias)
    images, height, width = shape
    x, gradient = torch.randn(images, channels, height, width), torch.randn(images, results, height, width)
    _, expected = passes(copy.deepcopy(conv).double(), x, gradient)
    use_matrix_products(conv)
    name, found = passes(conv, x, gradient)
    assert name == way
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.double() - theirs).norm() <= TOLERANCE * theirs.norm()


def test_only_what_can_be_a_product_is_changed() -> None:
    network = nn.Sequential(
        convolution(8, 8),
        nn.Conv2d(8, 8, 3, stride=2, padding=1),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 8, 5, padding=2),
        nn.Conv2d(8, 8, 1),
        nn.Conv2d(8, 8, 3),
        nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(8, 8, 3, padding="same"),
    )
    before = copy.deepcopy(network.state_dict())
    use_matrix_products(network)
    assert [type(part) is MatrixConvolution for part in network] == [True] + 7 * [False]
    assert before.keys() == network.state_dict().keys()
    assert type(copy.deepcopy(network)[0]) is MatrixConvolution


def test_everything_but_training_in_float32_is_the_librarys() -> None:
    torch.manual_seed(0)
    plain = convolution(256, 256, 2)
    ours = copy.deepcopy(plain)
    use_matrix_products(ours)
    x = torch.randn(1, 256, 32, 64)
    images = x.contiguous(memory_format=torch.channels_last)
    assert not torch.equal(ours(images), plain(images))
    assert torch.equal(ours(x), plain(x))  # another layout
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ours(images), plain(images))
    assert torch.equal(ours.eval()(images), plain(images))
    assert torch.equal(ours.train().double()(images.double()), plain.double()(images.double()))


def test_a_repeated_step_is_the_same_to_the_bit() -> None:
    torch.manual_seed(0)
    conv = convolution(256, 256, 2)
    use_matrix_products(conv)
    x, gradient = torch.randn(1, 256, 32, 64), torch.randn(1, 256, 32, 64)
    _, first = passes(copy.deepcopy(conv), x, gradient)
    _, second = passes(copy.deepcopy(conv), x, gradient)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
