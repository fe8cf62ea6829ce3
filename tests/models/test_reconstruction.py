"""LSD's networks: every stride and size, what the outputs are, and what reaches them."""

import pytest
import torch
from torch import nn

from segshift.errors import InputError
from segshift.models.reconstruction import (
    EmbeddingGenerator,
    LabellingDiscriminator,
    Normalization,
    pyramid_strides,
)
from segshift.models.segmenter import Segmenter, SegmenterConfig
from tests.models.networks import CLASSES, tiny


@pytest.mark.parametrize(
    ("backbone", "head", "stride", "expected"),
    [
        ("segshift_tiny", "deeplab_v2", 8, (8, 8)),
        ("mobilenetv3_small_050", "deeplab_v2", 16, (16, 16)),
        ("mobilenetv3_small_050", "deeplab_v2", 32, (16, 32)),
        ("mobilenetv3_small_050", "fcn8s", 32, (8, 16, 32)),
    ],
)
def test_strides_are_measured(backbone: str, head: str, stride: int, expected: tuple[int, ...]) -> None:
    config = {"backbone": backbone, "head": head, "output_stride": stride, "weights": "none"}
    segmenter = Segmenter(SegmenterConfig.model_validate(config), CLASSES).train()
    before = {name: buffer.clone() for name, buffer in segmenter.named_buffers()}
    assert pyramid_strides(segmenter) == expected
    assert segmenter.training
    for name, buffer in segmenter.named_buffers():
        assert torch.equal(buffer, before[name]), name


@pytest.mark.parametrize("stride", [2, 4, 8, 16, 32])
@pytest.mark.parametrize("size", [(64, 96), (65, 70), (95, 64)])
def test_an_image_of_the_asked_size(stride: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    generator = EmbeddingGenerator((6,), (stride,), width=2)
    features = torch.randn(2, 6, -(-size[0] // stride), -(-size[1] // stride))
    image = generator((features,), size)
    assert image.shape == (2, 3, *size)
    assert image.min() >= 0 and image.max() <= 1
    # A network that pads gives a row more.
    assert (
        generator((torch.randn(2, 6, features.shape[2] + 1, features.shape[3] + 1),), size).shape
        == image.shape
    )


def test_every_parameter_and_every_level_count() -> None:
    torch.manual_seed(0)
    generator = EmbeddingGenerator((3, 4, 5), (4, 8, 8), width=2).eval()
    pyramid = [torch.randn(1, 3, 8, 10), torch.randn(1, 4, 4, 5), torch.randn(1, 5, 4, 5)]
    for features in pyramid:
        features.requires_grad_()
    (generator(pyramid, (32, 40)) * torch.rand(1, 3, 32, 40)).sum().backward()
    for features in pyramid:
        assert features.grad is not None and features.grad.abs().sum() > 0
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_dropout_is_the_noise() -> None:
    torch.manual_seed(0)
    generator, features = EmbeddingGenerator((6,), (4,), width=2), (torch.randn(1, 6, 8, 8),)
    assert not torch.equal(generator(features, (32, 32)), generator(features, (32, 32)))
    generator.eval()
    assert torch.equal(generator(features, (32, 32)), generator(features, (32, 32)))


def test_features_come_back_where_they_were() -> None:
    """An image half dark and half bright, from features of two values, after a few steps of training."""
    torch.manual_seed(0)
    generator = EmbeddingGenerator((2,), (8,), width=4).eval()
    features = torch.zeros(1, 2, 6, 8)
    features[:, 0, :, :4], features[:, 1, :, 4:] = 1, 1
    image = torch.zeros(1, 3, 48, 64)
    image[..., 32:] = 1
    optimizer = torch.optim.Adam(generator.parameters(), lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        (generator((features,), (48, 64)) - image).abs().mean().backward()
        optimizer.step()
    made = generator((features,), (48, 64))
    assert made[..., :28].mean() < 0.2 and made[..., 36:].mean() > 0.8


def test_the_discriminator_answers_per_cell_or_per_image() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 33, 50)
    judged = LabellingDiscriminator(5, width=8, blocks=1)(images)
    assert judged.domain.shape == (2, 4, 4, 6)
    assert judged.labels is not None and judged.labels.shape == (2, 5, 4, 6)
    whole = LabellingDiscriminator(5, width=8, blocks=1, scope="whole")(images)
    assert whole.domain.shape == (2, 4)
    assert whole.labels is not None and whole.labels.shape == (2, 5, 4, 6)
    assert LabellingDiscriminator(None, width=8, blocks=0)(images).labels is None


def test_the_whole_image_is_judged_by_the_mean_of_its_cells() -> None:
    torch.manual_seed(0)
    patch = LabellingDiscriminator(None, width=8, blocks=1).eval()
    whole = LabellingDiscriminator(None, width=8, blocks=1, scope="whole").eval()
    whole.load_state_dict(patch.state_dict())
    images = torch.rand(2, 3, 32, 48)
    torch.testing.assert_close(whole(images).domain, patch(images).domain.mean(dim=(2, 3)))


def test_colors_reach_the_discriminator() -> None:
    torch.manual_seed(0)
    discriminator = LabellingDiscriminator(None, width=8, blocks=1).eval()
    images = 0.4 * torch.rand(1, 3, 32, 32)
    brighter = images + torch.tensor([0.5, 0.0, 0.0]).view(1, 3, 1, 1)
    assert (discriminator(images).domain - discriminator(brighter).domain).abs().max() > 1e-4


def test_the_public_sizes() -> None:
    discriminator = LabellingDiscriminator(19)
    convolutions = [layer for layer in discriminator.trunk.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [32, 64, 128, *[128] * 9]


@pytest.mark.parametrize("normalization", ["group", "instance"])
def test_the_norm_is_a_choice(normalization: Normalization) -> None:
    kinds = {"group": nn.GroupNorm, "instance": nn.InstanceNorm2d}
    networks = (
        EmbeddingGenerator((6,), (8,), 2, normalization),
        LabellingDiscriminator(3, 8, 1, "patch", normalization),
    )
    for network in networks:
        found = {type(layer) for layer in network.modules()} & set(kinds.values())
        assert found == {kinds[normalization]}


def test_a_game_that_only_brightness_can_win_is_won() -> None:
    """Noise of two brightnesses: what instance norm before a linear output would hide."""
    torch.manual_seed(0)
    discriminator = LabellingDiscriminator(None, width=8, blocks=2)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=5e-3)
    for _ in range(60):
        noise = 0.5 * torch.rand(2, 3, 32, 32)
        images = noise + torch.tensor([0.0, 0.5]).view(2, 1, 1, 1)
        domain = discriminator(images).domain
        loss = nn.functional.cross_entropy(domain, torch.tensor([0, 2]).view(2, 1, 1).expand(2, 4, 4))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert loss < 0.1


def test_what_is_too_small_says_so() -> None:
    with pytest.raises(InputError, match="15x64"):
        LabellingDiscriminator(None, 8, 0)(torch.zeros(1, 3, 64, 15))
    with pytest.raises(InputError, match="features of 3x1"):
        EmbeddingGenerator((2,), (32,), 2)((torch.zeros(1, 2, 1, 3),), (32, 96))


def test_a_trained_segmenter_is_not_touched() -> None:
    segmenter = tiny()
    before = {name: value.clone() for name, value in segmenter.state_dict().items()}
    pyramid_strides(segmenter)
    for name, value in segmenter.state_dict().items():
        assert torch.equal(value, before[name]), name
