"""The ResNet in Caffe's shape against the same network as a plain function; timm's against torchvision's."""

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from segshift.errors import InputError
from segshift.models.backbones import CAFFE_PIXELS, build_backbone
from segshift.models.caffe_resnet import DEPTHS, CaffeResNet

from .public_networks import Random, classifier_state, prefixed, resnet_forward, resnet_state


def test_features_have_the_public_networks_size() -> None:
    network = CaffeResNet((1, 1, 1, 1), width=4).eval()
    third, fourth = network(torch.rand(1, 3, 256, 512))
    assert third.shape == (1, 64, 33, 65) and fourth.shape == (1, 128, 33, 65)
    assert network.channels == (64, 128)


def test_features_equal_a_plain_function_of_the_files_tensors(tmp_path: Path) -> None:
    random = Random(4, counters=False)
    state = resnet_state(random)
    # Like the public initial weights: a prefix, and a classifier of other classes.
    file = tmp_path / "init.pth"
    torch.save(prefixed(state | prefixed(classifier_state(random, 21, 2048, 1), "layer5."), "Scale."), file)
    backbone = build_backbone("caffe_resnet50", str(file))
    assert backbone.pixel_statistics == CAFFE_PIXELS
    image = torch.randn(1, 3, 33, 50, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        result = backbone.network.eval()(image)
    for features, expected in zip(result, resnet_forward(state, image, caffe=True), strict=True):
        assert expected.std() > 0.1
        torch.testing.assert_close(features.double(), expected, rtol=0, atol=1e-4)


def test_a_file_that_lacks_a_tensor(tmp_path: Path) -> None:
    state = {
        key: torch.zeros(()).expand(v.shape) for key, v in resnet_state(Random(5, counters=False)).items()
    }
    del state["layer2.1.bn2.running_var"]
    state["layer7.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"missing: layer2\.1\.bn2\.running_var; surplus: layer7\.weight"):
        build_backbone("caffe_resnet50", str(tmp_path / "w.pth"))


def test_every_3x3_of_a_dilated_stage_is_dilated() -> None:
    with torch.device("meta"):
        network = CaffeResNet(DEPTHS["caffe_resnet101"])
    # torchvision's ResNet-101 without its classifier has as many parameters.
    assert sum(p.numel() for p in network.parameters()) == 42_500_160
    for stage, dilation in (("layer1", 1), ("layer2", 1), ("layer3", 2), ("layer4", 4)):
        convolutions = [m for m in network.get_submodule(stage).modules() if isinstance(m, nn.Conv2d)]
        assert {m.dilation[0] for m in convolutions if m.kernel_size == (3, 3)} == {dilation}
        assert all(m.stride == (1, 1) for m in convolutions if m.kernel_size == (3, 3))


def test_imagenet_weights_are_refused_with_the_file_that_is_needed() -> None:
    with pytest.raises(InputError, match=r"no model hub has those of caffe_resnet50.*backbone: resnet101$"):
        build_backbone("caffe_resnet50", "imagenet")


def test_timms_resnet_101_at_stride_8_is_torchvisions(tmp_path: Path) -> None:
    torch.manual_seed(0)
    reference = torchvision.models.resnet101(replace_stride_with_dilation=[False, True, True]).eval()
    for name, buffer in reference.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    for name, parameter in reference.named_parameters():
        if name.endswith("bn3.weight"):
            parameter.data.mul_(0.3)  # keeps the sum of 33 residuals near 1
    torch.save(reference.state_dict(), tmp_path / "w.pth")
    network = build_backbone("resnet101", str(tmp_path / "w.pth"), 8).network.eval()
    x = torch.randn(1, 3, 33, 50)
    with torch.inference_mode():
        third, fourth = network(x)
        x = reference.maxpool(reference.relu(reference.bn1(reference.conv1(x))))
        expected = reference.layer3(reference.layer2(reference.layer1(x)))
        torch.testing.assert_close(third, expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(fourth, reference.layer4(expected), rtol=0, atol=1e-5)
    assert fourth.std() > 0.1
