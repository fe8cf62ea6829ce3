"""The only place that calls `backward`."""

from collections.abc import Sequence

from torch import Tensor, autograd, nn


def add_gradients(loss: Tensor, parameters: Sequence[nn.Parameter]) -> None:
    """Add the gradient of a scalar to `grad` of these parameters, and of no others; frees the loss's graph.

    Networks that the loss went through need no freezing, and what a method forgot to detach cannot leak.
    """
    autograd.backward(loss, inputs=parameters)
