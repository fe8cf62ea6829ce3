"""Convolutions of training on a CPU as matrix products, where that is faster than the library's own.

On one core PyTorch's float32 convolutions reach half of what its matrix products do, and a tenth where a
dilated convolution leads from many channels to a few classes (DeepLab's classifiers). Two rewritings of 3x3
convolutions, equal up to rounding (relative differences of about 3e-6):

- to few channels: all taps' products at once, which are then shifted and added;
- others: Winograd's minimal filtering F(4x4, 3x3), which takes a quarter of the multiplications.

Source: Lavin and Gray, Fast algorithms for convolutional neural networks, CVPR 2016, section 4.2.
"""

from collections.abc import Iterator
from functools import cache
from math import ceil
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from segshift.models.resize import is_recorded

Slices = tuple[slice, slice]
# Tiles of 4x4 results from 6x6 inputs.
_OUT, _IN = 4, 6
_TRANSFORMED = _IN * _IN
# How much slower the transforms run than the products: they are short and move memory.
_TRANSFORM_COST = 3
# Winograd's way is taken where it promises to be so many times faster. It depends on shapes alone, never on a
# clock, so that a run repeats to the bit.
_WORTH = 1.6


class MatrixConvolution(nn.Conv2d):
    """A `Conv2d` with the same parameters and, in training on a CPU in float32, other arithmetic.

    Input has to be channels_last for that; everything else, evaluation included, is the library's.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, K, H', W')."""
        if is_recorded() or not self._may_differ(x):
            return super().forward(x)
        dilation = self.dilation[0]
        if 9 * self.out_channels <= self.in_channels:
            y: Tensor = _FewChannels.apply(x, self.weight, dilation)
        elif _winograd_gain(x, self.out_channels, dilation) > _WORTH:
            y = _Winograd.apply(x, self.weight, dilation)
        else:
            return super().forward(x)
        return y if self.bias is None else y + self.bias.view(1, -1, 1, 1)

    def _may_differ(self, x: Tensor) -> bool:
        return (
            self.training
            and x.device.type == "cpu"
            and x.dtype == self.weight.dtype == torch.float32
            and x.ndim == 4
            and x.is_contiguous(memory_format=torch.channels_last)
            and x.numel() > 0
            and not torch.is_autocast_enabled("cpu")
        )


def use_matrix_products(module: nn.Module) -> None:
    """Let the convolutions of a module that can be matrix products be such, in place.

    Names, weights and hooks stay. Of strided, grouped and other kinds nothing is changed.
    """
    for child in module.modules():
        # Subclasses have a way of their own.
        if type(child) is nn.Conv2d and _is_suited(child):
            child.__class__ = MatrixConvolution


def _is_suited(conv: nn.Conv2d) -> bool:
    """A 3x3 kernel, stride 1, one group, and results as large as the input."""
    dilation = conv.dilation[0]
    return (
        conv.kernel_size == (3, 3)
        and conv.stride == (1, 1)
        and conv.groups == 1
        and conv.dilation == (dilation, dilation)
        and conv.padding == (dilation, dilation)
        and conv.padding_mode == "zeros"
    )


class _FewChannels(torch.autograd.Function):
    """A 3x3 convolution to few channels: every pixel's products with all taps, then shifted and added."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.dilation = dilation
        (images, _, height, width), channels = x.shape, len(weight)
        products = (x.permute(0, 2, 3, 1) @ _by_tap(weight).t()).view(images, height, width, -1, channels)
        y = x.new_zeros(images, height, width, channels)
        for tap, (to, out_of) in enumerate(_shifts(height, width, dilation)):
            y[:, to[0], to[1]] += products[:, out_of[0], out_of[1], tap]
        return y.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        (images, channels, height, width), results = x.shape, len(weight)
        of_products = x.new_zeros(images, height, width, 9, results)
        gradient = gradient.permute(0, 2, 3, 1)
        for tap, (to, out_of) in enumerate(_shifts(height, width, ctx.dilation)):
            of_products[:, out_of[0], out_of[1], tap] = gradient[:, to[0], to[1]]
        rows = of_products.flatten(0, 2).flatten(1)
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = (rows @ _by_tap(weight)).view(images, height, width, channels).permute(0, 3, 1, 2)
        if ctx.needs_input_grad[1]:
            by_tap = rows.t() @ x.permute(0, 2, 3, 1).reshape(-1, channels)
            of_weight = by_tap.view(*weight.shape[2:], results, channels).permute(2, 3, 0, 1)
        return of_x, of_weight, None


def _by_tap(weight: Tensor) -> Tensor:
    """(K, C, 3, 3) weights as (9 K, C), tap by tap."""
    return weight.permute(2, 3, 0, 1).reshape(-1, weight.shape[1])


def _shifts(height: int, width: int, dilation: int) -> Iterator[tuple[Slices, Slices]]:
    """For each tap: which results (rows, columns) take which pixels; may be none of them."""
    for down in (-dilation, 0, dilation):
        for right in (-dilation, 0, dilation):
            rows, columns = _overlap(height, down), _overlap(width, right)
            yield (rows[0], columns[0]), (rows[1], columns[1])


def _overlap(length: int, shift: int) -> Slices:
    """Where the results lie, and where their inputs, of a line of `length` cells shifted by `shift`."""
    first, end = max(0, -shift), max(0, min(length, length - shift))
    end = max(first, end)
    return slice(first, end), slice(first + shift, end + shift) if end > first else slice(0, 0)


def _winograd_gain(x: Tensor, results: int, dilation: int) -> float:
    """Multiplications of the plain way over those of Winograd's; many padded tiles make it small."""
    images, channels, height, width = x.shape
    down, across = _tiles(height, dilation), _tiles(width, dilation)
    tiles = images * dilation**2 * down * across
    transforms = tiles * (_TRANSFORMED**2 / results + _OUT**2 * _TRANSFORMED / channels)
    ours = _TRANSFORMED * tiles + 9 * _TRANSFORMED + _TRANSFORM_COST * transforms
    return 9 * images * height * width / ours


