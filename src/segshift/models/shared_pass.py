"""One pass through a network for two turns of a game, between which it does not change."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def shared_pass(network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """A network's answer twice from one forward pass: for who made its input, and for itself.

    Losses of the first answer have gradients with respect to `x`, and none with respect to the network;
    losses of the second have them with respect to the network, and none with respect to what made `x`. Both
    are those of two passes, bit by bit, as long as the network draws nothing at random.

    Args:
        network: its parameters must not move before the second answer's backward pass.
        x: what it sees, with the graph of what made it.

    Returns:
        The two answers, for one backward pass each, in this order. The second keeps the activations alive.
    """
    kept: list[Tensor] = []
    for_input: Tensor = _ForInput.apply(x, network, kept)
    return for_input, kept[0]


class _ForInput(torch.autograd.Function):
    """The network's answer without its parameters: they are a constant of the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, network: nn.Module, kept: list[Tensor]) -> Tensor:
        with torch.enable_grad():
            ctx.seen = x.detach().requires_grad_()
            # A view, since tools that count operations hang hooks on what a module gets, and refuse leaves.
            ctx.answer = network(ctx.seen.view_as(ctx.seen))
        kept.append(ctx.answer)
        answer: Tensor = ctx.answer.detach()
        return answer

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None]:
        (of_input,) = torch.autograd.grad(ctx.answer, ctx.seen, gradient, retain_graph=True)
        # What is left belongs to the second answer.
        del ctx.answer, ctx.seen
        return of_input, None, None
