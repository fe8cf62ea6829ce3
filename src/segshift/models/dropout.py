"""Dropout that draws for the whole batch, so that processes that share it drop what a single one would."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor, nn

from segshift.shared_batch import own_part, processes


class Dropout(nn.Dropout):
    """`nn.Dropout`; of several processes each takes its part of one mask."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) to the same shape."""
        if processes() == 1 or not self.training:
            return super().forward(x)
        return x * own_part(super().forward(_ones(x, x.shape[1:])))


class Dropout2d(nn.Dropout2d):
    """`nn.Dropout2d`, whole channels at once, in the same way."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        if processes() == 1 or not self.training:
            return super().forward(x)
        return x * own_part(super().forward(_ones(x, (x.shape[1], 1, 1))))


def dropping_nothing(module: nn.Module) -> AbstractContextManager[None]:
    """No dropout and no dropped paths inside the block, of whatever library; the rest is as it was."""
    return not_training(child for child in module.modules() if "Drop" in type(child).__name__)


@contextmanager
def not_training(modules: Iterable[nn.Module]) -> Iterator[None]:
    """These modules, without those below them, do as in evaluation inside the block."""
    active = [module for module in modules if module.training]
    for module in active:
        module.training = False
    try:
        yield
    finally:
        for module in active:
            module.training = True


def _ones(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """(processes * N, *shape), in the memory order of x, in which the mask is drawn."""
    order = torch.channels_last if x.ndim == 4 and _is_channels_last(x) else torch.contiguous_format
    return torch.ones((processes() * len(x), *shape), dtype=x.dtype, device=x.device).contiguous(
        memory_format=order
    )


def _is_channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
