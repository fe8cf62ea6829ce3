"""AdaBN: statistics against ones computed by hand."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from segshift.engine.step import train_step
from segshift.errors import InputError
from segshift.methods import Method, build_method
from tests.methods.networks import align, batch, optimizers, parameters_of, tiny_segmenter


class Images:
    """Training data that gives images and remembers what it was asked for."""

    def __init__(self, *batches: Tensor) -> None:
        self.batches, self.asked = batches, (0, 0)

    def target_images(self, batch_size: int, limit: int | None) -> Iterator[Tensor]:
        self.asked = (batch_size, -1 if limit is None else limit)
        yield from self.batches


def adabn(**settings: int) -> Method:
    return build_method({"name": "adabn", **settings}, tiny_segmenter(batch_norm="batch"))


def first_layer(method: Method, images: Tensor) -> Tensor:
    """What the first batch norm sees: (channels, values)."""
    segmenter = method.segmenter
    with torch.no_grad():
        seen: Tensor = segmenter.backbone.stem[0]((images - segmenter.mean) / segmenter.std)
    return seen.transpose(0, 1).flatten(1)


def test_the_first_layers_statistics_are_means_over_the_batches() -> None:
    method = adabn()
    batches = [batch(0).target_images, batch(1, images=4).target_images * 0.5, batch(2).target_images ** 2]
    method.prepare(Images(*batches))
    norm = method.segmenter.backbone.stem[1]
    seen = [first_layer(method, images).double() for images in batches]
    mean = torch.stack([values.mean(1) for values in seen]).mean(0)
    variance = torch.stack([values.var(1, correction=1) for values in seen]).mean(0)
    torch.testing.assert_close(norm.running_mean.double(), mean, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(norm.running_var.double(), variance, rtol=1e-4, atol=1e-6)
    assert norm.momentum == 0.1


def test_the_second_layer_sees_a_first_one_normalised_by_its_batch() -> None:
    method = adabn()
    images = batch(0).target_images
    method.prepare(Images(images))
    segmenter = method.segmenter
    values = first_layer(method, images)
    normal = (values - values.mean(1, keepdim=True)) / (
        values.var(1, correction=0, keepdim=True) + 1e-5
    ).sqrt()
    shape = (images.shape[0], images.shape[2] // 2, images.shape[3] // 2)
    stem = normal.relu().view(-1, *shape).transpose(0, 1)
    with torch.no_grad():
        second = segmenter.backbone.stage1.conv1(stem).transpose(0, 1).flatten(1)
    torch.testing.assert_close(
        segmenter.backbone.stage1.bn1.running_mean, second.mean(1), rtol=1e-3, atol=1e-5
    )


def test_no_parameter_and_no_mode_changes() -> None:
    method = adabn().train()
    before = parameters_of(method)
    modes = [module.training for module in method.modules()]
    method.prepare(Images(batch().target_images))
    assert all(torch.equal(before[name], value) for name, value in parameters_of(method).items())
    assert [module.training for module in method.modules()] == modes


def test_there_is_nothing_to_train() -> None:
    method = adabn()
    assert method.networks() == {}
    log = train_step(method, [batch()], {})
    assert log.schedule == [] and log.losses == {}
    assert method.deployed() is method.segmenter
    with torch.no_grad():
        assert method.eval().predict(batch().target_images).shape == (2, 3, 40, 32)


@pytest.mark.parametrize(("settings", "asked"), [({}, (4, -1)), ({"batch_size": 2, "images": 7}, (2, 7))])
def test_the_settings_reach_the_data(settings: dict[str, int], asked: tuple[int, int]) -> None:
    data = Images(batch().target_images)
    adabn(**settings).prepare(data)
    assert data.asked == asked


def test_no_image_is_an_error() -> None:
    with pytest.raises(InputError, match="no target images"):
        adabn().prepare(Images())


def test_in_training_the_averages_take_the_target_after_the_source() -> None:
    method = align({"term": "adabn"}, segmenter=tiny_segmenter(batch_norm="batch"))
    plain = align(segmenter=tiny_segmenter(batch_norm="batch"))
    data = batch()
    source, target = (first_layer(method, images) for images in (data.source_images, data.target_images))
    train_step(method, [data], optimizers(method.networks()))
    train_step(plain, [data], optimizers(plain.networks()))
    expected = 0.9 * (0.1 * source.mean(1)) + 0.1 * target.mean(1)
    norm = method.segmenter.backbone.stem[1]
    torch.testing.assert_close(norm.running_mean, expected, rtol=1e-4, atol=1e-6)
    expected = 0.9 * (0.9 + 0.1 * source.var(1)) + 0.1 * target.var(1)
    torch.testing.assert_close(norm.running_var, expected, rtol=1e-4, atol=1e-6)
    for (name, mine), theirs in zip(method.named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(mine, theirs), name
