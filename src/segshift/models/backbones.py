"""Backbones: timm's networks by name, and one small network of our own, all with a chosen output stride."""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from segshift.errors import InputError
from segshift.models.tiny import TinyNetwork
from segshift.models.weights import (
    PACKAGE_BACKBONE,
    load_backbone_state,
    package_file,
    package_state,
    read_state,
)

TINY = "segshift_tiny"
STRIDES = (8, 16, 32)
_PROBE_PX = 64


@dataclass(frozen=True)
class PixelStatistics:
    """What `normalize` subtracts and divides by: RGB, for images in [0, 1]. The default is ImageNet's."""

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone:
    """A feature extractor and what the rest of a segmenter must know about it.

    Attributes:
        network: maps normalised (N, 3, H, W) images to [auxiliary features, last features].
        auxiliary_channels: of the features of the stage before the last.
        channels: of the last stage's features.
        pixel_statistics: that the weights were trained with.
    """

    network: nn.Module
    auxiliary_channels: int
    channels: int
    pixel_statistics: PixelStatistics


def build_backbone(name: str, weights: str = "none", output_stride: int = 8) -> Backbone:
    """A backbone whose last features have `1 / output_stride` of the image's resolution.

    Args:
        name: `segshift_tiny` or any timm network that can give features at that stride: ResNets,
            MobileNets, EfficientNets, ConvNeXts, RegNets and others.
        weights: `imagenet` from the model hub, `none`, `package` (EfficientNet-Lite0 from a pip package)
            or the path of a file with the state dict of that timm network.
        output_stride: 8, 16 or 32; strides beyond it become dilations.

    Raises:
        InputError: unknown name, a stride that the network cannot have, weights that do not fit or cannot
            be had.
    """
    if name == TINY:
        return _tiny(weights, output_stride)
    if not timm.is_model(name):
        close = difflib.get_close_matches(name, [TINY, *timm.list_models()], n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(close)}?" if close else "timm.list_models() lists the names"
        raise InputError(f"backbone = {name}: unknown to timm {timm.__version__}; {hint}")
    network = _with_stride(name, output_stride)
    if weights == "imagenet":
        network = _from_hub(name, output_stride)
    elif weights == "package":
        if name != PACKAGE_BACKBONE:
            raise InputError(
                f"weights = package: the package holds {PACKAGE_BACKBONE}, not {name}; set backbone: "
                f"{PACKAGE_BACKBONE} or other weights"
            )
        load_backbone_state(network, _classifier_names(name), package_state(), str(package_file()))
    elif weights != "none":
        path = Path(weights).expanduser()
        load_backbone_state(network, _classifier_names(name), read_state(path), str(path))
    details: Any = network  # what timm adds to a module, unknown to nn.Module
    auxiliary_channels, channels = details.feature_info.channels()
    settings: dict[str, Any] = details.pretrained_cfg
    statistics = PixelStatistics(tuple(settings["mean"]), tuple(settings["std"]))
    return Backbone(network, auxiliary_channels, channels, statistics)


def _tiny(weights: str, output_stride: int) -> Backbone:
    if output_stride != 8:
        raise InputError(f"output_stride = {output_stride}: {TINY} can only have 8; set output_stride: 8")
    network = TinyNetwork()
    if weights in ("imagenet", "package"):
        raise InputError(f"weights = {weights}: there are none for {TINY}; set weights: none or give a file")
    if weights != "none":
        path = Path(weights).expanduser()
        load_backbone_state(network, set(), read_state(path), str(path))
    auxiliary_channels, channels = TinyNetwork.channels
    return Backbone(network, auxiliary_channels, channels, PixelStatistics())


def _create(name: str, output_stride: int, pretrained: bool) -> nn.Module:
    """timm's features of the last two stages."""
    network: nn.Module = timm.create_model(
        name, pretrained=pretrained, features_only=True, out_indices=(-2, -1), output_stride=output_stride
    )
    return network


def _with_stride(name: str, output_stride: int) -> nn.Module:
    network = _try_stride(name, output_stride)
    if network is None:
        others = [stride for stride in STRIDES if stride != output_stride]
        possible = [str(stride) for stride in others if _try_stride(name, stride) is not None]
        remedy = f"set it to {' or '.join(possible)}" if possible else "no stride works, use another backbone"
        raise InputError(f"output_stride = {output_stride}: {name} cannot have it; {remedy}")
    return network


def _try_stride(name: str, output_stride: int) -> nn.Module | None:
    """The network, or None if it does not really have that stride: measured, not believed."""
    try:
        network = _create(name, output_stride, pretrained=False)
        with torch.inference_mode():
            features = network.eval()(torch.zeros(1, 3, _PROBE_PX, 2 * _PROBE_PX))[-1]
    except (TypeError, AssertionError, RuntimeError, ValueError, NotImplementedError, AttributeError):
        return None
    expected = (_PROBE_PX // output_stride, 2 * _PROBE_PX // output_stride)
    return network.train() if tuple(features.shape[-2:]) == expected else None


def _from_hub(name: str, output_stride: int) -> nn.Module:
    try:
        return _create(name, output_stride, pretrained=True)
    # The hub's client raises its own and its HTTP library's errors, which change between versions. The
    # network itself was built just before, so what fails here is the download.
    except Exception as error:
        reason = str(error).splitlines()[0].strip(" .") if str(error) else type(error).__name__
        raise InputError(
            f"weights = imagenet: cannot get those of {name} from the model hub ({reason[:120]}); use "
            "weights: none, the path of a file, or backbone: tf_efficientnet_lite0 with weights: package"
        ) from None


def _classifier_names(name: str) -> set[str]:
    """The names in the state dict of the whole classifier."""
    return set(timm.create_model(name, pretrained=False).state_dict())