class _Winograd(torch.autograd.Function):
    """A 3x3 convolution by F(4x4, 3x3); a dilated one is that of every d-th pixel each way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.dilation = dilation
        return _winograd(x, weight, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = _winograd(gradient, weight.flip(2, 3).transpose(0, 1), ctx.dilation)
        if ctx.needs_input_grad[1]:
            of_weight = _winograd_weight(x, gradient, ctx.dilation)
        return of_x, of_weight, None


def _winograd(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """(N, C, H, W) channels_last and (K, C, 3, 3) to (N, K, H, W)."""
    (images, channels, height, width), results = x.shape, len(weight)
    _, of_weight, of_results = _transforms()
    seen = _transformed_input(x, dilation)
    taps = of_weight @ weight.permute(2, 3, 0, 1).reshape(9, -1)
    products = torch.bmm(seen, taps.view(_TRANSFORMED, results, channels).transpose(1, 2))
    tiles = of_results @ products.view(_TRANSFORMED, -1)
    down, across = _tiles(height, dilation), _tiles(width, dilation)
    # Pixel = dilation * (4 tile + place) + phase.
    grid = tiles.view(_OUT, _OUT, images, dilation, down, dilation, across, results)
    whole = grid.permute(2, 4, 0, 3, 6, 1, 5, 7).reshape(
        images, _OUT * dilation * down, _OUT * dilation * across, results
    )
    return whole[:, :height, :width].permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def _winograd_weight(x: Tensor, gradient: Tensor, dilation: int) -> Tensor:
    """The gradient of the weight, (K, C, 3, 3), from the input and the gradient of the results."""
    channels, results = x.shape[1], gradient.shape[1]
    _, of_weight, of_results = _transforms()
    seen = _transformed_input(x, dilation)
    tiles = _cells(gradient, dilation, size=_OUT, margin=0)
    of_products = (of_results.t() @ tiles).view(_TRANSFORMED, -1, results)
    of_taps = torch.bmm(of_products.transpose(1, 2), seen)
    by_tap = of_weight.t() @ of_taps.view(_TRANSFORMED, -1)
    return by_tap.view(3, 3, results, channels).permute(2, 3, 0, 1)


def _transformed_input(x: Tensor, dilation: int) -> Tensor:
    """(36, tiles, C) of (N, C, H, W)."""
    of_input, _, _ = _transforms()
    cells = _cells(x, dilation, size=_IN, margin=dilation)
    return (of_input @ cells).view(_TRANSFORMED, -1, x.shape[1])


def _cells(x: Tensor, dilation: int, size: int, margin: int) -> Tensor:
    """Tiles of size x size pixels, `dilation` apart, every four, zeros around: (size**2, tiles * C)."""
    images, channels, height, width = x.shape
    down, across = _tiles(height, dilation), _tiles(width, dilation)
    below = _OUT * dilation * down + 2 * margin - height - margin
    right = _OUT * dilation * across + 2 * margin - width - margin
    pixels = x.permute(0, 2, 3, 1)
    if margin or below or right:
        pixels = F.pad(pixels, (0, 0, margin, right, margin, below))
    image, row, column, _ = pixels.stride()
    shape = (size, size, images, dilation, down, dilation, across, channels)
    step = _OUT * dilation
    stride = (dilation * row, dilation * column, image, row, step * row, column, step * column, 1)
    return pixels.as_strided(shape, stride).reshape(size * size, -1)


def _tiles(length: int, dilation: int) -> int:
    """Tiles that cover the longest of the `dilation` interleaved lines."""
    return ceil(ceil(length / dilation) / _OUT)


@cache
def _transforms() -> tuple[Tensor, Tensor, Tensor]:
    """Of 6x6 inputs (36, 36), of 3x3 weights (36, 9), and to 4x4 results (16, 36)."""
    of_input = (
        (4, 0, -5, 0, 1, 0),
        (0, -4, -4, 1, 1, 0),
        (0, 4, -4, -1, 1, 0),
        (0, -2, -1, 2, 1, 0),
        (0, 2, -1, -2, 1, 0),
        (0, 4, 0, -5, 0, 1),
    )
    of_weight = (
        (1 / 4, 0, 0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0, 0, 1),
    )
    of_results = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))
    lines = [torch.tensor(rows, dtype=torch.float64) for rows in (of_input, of_weight, of_results)]
    first, second, third = (torch.kron(line, line).float() for line in lines)
    return first, second, third
