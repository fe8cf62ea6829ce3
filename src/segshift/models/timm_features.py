"""timm's networks as pyramids of features: at a chosen stride if they can be dilated, else at their own."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from math import ceil
from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.models._features import FeatureGetterNet
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from segshift.errors import InputError
from segshift.models.resize import enlarge_small, resize_images
from segshift.sizes import HeightWidth

STRIDES = (8, 16, 32)
"""What `output_stride` may be in numbers; `native` is the network's own."""

# What networks with position embeddings need in order to take other sizes than they were trained at.
_WAYS: tuple[Mapping[str, Any], ...] = ({}, {"dynamic_img_size": True})
# Window attention divides the last features into windows of so many cells.
_WINDOWS = (1, 7, 8)
_PROBE_PX = 64
_ODD_PROBE = HeightWidth((97, 161))
# Sides that are tried for the smallest image; from the last on every network makes features.
_LEAST_PX = (1, 4, 16, 32)
# What timm's networks raise for a size or an option that they do not take.
_REFUSALS = (
    TypeError, AssertionError, RuntimeError, ValueError, NotImplementedError, AttributeError, IndexError
)  # fmt: skip


@dataclass(frozen=True)
class FeaturePlan:
    """How to have timm build one network, and what it then gives.

    Attributes:
        name: timm's.
        levels: which of its features, shallow to deep.
        channels: of these features.
        strides: of these features, in px of the image.
        options: for `timm.create_model`.
        multiple: it takes images whose sides are multiples of this; 1 for any size.
        only_size: the one (height, width) it takes; None for any.
        channels_last: whether it gives (N, h, w, F).
        plain: all its features have one stride, as those of a plain vision transformer.
        least_px: shorter sides than this are enlarged to it.
    """

    name: str
    levels: tuple[int, ...]
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    multiple: int = 1
    only_size: HeightWidth | None = None
    channels_last: bool = False
    plain: bool = False
    least_px: int = 1

    def create(self, pretrained: bool = False) -> nn.Module:
        """timm's network, with random weights or with those of the model hub."""
        return _create(self.name, self.levels, self.options, self.plain, pretrained)

    def takes_any_size(self, network: nn.Module) -> nn.Module:
        """`network`, made by `create`, as one that takes any size and gives (N, F, h, w)."""
        if self.multiple > 1 or self.only_size is not None or self.channels_last:
            network = SizedNetwork(network, self.multiple, self.only_size, self.channels_last)
        if self.least_px > 1:
            enlarge_small(network, self.least_px)
        return network


class SizedNetwork(nn.Module):
    """A network that takes only some sizes, or puts channels last, as one like all others.

    The one rule for sizes: an image that the network does not take is resized to the next larger one that it
    does (`resize_images`), so that the features cover the whole image evenly, and the logits are up-sampled
    to the image's own size as ever. Nothing is padded: every attention layer would see the made-up border.

    Args:
        network: gives a list of features for (N, 3, H, W) images.
        multiple: what height and width must be multiples of.
        only_size: the one (height, width) that it takes, instead.
        channels_last: whether its features are (N, h, w, F).
    """

    def __init__(
        self,
        network: nn.Module,
        multiple: int = 1,
        only_size: HeightWidth | None = None,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.multiple, self.only_size, self.channels_last = multiple, only_size, channels_last

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) images to features (N, F, h, w), shallow to deep."""
        height, width = images.shape[-2:]
        size = self.only_size or HeightWidth((_next(height, self.multiple), _next(width, self.multiple)))
        features: list[Tensor] = list(self.network(resize_images(images, size)))
        return [f.permute(0, 3, 1, 2) for f in features] if self.channels_last else features


class _NormalizedFeatures(FeatureGetterNet):
    """A plain transformer's features after its last layer norm, which every published linear head takes."""

    def __init__(self, model: nn.Module, **settings: Any) -> None:
        super().__init__(model, norm=True, **settings)


