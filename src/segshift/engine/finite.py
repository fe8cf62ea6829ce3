"""Whether everything that a checkpoint would hold still is a number."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.optim import Optimizer

from segshift.errors import NonFiniteStateError
from segshift.methods import Method


def check_finite(method: Method, optimizers: Mapping[str, Optimizer], steps: int) -> None:
    """Look at all weights, buffers and optimizer states.

    Args:
        method: what is trained.
        optimizers: by network.
        steps: how many are done, for the message.

    Raises:
        NonFiniteStateError: with the first tensor that holds an infinity or NaN.
    """
    state = [(name, value) for name, value in _tensors(method, optimizers) if value.numel()]
    sick = [(name, value) for name, value in state if not torch.isfinite(value).all()]
    if sick:
        name, value = sick[0]
        number = value[~torch.isfinite(value)].flatten()[0].item()
        raise NonFiniteStateError(steps, f"{name} holds {number}, as do {len(sick)} of {len(state)} tensors")


def _tensors(method: Method, optimizers: Mapping[str, Optimizer]) -> Iterator[tuple[str, Tensor]]:
    networks = {id(parameter): network for network, group in method.networks().items() for parameter in group}
    names = {}
    for name, weight in method.named_parameters():
        names[id(weight)] = name
        network = networks.get(id(weight))
        yield (f"{name} of the network {network}" if network else name), weight.detach()
    for name, buffer in method.named_buffers():
        if buffer.is_floating_point():
            yield name, buffer
    for owner, optimizer in optimizers.items():
        for tensor, values in optimizer.state.items():
            for key, value in values.items():
                if isinstance(value, Tensor) and value.is_floating_point():
                    yield f"{key} of {names[id(tensor)]} in the optimizer of {owner}", value
