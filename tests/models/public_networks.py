"""The public codes' networks once more, as plain functions of their state dicts, and random state dicts."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]
DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
DILATIONS = (6, 12, 18, 24)
VGG_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31)
VGG_POOLS = (4, 9, 16)


class Random:
    """Draws tensors for a state dict."""

    def __init__(self, seed: int, counters: bool, smallest_variance: float = 0.5) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.counters = counters
        self.smallest_variance = smallest_variance

    def normal(self, *shape: int, std: float) -> Tensor:
        return std * torch.randn(shape, generator=self.generator)

    def uniform(self, *shape: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=self.generator)

    def convolution(self, state: State, name: str, shape: Sequence[int], bias: bool = False) -> None:
        fan_in = shape[1] * shape[2] * shape[3]
        state[f"{name}.weight"] = self.normal(*shape, std=(2 / fan_in) ** 0.5)
        if bias:
            state[f"{name}.bias"] = self.normal(shape[0], std=0.1)

    def batch_norm(self, state: State, name: str, channels: int, scale: float = 1.0) -> None:
        state[f"{name}.weight"] = scale * self.uniform(channels, low=0.5, high=1.5)
        state[f"{name}.bias"] = self.normal(channels, std=0.1)
        state[f"{name}.running_mean"] = self.normal(channels, std=0.1)
        variance = self.uniform(channels, low=0.5, high=2.0)
        if self.smallest_variance < 0.5:
            # One channel in four varies hardly at all, and its scale is as small: eps matters there.
            low = torch.rand(channels, generator=self.generator) < 0.25
            variance[low] = self.smallest_variance * self.uniform(int(low.sum()), low=0.5, high=2.0)
            state[f"{name}.weight"][low] *= self.smallest_variance**0.5
        state[f"{name}.running_var"] = variance
        if self.counters:
            state[f"{name}.num_batches_tracked"] = torch.tensor(7)


def resnet_state(random: Random, depth: int = 50) -> State:
    """A ResNet's tensors under torchvision's and the public codes' names, without classifier."""
    state: State = {}
    random.convolution(state, "conv1", (64, 3, 7, 7))
    random.batch_norm(state, "bn1", 64)
    channels = 64
    for stage, blocks in enumerate(DEPTHS[depth], start=1):
        width = 32 * 2**stage
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            random.convolution(state, f"{name}.conv1", (width, channels, 1, 1))
            random.batch_norm(state, f"{name}.bn1", width)
            random.convolution(state, f"{name}.conv2", (width, width, 3, 3))
            random.batch_norm(state, f"{name}.bn2", width)
            random.convolution(state, f"{name}.conv3", (4 * width, width, 1, 1))
            random.batch_norm(state, f"{name}.bn3", 4 * width, scale=0.3)
            if block == 0:
                random.convolution(state, f"{name}.downsample.0", (4 * width, channels, 1, 1))
                random.batch_norm(state, f"{name}.downsample.1", 4 * width)
            channels = 4 * width
    return state


def vgg_state(random: Random) -> State:
    """The public VGG-16's tensors under their positions `0.weight`, ..., `31.bias`."""
    state: State = {}
    widths = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
    channels = 3
    for position, width in zip(VGG_CONVOLUTIONS, widths, strict=True):
        random.convolution(state, str(position), (width, channels, 3, 3), bias=True)
        channels = width
    return state


def classifier_state(random: Random, classes: int, channels: int, branches: int = 4) -> State:
    state: State = {}
    for index in range(branches):
        state[f"conv2d_list.{index}.weight"] = random.normal(classes, channels, 3, 3, std=0.01)
        state[f"conv2d_list.{index}.bias"] = random.normal(classes, std=0.5)
    return state


def prefixed(state: State, prefix: str) -> State:
    return {prefix + key: value for key, value in state.items()}


def normalized(x: Tensor, state: State, name: str, eps: bool) -> Tensor:
    weight, bias, mean, variance = (
        state[f"{name}.{part}"].double().view(1, -1, 1, 1)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / (variance + (1e-5 if eps else 0)).sqrt() * weight + bias


def resnet_forward(state: State, x: Tensor, caffe: bool, eps: bool = True) -> tuple[Tensor, Tensor]:
    """Features of the third and the fourth stage, in double precision.

    `caffe`: stride in the first 1x1, pooling rounds up, all 3x3 of a dilated stage alike. Otherwise as
    torchvision: stride in the 3x3, and a dilated stage's first block still has the dilation before it.
    """
    x = F.conv2d(x.double(), state["conv1.weight"].double(), stride=2, padding=3)
    x = F.max_pool2d(normalized(x, state, "bn1", eps).relu(), 3, 2, 1, ceil_mode=caffe)
    outputs = []
    for stage, (stride, before, dilation) in enumerate([(1, 1, 1), (2, 1, 1), (1, 1, 2), (1, 2, 4)], start=1):
        block = 0
        while f"layer{stage}.{block}.conv1.weight" in state:
            name = f"layer{stage}.{block}"
            step = stride if block == 0 else 1
            spread = before if block == 0 and not caffe else dilation
            steps = (step, 1) if caffe else (1, step)

            def conv(y: Tensor, part: str, step: int, spread: int = 0, name: str = name) -> Tensor:
                weight = state[f"{name}.{part}.weight"].double()
                return F.conv2d(y, weight, stride=step, padding=spread, dilation=max(1, spread))

            y = normalized(conv(x, "conv1", steps[0]), state, f"{name}.bn1", eps).relu()
            y = normalized(conv(y, "conv2", steps[1], spread), state, f"{name}.bn2", eps).relu()
            y = normalized(conv(y, "conv3", 1), state, f"{name}.bn3", eps)
            if block == 0:
                x = normalized(conv(x, "downsample.0", step), state, f"{name}.downsample.1", eps)
            x = (x + y).relu()
            block += 1
        outputs.append(x)
    return outputs[2], outputs[3]


def vgg_forward(state: State, x: Tensor) -> Tensor:
    """The output of fc7, in double precision, from the tensors named by their positions."""
    x = x.double()
    for position in range(max(VGG_CONVOLUTIONS) + 1):
        if position in VGG_CONVOLUTIONS:
            spread = 1 if position < 23 else 2 if position < 29 else 4
            weight, bias = state[f"{position}.weight"].double(), state[f"{position}.bias"].double()
            x = F.conv2d(x, weight, bias, padding=spread, dilation=spread).relu()
        elif position in VGG_POOLS:
            x = F.max_pool2d(x, 2)
    return x


def classify(state: State, name: str, features: Tensor, branches: int = 4) -> Tensor:
    total = torch.zeros(())
    for index in range(branches):
        weight = state[f"{name}.conv2d_list.{index}.weight"].double()
        bias = state[f"{name}.conv2d_list.{index}.bias"].double()
        dilation = DILATIONS[index]
        total = total + F.conv2d(features, weight, bias, padding=dilation, dilation=dilation)
    return total
