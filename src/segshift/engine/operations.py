"""Floating-point operations of a piece of work, as PyTorch counts them, with one formula put right."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count


def operations(work: Callable[[], object]) -> int:
    """Multiplications and additions of all matrix products and convolutions of `work`, forward and backward.

    PyTorch's own formula for the gradient of a convolution's weight forgets the groups: a step of an
    EfficientNet-Lite0 came to 16 times what it takes.
    """
    counter = FlopCounterMode(
        display=False, custom_mapping={torch.ops.aten.convolution_backward: _convolution_backward}
    )
    with counter:
        work()
    return int(counter.get_total_flops())


def _convolution_backward(
    grad_shape: Sequence[int], x_shape: Sequence[int], weight_shape: Sequence[int], *further: Any, **_: Any
) -> int:
    """The gradient of the images and that of the weight take as many operations each as the forward pass."""
    _bias, _stride, _padding, _dilation, transposed, _output_padding, _groups, wanted = further[:8]
    forward = conv_flop_count(list(x_shape), list(weight_shape), list(grad_shape), transposed=transposed)
    return forward * (int(wanted[0]) + int(wanted[1]))
