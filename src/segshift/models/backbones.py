"""Backbones by name: timm's at a chosen stride, SegFormer's, the papers' Caffe ResNets and VGG-16."""

import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import timm
from huggingface_hub import constants
from torch import Tensor, nn

from segshift.errors import InputError
from segshift.files import expanded
from segshift.models.caffe_resnet import DEPTHS, CaffeResNet
from segshift.models.mit import MIT, MIT_CLASSIFIER, MIT_STRIDES, MixTransformer
from segshift.models.packaged_weights import PACKAGES, package_state
from segshift.models.segmenter_config import OutputStride
from segshift.models.timm_features import plan_features
from segshift.models.tiny import TinyNetwork
from segshift.models.vgg import DeepLabVGG16, FullyConvolutionalVGG16, as_convolutions
from segshift.models.weights import load_backbone_state, read_state
from segshift.sizes import HeightWidth

TINY = "segshift_tiny"
VGG, VGG_FC = "vgg16", "vgg16_fc"
# The strides of the features of each network that is not timm's.
OWN = {TINY: (8, 8), VGG: (8, 8), VGG_FC: (8, 16, 32), **dict.fromkeys(DEPTHS, (8, 8))}
_VGG_HUB = "vgg16.tv_in1k"
_HUB_SECONDS = 5
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class PixelStatistics:
    """What `normalize` makes of RGB images in [0, 1]: (scale * x - mean) / std in the channels' `order`.

    The default is ImageNet's, as torchvision's and timm's networks take it.

    Attributes:
        mean: of the three channels, in their order and scale.
        std: likewise.
        scale: value of white: 1 or 255.
        order: of the channels as the network sees them.
    """

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    scale: float = 1.0
    order: Literal["rgb", "bgr"] = "rgb"

    def arranged(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [0, 1] in the order and scale of the mean."""
        images = images.flip(1) if self.order == "bgr" else images
        return images if self.scale == 1 else images * self.scale

    def normalize(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) RGB images in [0, 1] to what the network takes."""
        mean, std = (images.new_tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return (self.arranged(images) - mean) / std


CAFFE_PIXELS = PixelStatistics((104.00698793, 116.66876762, 122.67891434), (1.0, 1.0, 1.0), 255.0, "bgr")
"""What networks from Caffe take: BGR in [0, 255] minus ImageNet's mean color, not divided by anything."""


@dataclass(frozen=True)
class Backbone:
    """A feature extractor and what the rest of a segmenter must know about it.

    Attributes:
        network: maps normalised (N, 3, H, W) images to a list of features, shallow to deep.
        pyramid_channels: of these features; at least two.
        pyramid_strides: of these features, in px of the image.
        pixel_statistics: that the weights were trained with.
    """

    network: nn.Module
    pyramid_channels: tuple[int, ...]
    pyramid_strides: tuple[int, ...]
    pixel_statistics: PixelStatistics

    @property
    def channels(self) -> int:
        """Channels of the last features."""
        return self.pyramid_channels[-1]

    @property
    def auxiliary_channels(self) -> int:
        """Channels of the features of the stage before the last."""
        return self.pyramid_channels[-2]


def build_backbone(
    name: str,
    weights: str = "none",
    output_stride: OutputStride = None,
    levels: int = 2,
    size: HeightWidth | None = None,
) -> Backbone:
    """A backbone whose last features have `1 / output_stride` of the image's resolution.

    Args:
        name: `caffe_resnet101`, `caffe_resnet50`, `vgg16` (DeepLab's), `vgg16_fc` (FCN8s'),
            `segshift_tiny`, `mit_b0` to `mit_b5` (SegFormer's, which need transformers), or any timm network
            that gives maps of features: ResNets (in torchvision's shape; `resnet101.tv_in1k` has its weights
            too, plain `resnet101` later and better ones), ConvNeXts, Swins, PVTs, plain vision transformers
            such as DINOv2 and DINOv3, and others.
        weights: `imagenet` from the model hub, `none`, `package` (a pip package, see `packaged_weights`)
            or the path of a file with the state dict of that network as a classifier; for MiT also a folder
            made by transformers' `save_pretrained`.
        output_stride: 8, 16 or 32, where strides beyond it become dilations; `native` leaves the network as
            it is; None is 8 where that is possible, else `native`.
        levels: how many features, shallow to deep, are wanted at least; 3 for FCN8s.
        size: (height, width) for a network that is built for one size (Hiera, MaxViT and others), to which
            every image is then resized; None for the one that it was trained at.

    Raises:
        InputError: unknown name, a stride that the network cannot have, weights that do not fit or cannot
            be had.
    """
    if name in OWN:
        if levels > len(OWN[name]):
            raise InputError(
                f"backbone = {name}: gives features at {len(OWN[name])} levels, the head needs {levels}; use "
                "a timm network"
                + (f", or {VGG_FC} and output_stride: 32" if levels == len(OWN[VGG_FC]) else "")
            )
        return _own(name, weights, output_stride)
    if name in MIT:
        return _mit(name, weights, output_stride, levels)
    if not timm.is_model(name):
        close = difflib.get_close_matches(name, [*OWN, *MIT, *timm.list_models()], n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(close)}?" if close else "timm.list_models() lists the names"
        raise InputError(f"backbone = {name}: unknown to timm {timm.__version__}; {hint}")
    return _timm(name, weights, output_stride, levels, size)


def _timm(
    name: str, weights: str, output_stride: OutputStride, levels: int, size: HeightWidth | None
) -> Backbone:
    plan = plan_features(name, output_stride, levels, size)
    if weights == "imagenet":
        network = _downloaded(name, lambda: plan.create(pretrained=True))
    else:
        network = plan.create()
    if weights == "package":
        state, file = package_state(name)
        load_backbone_state(network, _classifier_names(name), state, str(file))
    elif weights not in ("none", "imagenet"):
        path = expanded(weights)
        load_backbone_state(network, _classifier_names(name), read_state(path), str(path))
    details: Any = network  # what timm adds to a module, unknown to nn.Module
    settings: dict[str, Any] = details.pretrained_cfg
    statistics = PixelStatistics(tuple(settings["mean"]), tuple(settings["std"]))
    return Backbone(plan.takes_any_size(network), plan.channels, plan.strides, statistics)


def _check_stride(name: str, only: int, output_stride: OutputStride) -> None:
    if output_stride not in (only, "native", None):
        raise InputError(
            f"output_stride = {output_stride}: {name} can only have {only}; set output_stride: {only}"
        )


def _mit(name: str, weights: str, output_stride: OutputStride, levels: int) -> Backbone:
    _check_stride(name, MIT_STRIDES[-1], output_stride)
    network = MixTransformer(name, levels)
    if weights == "imagenet":
        network = _downloaded(name, lambda: MixTransformer(name, levels, f"nvidia/{name.replace('_', '-')}"))
    elif weights == "package":
        package_state(name)
    elif weights != "none":
        path = expanded(weights)
        if path.is_dir():
            network = _from_folder(name, levels, path)
        else:
            load_backbone_state(network, MIT_CLASSIFIER, read_state(path), str(path))
    channels = MIT[name][0]
    return Backbone(network, channels[-levels:], MIT_STRIDES[-levels:], PixelStatistics())


def _from_folder(name: str, levels: int, folder: Path) -> MixTransformer:
    """A MiT with the weights in a folder of transformers."""
    wanted = {key: value.shape for key, value in MixTransformer(name, levels).state_dict().items()}
    try:
        network = MixTransformer(name, levels, folder)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0].strip(" .")
        raise InputError(f"{folder}: holds no weights of {name} ({reason[:120]})") from None
    if {key: value.shape for key, value in network.state_dict().items()} != wanted:
        raise InputError(f"{folder}: holds another network than {name}; correct model.backbone")
    return network


def _own(name: str, weights: str, output_stride: OutputStride) -> Backbone:
    _check_stride(name, OWN[name][-1], output_stride)
    network: TinyNetwork | CaffeResNet | DeepLabVGG16 | FullyConvolutionalVGG16
    if name == TINY:
        network = TinyNetwork()
    elif name == VGG:
        network = DeepLabVGG16()
    elif name == VGG_FC:
        network = FullyConvolutionalVGG16()
    else:
        network = CaffeResNet(DEPTHS[name])
    if weights != "none":
        state, where = _own_state(name, weights)
        if isinstance(network, CaffeResNet):
            # The public initial weights carry a classifier of other classes.
            foreign = {key for key in state if key.startswith(("layer5.", "layer6.", "fc."))}
            load_backbone_state(network, foreign, state, where)
        elif isinstance(network, DeepLabVGG16):
            state = as_convolutions(state, fully_connected=False)
            load_backbone_state(network, set(), state, where, new=network.new)
        elif isinstance(network, FullyConvolutionalVGG16):
            load_backbone_state(network, set(), as_convolutions(state, fully_connected=True), where)
        else:
            load_backbone_state(network, set(), state, where)
    statistics = CAFFE_PIXELS if isinstance(network, CaffeResNet) else PixelStatistics()
    return Backbone(network, network.channels, OWN[name], statistics)


def _own_state(name: str, weights: str) -> tuple[dict[str, Tensor], str]:
    """The state dict for one of our own networks, and where it comes from."""
    if weights == "imagenet" and name in (VGG, VGG_FC):
        return _hub_classifier(_VGG_HUB).state_dict(), f"the model hub's {_VGG_HUB}"
    if weights == "imagenet" and name in DEPTHS:
        raise InputError(
            f"weights = imagenet: no model hub has those of {name}, and torchvision's do not suit its stride "
            "placement and BGR input; give the path of the Caffe model's state dict, such as ADVENT's "
            "DeepLab_resnet_pretrained_imagenet.pth, or set backbone: resnet101"
        )
    if weights in ("imagenet", "package"):
        raise InputError(f"weights = {weights}: there are none for {name}; set weights: none or give a file")
    path = expanded(weights)
    return read_state(path), str(path)


def _hub_classifier(name: str) -> nn.Module:
    return _downloaded(name, lambda: timm.create_model(name, pretrained=True))


def _downloaded(name: str, create: Callable[[], Network]) -> Network:
    try:
        with _impatient_hub():
            return create()
    # The hub's client raises its own and its HTTP library's errors, which change between versions. The
    # network itself was built just before, so what fails here is the download.
    except Exception as error:
        reason = str(error).splitlines()[0].strip(" .") if str(error) else type(error).__name__
        raise InputError(
            f"weights = imagenet: cannot get those of {name} from the model hub ({reason[:120]}); use "
            f"weights: none, the path of a file, or weights: package with backbone: {' or '.join(PACKAGES)}"
        ) from None


@contextmanager
def _impatient_hub() -> Iterator[None]:
    """Without a connection the hub's client would try for most of a minute before it looks into its cache."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _answers(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _answers(address: str) -> bool:
    """Whether anything can be had from there at all."""
    try:
        with urlopen(Request(address, method="HEAD"), timeout=_HUB_SECONDS):
            return True
    except HTTPError:
        return True
    except (OSError, ValueError):
        return False


def _classifier_names(name: str) -> set[str]:
    """The names in the state dict of the whole classifier."""
    return set(timm.create_model(name, pretrained=False).state_dict())
