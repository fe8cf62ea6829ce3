"""One tester for every family of networks: sizes, gradients, modes, files, precision."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from segshift.errors import InputError
from segshift.models import Segmenter, SegmenterConfig, build_backbone, load, set_batch_norm_mode, upsample
from segshift.models.batch_norm import batch_norms

from .networks import CLASSES

# Name: (channels of the last features, their stride) as published; random weights.
FAMILIES = {
    "resnet18": (512, 8),
    "mobilenetv3_small_100": (576, 8),
    "tf_efficientnet_lite0": (320, 8),
    "convnext_atto": (320, 8),
    "regnetx_002": (368, 8),
    "mobilenetv4_conv_small": (960, 8),
    "pvt_v2_b0": (256, 32),
    "swin_tiny_patch4_window7_224": (768, 32),
    "vit_tiny_patch16_224": (192, 16),
    "vit_small_patch14_reg4_dinov2": (384, 14),
    "vit_small_patch16_dinov3": (384, 16),
    "hiera_tiny_224": (768, 32),
    "efficientvit_b0": (128, 32),
    "fastvit_t8": (384, 32),
    "repvit_m0_9": (384, 32),
    "hrnet_w18_small": (1024, 32),
    "mambaout_femto": (288, 32),
    "coat_lite_tiny": (320, 32),
    "segshift_tiny": (72, 8),
}
# Built for one size, to which they resize every image.
OF_ONE_SIZE = {"hiera_tiny_224", "coat_lite_tiny"}


def segmenter_on(backbone: str, **settings: object) -> Segmenter:
    torch.manual_seed(0)
    config = {"backbone": backbone, "weights": "none", "head": "linear", **settings}
    return Segmenter(SegmenterConfig.model_validate(config), CLASSES)


def loss_of(segmenter: Segmenter, images: Tensor) -> Tensor:
    return segmenter(segmenter.normalize(images)).logits.square().mean()


def check_sizes(segmenter: Segmenter, name: str) -> None:
    """Sizes that are no multiple of anything, landscape and portrait, one image and two."""
    channels, stride = FAMILIES[name]
    segmenter.eval()
    for batch, height, width in ((1, 97, 161), (2, 161, 97)):
        with torch.inference_mode():
            output = segmenter(torch.rand(batch, 3, height, width))
        assert output.features.shape[:2] == (batch, channels)
        assert output.logits.shape[:2] == (batch, CLASSES.count)
        if name not in OF_ONE_SIZE:
            got = output.logits.shape[-2:]
            assert all(abs(g - px / stride) <= 1 for g, px in zip(got, (height, width), strict=True))
        assert upsample(output.logits, (height, width)).isfinite().all()
    ids = segmenter.predict(np.zeros((50, 70, 3), dtype=np.uint8))
    assert ids.shape == (50, 70) and ids.max() < CLASSES.count


def check_gradients(segmenter: Segmenter) -> None:
    """The whole network learns; frozen and running batch norm normalise one image like evaluation does."""
    segmenter.train()
    loss_of(segmenter, torch.rand(2, 3, 96, 128)).backward()
    reached = [p.grad is not None for p in segmenter.backbone.parameters() if p.requires_grad]
    # HRNet's branches at other resolutions than the last do not reach a linear head.
    assert sum(reached) / len(reached) > 0.7
    segmenter.zero_grad()
    for mode in ("frozen", "running"):
        set_batch_norm_mode(segmenter.backbone, mode)
        before = [norm.num_batches_tracked.clone() for norm in batch_norms(segmenter.backbone)]
        loss_of(segmenter, torch.rand(1, 3, 96, 128)).backward()
        after = [norm.num_batches_tracked for norm in batch_norms(segmenter.backbone)]
        assert all((a > b) == (mode == "running") for a, b in zip(after, before, strict=True))
    set_batch_norm_mode(segmenter.backbone, "batch")


def check_precision_and_layout(segmenter: Segmenter) -> None:
    """bf16 autocast and channels_last change rounding, not the result."""
    segmenter.eval()
    images = torch.rand(1, 3, 96, 128)
    with torch.inference_mode():
        plain = segmenter(images).logits
        with torch.autocast("cpu", dtype=torch.bfloat16):
            low = segmenter(images).logits.float()
        moved = segmenter.to(memory_format=torch.channels_last)(images).logits
    torch.testing.assert_close(moved, plain, rtol=1e-3, atol=1e-4)
    assert (low - plain).abs().mean() < 0.1 * plain.abs().mean() + 1e-3


def check_file(segmenter: Segmenter, path: Path) -> None:
    segmenter.eval().save(path)
    images = torch.rand(1, 3, 80, 112)
    with torch.inference_mode():
        torch.testing.assert_close(load(path)(images).logits, segmenter(images).logits)


@pytest.mark.parametrize("name", FAMILIES)
def test_family(name: str, tmp_path: Path) -> None:
    segmenter = segmenter_on(name)
    assert segmenter.feature_channels == FAMILIES[name][0]
    check_sizes(segmenter, name)
    check_gradients(segmenter)
    check_precision_and_layout(segmenter)
    check_file(segmenter, tmp_path / "model.safetensors")


@pytest.mark.parametrize("head", ["segformer", "daformer", "deeplab_v2"])
@pytest.mark.parametrize("name", ["pvt_v2_b0", "vit_tiny_patch16_224", "resnet18"])
def test_every_head_fits_every_kind_of_pyramid(name: str, head: str) -> None:
    segmenter = segmenter_on(name, head=head, classifiers=2, auxiliary_head=True)
    output = segmenter(torch.rand(2, 3, 64, 96))
    finest = output.pyramid[0].shape[-2:] if head != "deeplab_v2" else output.features.shape[-2:]
    assert output.logits.shape == (2, CLASSES.count, *finest)
    assert output.auxiliary_logits is not None
    output.logits.sum().backward()
    assert all(p.grad is not None for p in segmenter.second_head.parameters())


def test_an_image_is_resized_to_what_the_network_takes_and_not_padded() -> None:
    backbone = build_backbone("vit_tiny_patch16_224", "none").network.eval()
    images = torch.rand(1, 3, 97, 161)
    with torch.inference_mode():
        features = backbone(images)[-1]
        larger = torch.nn.functional.interpolate(images, size=(112, 176), mode="bilinear", antialias=True)
        torch.testing.assert_close(features, backbone.network(larger)[-1])
    assert features.shape[-2:] == (7, 11)


def test_a_network_of_one_size_can_be_built_for_another() -> None:
    segmenter = segmenter_on("hiera_tiny_224", input_size=(256, 128))
    assert segmenter(torch.rand(1, 3, 60, 90)).features.shape == (1, 768, 4, 8)
    with pytest.raises(InputError, match=r"hiera_tiny_224: gives no features .* at input_size 100 x 50"):
        segmenter_on("hiera_tiny_224", input_size=(100, 50))


def test_position_embeddings_follow_the_size() -> None:
    """A vision transformer of 224 px sees a large image at its own resolution."""
    backbone = build_backbone("vit_tiny_patch16_224", "none").network.eval()
    with torch.inference_mode():
        assert backbone(torch.rand(1, 3, 256, 512))[-1].shape == (1, 192, 16, 32)


def test_a_network_without_enough_levels_is_refused() -> None:
    with pytest.raises(InputError, match=r"levit_128s: gives features at 3 levels, the head needs 4"):
        segmenter_on("levit_128s", head="segformer")
    with pytest.raises(InputError, match=r"segshift_tiny: gives features at 2 levels, the head needs 4"):
        segmenter_on("segshift_tiny", head="daformer")
    with pytest.raises(InputError, match="fcn8s: takes features at strides 8, 16 and 32, vit_tiny"):
        segmenter_on("vit_tiny_patch16_224", head="fcn8s", output_stride="native")


@pytest.mark.parametrize("backbone", ["mit_b0", "pvt_v2_b0", "twins_svt_small", "convnext_atto"])
def test_images_that_a_network_would_shrink_to_nothing_are_enlarged(backbone: str) -> None:
    segmenter = segmenter_on(backbone).eval()
    with torch.inference_mode():
        assert torch.equal(
            *(segmenter(torch.ones(1, 3, px, px)).logits for px in (1, 16 if "next" in backbone else 32))
        )
    assert segmenter.predict(np.zeros((7, 90, 3), dtype=np.uint8)).shape == (7, 90)


def test_encoders_of_libraries_see_small_images_enlarged() -> None:
    for model in (
        {"library": "transformers", "architecture": "Segformer"},
        {"library": "smp", "architecture": "Unet", "encoder": "mit_b0"},
    ):
        segmenter = Segmenter(SegmenterConfig.model_validate({"weights": "none", **model}), CLASSES)
        assert segmenter.predict(np.zeros((1, 20, 3), dtype=np.uint8)).shape == (1, 20)
