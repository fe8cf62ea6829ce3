"""Every backbone family gives the stride that was asked for; bad requests get one line."""

from typing import Any

import pytest
import timm
import torch
from huggingface_hub import constants
from torch import Tensor

from segshift.errors import InputError
from segshift.models import backbones
from segshift.models.backbones import PixelStatistics, build_backbone
from segshift.models.timm_features import _dilated

FAMILIES = {
    "resnet18": (256, 512),
    "resnet50": (1024, 2048),
    "mobilenetv3_small_100": (48, 576),
    "mobilenetv3_large_100": (112, 960),
    "tf_efficientnet_lite0": (112, 320),
    "convnext_atto": (160, 320),
    "regnetx_002": (152, 368),
}


@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize("name", FAMILIES)
def test_strides_and_channels(name: str, output_stride: int) -> None:
    backbone = build_backbone(name, "none", output_stride)
    with torch.inference_mode():
        auxiliary, last = backbone.network.eval()(torch.rand(1, 3, 64, 96))
    assert last.shape == (1, backbone.channels, 64 // output_stride, 96 // output_stride)
    assert auxiliary.shape[1] == backbone.auxiliary_channels
    assert auxiliary.shape[-1] == 96 // min(output_stride, 16)
    assert (backbone.auxiliary_channels, backbone.channels) == FAMILIES[name]


@pytest.mark.parametrize("name", ["resnet101", "convnext_tiny"])
def test_large_backbones(name: str) -> None:
    backbone = build_backbone(name, "none", 8)
    with torch.inference_mode():
        auxiliary, last = backbone.network.eval()(torch.rand(1, 3, 64, 64))
    assert auxiliary.shape[-2:] == last.shape[-2:] == (8, 8)


def test_resnet_101_is_the_published_network() -> None:
    backbone = build_backbone("resnet101", "none", 8)
    # torchvision's ResNet-101 has 44 549 160 parameters, 2 049 000 of them in its classifier.
    assert sum(p.numel() for p in backbone.network.parameters()) == 42_500_160
    dilations = {
        name.split(".")[0]: module.dilation[0]
        for name, module in backbone.network.named_modules()
        if name.endswith(("layer3.22.conv2", "layer4.2.conv2")) and isinstance(module, torch.nn.Conv2d)
    }
    assert dilations == {"layer3": 2, "layer4": 4}


def test_torchvisions_resnet_101_weights_have_a_name_of_their_own() -> None:
    details: Any = build_backbone("resnet101.tv_in1k", "none", 8).network
    assert details.pretrained_cfg["url"].startswith("https://download.pytorch.org/models/resnet101-")


def test_attention_in_blocks_takes_any_size_though_the_network_could_be_dilated() -> None:
    backbone = build_backbone("halonet26t", "none", None)
    with torch.inference_mode():
        *_, last = backbone.network.eval()(torch.rand(1, 3, 97, 131))
    assert last.shape[:2] == (1, backbone.channels) and backbone.pyramid_strides[-1] == 32


def test_what_a_network_gives_is_found_without_batch_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    normalized: list[Tensor] = []
    monkeypatch.setattr(torch, "batch_norm", lambda images, *others: normalized.append(images) or images)
    plan = _dilated("resnet18", 8, 2)
    assert plan is not None and (plan.channels, plan.strides, plan.least_px) == ((256, 512), (8, 8), 1)
    assert not normalized
    plan.create()(torch.zeros(1, 3, 32, 32))
    assert normalized  # the network itself has it


def test_tiny_network() -> None:
    backbone = build_backbone("segshift_tiny")
    auxiliary, last = backbone.network(torch.rand(2, 3, 96, 160))
    assert last.shape == (2, backbone.channels, 12, 20)
    assert auxiliary.shape == (2, backbone.auxiliary_channels, 12, 20)
    assert 200_000 < sum(p.numel() for p in backbone.network.parameters()) < 400_000


def test_pixel_statistics_are_those_of_the_published_weights() -> None:
    assert build_backbone("resnet18").pixel_statistics == PixelStatistics(
        (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    )
    assert build_backbone("tf_efficientnet_lite0").pixel_statistics == PixelStatistics((0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet51",), r"backbone = resnet51: unknown.*did you mean .*resnet50"),
        (("segshift_tny",), "did you mean segshift_tiny"),
        (("qqqqqqqq",), "unknown to timm"),
        (("hf-hub:someone/something",), "unknown to timm"),
        (("vgg19", "none", 8), r"output_stride = 8: vgg19 cannot have it; set it to 32$"),
        (("vgg16", "none", 32), "vgg16 can only have 8; set output_stride: 8"),
        (("vgg16_fc", "none", 8), "vgg16_fc can only have 32; set output_stride: 32"),
        (("swin_tiny_patch4_window7_224", "none", 8), r"cannot have it; set it to 32$"),
        (("vit_tiny_patch16_224", "none", 8), r"cannot have it; set it to 16$"),
        (("vit_small_patch14_dinov2", "none", 8), r"cannot have it; set it to native$"),
        (("segshift_tiny", "none", 16), "can only have 8"),
        (("segshift_tiny", "imagenet"), "weights = imagenet"),
        (
            ("resnet18", "package"),
            "with tf_efficientnet_lite0 and mobilenetv2_100, none with resnet18",
        ),
        (("resnet18", "no/such/file.pth"), r"no/such/file.pth: no such file.*imagenet, none, package"),
    ],
)
def test_bad_requests(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        build_backbone(*arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("connected", [True, False])
def test_without_a_connection_the_hub_is_not_tried_again_and_again(
    monkeypatch: pytest.MonkeyPatch, connected: bool
) -> None:
    seen = []
    monkeypatch.setattr(backbones, "_answers", lambda address: connected)

    def create(name: str, pretrained: bool = False, **settings: Any) -> Any:
        if pretrained:
            seen.append(constants.HF_HUB_OFFLINE)
            raise OSError("none")
        return original(name, pretrained=False, **settings)

    original = timm.create_model
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("timm.create_model", create)
    with pytest.raises(InputError, match="model hub"):
        build_backbone("resnet18", "imagenet", 8)
    assert seen == [not connected] and constants.HF_HUB_OFFLINE is False


def test_without_the_hub_the_message_names_the_alternatives(monkeypatch: pytest.MonkeyPatch) -> None:
    create = timm.create_model

    def offline(name: str, pretrained: bool = False, **settings: Any) -> Any:
        if pretrained:
            raise OSError("Name or service not known\nsecond line")
        return create(name, pretrained=False, **settings)

    monkeypatch.setattr("timm.create_model", offline)
    expected = r"resnet18.*not known.*weights: none, the path of a file.*package"
    with pytest.raises(InputError, match=expected) as caught:
        build_backbone("resnet18", "imagenet", 8)
    assert "\n" not in str(caught.value)