def plan_features(
    name: str, output_stride: int | str | None, levels: int, size: HeightWidth | None = None
) -> FeaturePlan:
    """How to build the timm network `name` so that its last features have a stride of `output_stride`.

    Measured, not believed: each way is tried on tensors without memory (device `meta`).

    Args:
        name: a name that timm knows.
        output_stride: 8, 16 or 32 (strides beyond it become dilations, unless it is the network's own);
            `native` for the network's own; None for 8 where it can be dilated to that, else `native`.
        levels: how many features are wanted, shallow to deep, the last included.
        size: (height, width) for a network that is built for one size; None for the one it was trained at.

    Raises:
        InputError: a stride that the network cannot have, or fewer features than are wanted. The message
            names the strides that work.
    """
    plan = _planned(name, 8 if output_stride is None else output_stride, levels, size)
    if plan is None and output_stride is None:
        plan = _planned(name, "native", levels, size)
    if plan is not None:
        return plan
    works = [str(stride) for stride in STRIDES if _planned(name, stride, levels, size) is not None]
    native = _native(name, levels, size)
    if native is not None and str(native.strides[-1]) not in works:
        works.append("native")
    if works:
        raise InputError(
            f"output_stride = {output_stride}: {name} cannot have it; set it to {' or '.join(works)}"
        )
    fewer = next((n for n in range(levels - 1, 0, -1) if _native(name, n, size) is not None), 0)
    if fewer:
        raise InputError(f"backbone = {name}: gives features at {fewer} levels, the head needs {levels}")
    at = "" if size is None else f" at input_size {size[1]} x {size[0]}"
    raise InputError(f"backbone = {name}: gives no features that are maps of the image{at}; use another")


@cache
def _planned(
    name: str, output_stride: int | str, levels: int, size: HeightWidth | None
) -> FeaturePlan | None:
    if output_stride == "native":
        return _native(name, levels, size)
    assert isinstance(output_stride, int)
    # At the largest stride nothing is dilated, so the network is its own, with its own rule for sizes.
    plan = None if output_stride == STRIDES[-1] else _dilated(name, output_stride, levels)
    if plan is None:
        plan = _native(name, levels, size)
    return plan if plan is not None and plan.strides[-1] == output_stride else None


