"""VGG-16 as a backbone: torchvision's numbers, weights and features; DeepLab's dilation; FCN8s' levels."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from segshift.errors import InputError
from segshift.models.backbones import PixelStatistics, build_backbone
from segshift.models.vgg import DeepLabVGG16, FullyConvolutionalVGG16, as_convolutions
from segshift.models.weights import load_backbone_state

from .public_networks import VGG_CONVOLUTIONS, vgg_forward

WIDTH = 6


@cache
def classifier() -> nn.Module:
    """torchvision's VGG-16 with narrow fully connected layers."""
    torch.manual_seed(1)
    network = torchvision.models.vgg16(weights=None, init_weights=False)
    hidden = [nn.Linear(512 * 7 * 7, WIDTH), nn.ReLU(), nn.Dropout()]
    hidden += [nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Dropout()]
    network.classifier = nn.Sequential(*hidden, nn.Linear(WIDTH, 10))
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
        else:
            nn.init.normal_(parameter, std=0.1)
    return network.eval()


def narrow(state: dict[str, Tensor]) -> FullyConvolutionalVGG16:
    network = FullyConvolutionalVGG16(WIDTH).eval()
    load_backbone_state(network, set(), as_convolutions(state, fully_connected=True), "test")
    return network


def test_fully_connected_layers_as_convolutions_give_the_classifiers_values() -> None:
    reference = classifier()
    network = narrow(reference.state_dict())
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        third, fourth, seventh = network(x)
        features: Any = reference.get_submodule("features")
        expected = features(x)
        for layer in list(reference.get_submodule("classifier").children())[:5]:
            expected = layer(expected.flatten(1))
        torch.testing.assert_close(third, features[:17](x), rtol=0, atol=1e-5)
        torch.testing.assert_close(fourth, features[:24](x), rtol=0, atol=1e-5)
    assert expected.abs().max() > 0.1
    # With 7x7 features, fc6 padded by 3 sees exactly all of them at the middle.
    torch.testing.assert_close(seventh[0, :, 3, 3], expected[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("names", [("classifier.1", "classifier.4"), ("pre_logits.fc1", "pre_logits.fc2")])
def test_other_names_of_the_fully_connected_layers(names: tuple[str, str]) -> None:
    state = classifier().state_dict()
    expected = as_convolutions(state, fully_connected=True)
    for old, new in zip(("classifier.0", "classifier.3"), names, strict=True):
        for part in ("weight", "bias"):
            state[f"{new}.{part}"] = state.pop(f"{old}.{part}")
    renamed = as_convolutions(state, fully_connected=True)
    assert renamed.keys() == expected.keys() and "fc6.weight" in renamed
    assert all(torch.equal(value, renamed[key]) for key, value in expected.items())


def test_timms_file_fits_both_networks() -> None:
    with torch.device("meta"):
        state = timm.create_model("vgg16").state_dict()
        full, dilated = FullyConvolutionalVGG16(), DeepLabVGG16()
    for network, fully_connected in ((full, True), (dilated, False)):
        converted = as_convolutions(state, fully_connected=fully_connected)
        own = {key: value.shape for key, value in network.state_dict().items()}
        if not fully_connected:
            own = {key: shape for key, shape in own.items() if key not in DeepLabVGG16.new}
        assert {key: value.shape for key, value in converted.items()} == own
    assert full.get_parameter("fc6.weight").shape == (4096, 512, 7, 7)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (70, 97)])
def test_levels_of_fcn8s(height: int, width: int) -> None:
    with torch.device("meta"):
        pyramid = FullyConvolutionalVGG16()(torch.zeros(1, 3, height, width))
    assert [tuple(features.shape) for features in pyramid] == [
        (1, channels, -(-height // stride), -(-width // stride))
        for channels, stride in ((256, 8), (512, 16), (4096, 32))
    ]


def test_dropout_only_while_training() -> None:
    torch.manual_seed(0)
    network, x = FullyConvolutionalVGG16(WIDTH), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(network.eval()(x)[-1], network(x)[-1])
        assert not torch.equal(network.train()(x)[-1], network(x)[-1])


def test_deeplabs_vgg_is_the_public_one(tmp_path: Path) -> None:
    reference = classifier()
    torch.save(reference.state_dict(), tmp_path / "w.pth")
    backbone = build_backbone("vgg16", str(tmp_path / "w.pth"))
    network = backbone.network.eval()
    assert (backbone.pyramid_channels, backbone.pixel_statistics) == ((512, 1024), PixelStatistics())
    own = network.state_dict()
    # The public network has no module in place of pool4, so later positions are one lower.
    public = {}
    for position in VGG_CONVOLUTIONS:
        name = {29: "fc6", 31: "fc7"}.get(position, f"features.{position + (position > 22)}")
        for part in ("weight", "bias"):
            public[f"{position}.{part}"] = own[f"{name}.{part}"]
            if name.startswith("features"):
                assert torch.equal(own[f"{name}.{part}"], reference.state_dict()[f"{name}.{part}"])
    x = torch.randn(1, 3, 40, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        fourth, seventh = network(x)
        features: Any = reference.get_submodule("features")
        torch.testing.assert_close(fourth, features[:23](x))
        expected = vgg_forward(public, x)
    assert seventh.shape == (1, 1024, 5, 8) and expected.std() > 0.1
    torch.testing.assert_close(seventh.double(), expected, rtol=0, atol=1e-4)


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    state = classifier().state_dict()
    del state["features.7.weight"]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"missing: features\.7\.weight; check"):
        build_backbone("vgg16", str(tmp_path / "w.pth"))


def test_imagenet_weights_come_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = classifier()
    asked = []

    def hub(name: str, pretrained: bool = False) -> nn.Module:
        asked.append((name, pretrained))
        return reference

    monkeypatch.setattr("timm.create_model", hub)
    network = build_backbone("vgg16", "imagenet").network
    assert asked == [("vgg16.tv_in1k", True)]
    first = network.get_parameter("features.0.weight")
    assert torch.equal(first, reference.get_parameter("features.0.weight"))

    def offline(name: str, pretrained: bool = False) -> nn.Module:
        raise OSError("no network\nsecond line")

    monkeypatch.setattr("timm.create_model", offline)
    with pytest.raises(
        InputError, match=r"cannot get those of vgg16.tv_in1k from the model hub \(no network\)"
    ) as caught:
        build_backbone("vgg16", "imagenet")
    assert "\n" not in str(caught.value)


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second = (
        (torch.manual_seed(seed), FullyConvolutionalVGG16(WIDTH).state_dict())[1] for seed in (3, 3)
    )
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    assert F.relu(first["fc6.weight"]).sum() > 0
