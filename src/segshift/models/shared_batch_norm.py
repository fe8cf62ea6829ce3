"""Batch norm whose statistics are those of all processes that share a batch.

torch's own synchronised batch norm works on accelerators only, and in a module of its own.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from segshift.errors import InputError
from segshift.shared_batch import mean_over_processes, processes


class SharedBatchNorm(TorchFunctionMode):
    """Inside this context `F.batch_norm`, in training, normalises with the statistics of all processes."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        arguments: tuple[Any, ...] = (),
        keywords: Mapping[str, Any] | None = None,
    ) -> Any:
        """Replace one function and let all others be."""
        replaced = shared_batch_norm if function is F.batch_norm else function
        return replaced(*arguments, **(keywords or {}))


def shared_batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`F.batch_norm` of the batches (N, C, ...) of all processes together, with its gradients.

    Raises:
        InputError: one value per channel.
    """
    if not training:
        return F.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    mean, variance, count = _statistics(x)
    if running_mean is not None and running_var is not None:
        running_mean.lerp_(mean, momentum)
        running_var.lerp_(_unbiased(variance, count), momentum)
    result: Tensor = _Normalise.apply(x, weight, bias, mean, variance, eps)
    return result


def unbiased_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """(C,) mean and unbiased variance of each channel of (N, C, ...), over all processes.

    Raises:
        InputError: one value per channel.
    """
    if processes() == 1:
        check_several_values(x)
        variance, mean = torch.var_mean(x, dim=_all_but_channels(x), correction=1)
        return mean, variance
    mean, variance, count = _statistics(x)
    return mean, _unbiased(variance, count)


def check_several_values(x: Tensor, count: float | None = None) -> None:
    """Raises InputError where (N, C, ...) has one value per channel, which has no variance."""
    if (x.numel() // max(x.shape[1], 1) if count is None else count) == 1:
        raise InputError(
            f"batch norm sees one value per channel (features of {tuple(x.shape)}): set a larger "
            "augmentation.crop, a larger training.batch_size, or model.batch_norm: frozen"
        )


@torch.no_grad()
def _statistics(x: Tensor) -> tuple[Tensor, Tensor, float]:
    """(C,) mean and biased variance over all processes in at least float32, and how many values that are."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    here = x.new_full((), x.numel() / x.shape[1], dtype=torch.float64)
    count = mean_over_processes(here)
    check_several_values(x, processes() * float(count))
    share = (here / count).to(x.dtype)
    own_variance, own_mean = torch.var_mean(x, dim=_all_but_channels(x), correction=0)
    mean = mean_over_processes(own_mean * share)
    # Of deviations from the common mean: squares of the values themselves would lose the digits.
    variance = mean_over_processes((own_variance + (own_mean - mean).square()) * share)
    return mean, variance, processes() * float(count)


def _unbiased(variance: Tensor, count: float) -> Tensor:
    return variance * (count / (count - 1))


def _all_but_channels(x: Tensor) -> list[int]:
    return [0, *range(2, x.ndim)]


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * weight + bias, where mean and variance are of all processes' x.

    Every process's loss counts as the mean over processes; what is returned as the gradient of a parameter is
    this process's part, which the engine averages.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        eps: float,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt())
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale = ctx.saved_tensors
        shape = (1, -1) + (1,) * (x.ndim - 2)
        own = gradient.to(mean.dtype)
        normal = (x.to(mean.dtype) - mean.view(shape)) * scale.view(shape)
        for_bias = own.sum(dim=_all_but_channels(x))
        for_weight = (own * normal).sum(dim=_all_but_channels(x))
        for_x = None
        if ctx.needs_input_grad[0]:
            count = mean_over_processes(x.new_full((), x.numel() / x.shape[1], dtype=torch.float64))
            through = mean_over_processes(torch.stack([for_bias, for_weight])) / count.to(mean.dtype)
            through_mean, through_variance = (part.view(shape) for part in through)
            factor = scale if weight is None else scale * weight
            for_x = (own - through_mean - normal * through_variance) * factor.view(shape)
            for_x = for_x.to(x.dtype)
        return (
            for_x,
            None if weight is None else for_weight.to(weight.dtype),
            None if weight is None else for_bias.to(weight.dtype),
            None,
            None,
            None,
        )