def _dilated(name: str, output_stride: int, levels: int) -> FeaturePlan | None:
    """A convolutional network whose strides beyond `output_stride` become dilations."""
    indices, options = tuple(range(-levels, 0)), {"output_stride": output_stride}
    network = _on_meta(name, indices, options)
    if network is None:
        return None
    shapes = _shapes(network, HeightWidth((_PROBE_PX, 2 * _PROBE_PX)))
    # One with attention in blocks (HaloNet) has a rule for sizes, which is found where nothing is dilated.
    if shapes is None or _shapes(network, _ODD_PROBE) is None:
        return None
    strides = tuple(_PROBE_PX // height for _, _, height, _ in shapes)
    if any(2 * height != width for _, _, height, width in shapes):
        return None
    least_px = _least_px(network, 1)
    return FeaturePlan(
        name, indices, tuple(shape[1] for shape in shapes), strides, options, least_px=least_px
    )


@cache
def _native(name: str, levels: int, size: HeightWidth | None) -> FeaturePlan | None:
    """The network as it is: one that takes many sizes if there is a way to that, else one for one size."""
    for way in _WAYS:
        plan = _tried(name, levels, way, None)
        if plan is not None:
            return plan
    if size is not None:
        return _tried(name, levels, {"img_size": size}, size)
    stages: Any = _on_meta(name, (-1,), {})
    own = None if stages is None else stages.pretrained_cfg.get("input_size")
    return None if own is None else _tried(name, levels, {}, HeightWidth((own[1], own[2])))


def _tried(
    name: str, levels: int, way: Mapping[str, Any], only_size: HeightWidth | None
) -> FeaturePlan | None:
    """The freest rule for sizes under which the network gives maps of the image, or `only_size`'s."""
    stages: Any = _on_meta(name, (-1,), way)
    all_strides = [] if stages is None else [int(info["reduction"]) for info in stages.feature_info.info]
    depth, plain = len(all_strides), len(set(all_strides)) == 1
    if depth < levels:
        return None
    # Of a plain transformer's layers some that are spread evenly over its depth, else the last stages.
    indices = tuple(depth * (k + 1) // levels - 1 for k in range(levels)) if plain else range(-levels, 0)
    network: Any = _on_meta(name, indices, way, plain)
    if network is None:
        return None
    info = network.feature_info
    plan = FeaturePlan(
        name, tuple(indices), tuple(info.channels()), tuple(info.reduction()), way, plain=plain
    )
    rules = _free_sizes(all_strides) if only_size is None else [(1, only_size)]
    for multiple, probe in rules:
        shapes = _shapes(network, probe)
        for channels_last in (False, True):
            if shapes is not None and _are_maps(shapes, plan, probe, channels_last):
                plan = replace(plan, multiple=multiple, only_size=only_size, channels_last=channels_last)
                return plan if only_size else replace(plan, least_px=_least_px(network, multiple))
    return None


def _least_px(network: nn.Module, multiple: int) -> int:
    """The shortest side of an image, of a few that are tried, of which the network still makes features."""
    for px in _LEAST_PX[:-1]:
        side = _next(px, multiple)
        if _shapes(network, HeightWidth((side, side))) is not None:
            return px
    return _LEAST_PX[-1]


def _free_sizes(strides: Sequence[int]) -> Iterator[tuple[int, HeightWidth]]:
    """What height and width may have to be multiples of, the freest first, each with a size to try."""
    yield 1, _ODD_PROBE
    for multiple in dict.fromkeys((strides[0], *(strides[-1] * window for window in _WINDOWS))):
        odd = ceil(_PROBE_PX / multiple) | 1
        yield multiple, HeightWidth((multiple * odd, multiple * (odd + 2)))


def _are_maps(
    shapes: Sequence[tuple[int, ...]], plan: FeaturePlan, probe: HeightWidth, channels_last: bool
) -> bool:
    """Whether features of these shapes are maps of an image of size `probe` at the plan's strides."""
    channel, height, width = (3, 1, 2) if channels_last else (1, 2, 3)
    return all(
        len(shape) == 4
        and shape[channel] == channels
        and abs(shape[height] - probe[0] / stride) <= 1
        and abs(shape[width] - probe[1] / stride) <= 1
        for shape, channels, stride in zip(shapes, plan.channels, plan.strides, strict=True)
    )


def _shapes(network: nn.Module, size: HeightWidth) -> list[tuple[int, ...]] | None:
    """Shapes of the features of an image of `size`; None where the network refuses it."""
    try:
        return _measured(network, size)
    except _REFUSALS as error:
        if "device cpu" not in str(error):
            return None
    # A table that DINOv3 makes on the CPU, where PyTorch (2.4) does not let it meet tensors without memory.
    try:
        return _measured(copy.deepcopy(network).to_empty(device="cpu"), size)
    except _REFUSALS:
        return None


class _WithoutBatchNorm(TorchFunctionMode):
    """Leaves out what changes no shape, and takes four fifths of the time on tensors without memory."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return args[0] if function is F.batch_norm else function(*args, **(kwargs or {}))


def _measured(network: nn.Module, size: HeightWidth) -> list[tuple[int, ...]]:
    device = next(network.parameters()).device
    with torch.inference_mode(), _WithoutBatchNorm():
        return [tuple(f.shape) for f in network.eval()(torch.zeros(1, 3, *size, device=device))]


def _on_meta(
    name: str, levels: Sequence[int], options: Mapping[str, Any], plain: bool = False
) -> nn.Module | None:
    """The network without memory for its weights; None where timm refuses the options."""
    try:
        with torch.device("meta"):
            return _create(name, levels, options, plain, pretrained=False)
    except _REFUSALS:
        return None


def _create(
    name: str, levels: Sequence[int], options: Mapping[str, Any], plain: bool, pretrained: bool
) -> nn.Module:
    getter: dict[str, Any] = {"feature_cls": _NormalizedFeatures} if plain else {}
    network: nn.Module = timm.create_model(
        name, pretrained=pretrained, features_only=True, out_indices=tuple(levels), **getter, **options
    )
    return network


def _next(side: int, multiple: int) -> int:
    # Whole numbers alone, which a program for all sizes can hold, too.
    return (side + multiple - 1) // multiple * multiple
