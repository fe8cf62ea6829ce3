"""Batch-norm modes and AdaBN against statistics computed by hand."""

import copy
from collections.abc import Iterator

import pytest
import timm
import torch
from torch import Tensor, nn

from segshift.errors import InputError
from segshift.models import Segmenter, SegmenterConfig, adapt_batch_norm, set_batch_norm_mode
from segshift.models.batch_norm import batch_norms, evaluating
from segshift.models.segmenter_config import BatchNormMode

from .networks import CLASSES, tiny


def norm(mode: BatchNormMode) -> nn.BatchNorm2d:
    torch.manual_seed(0)
    module = nn.BatchNorm2d(3, momentum=0.3)
    with torch.no_grad():
        module.weight.uniform_(0.5, 2)
        module.bias.normal_()
        for buffer, values in (("running_mean", [0.1, -0.2, 0.3]), ("running_var", [1.5, 0.5, 2.0])):
            getattr(module, buffer).copy_(torch.tensor(values))
    set_batch_norm_mode(module, mode)
    return module.train()


def statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, biased and unbiased variance per channel, by sums."""
    values = x.transpose(0, 1).flatten(1)
    count = values.shape[1]
    mean = values.sum(1) / count
    squares = ((values - mean[:, None]) ** 2).sum(1)
    return mean, squares / count, squares / (count - 1)


def normalized(x: Tensor, module: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> Tensor:
    x = (x - mean.view(1, -1, 1, 1)) / (variance.view(1, -1, 1, 1) + module.eps).sqrt()
    return x * module.weight.view(1, -1, 1, 1) + module.bias.view(1, -1, 1, 1)


def averages(module: nn.Module) -> list[Tensor]:
    return [value.clone() for value in module.buffers()]


@pytest.mark.parametrize("mode", ["batch", "running", "frozen"])
def test_modes_equal_their_formulas(mode: BatchNormMode) -> None:
    module, x = norm(mode), torch.randn(4, 3, 5, 6) * 2 + 1
    old_mean, old_variance, _ = averages(module)
    mean, biased, unbiased = statistics(x)
    new_mean, new_variance = 0.7 * old_mean + 0.3 * mean, 0.7 * old_variance + 0.3 * unbiased
    used = {
        "batch": (mean, biased),
        "running": (old_mean, old_variance),
        "frozen": (old_mean, old_variance),
    }[mode]
    torch.testing.assert_close(module(x), normalized(x, module, *used))
    kept = (old_mean, old_variance, 0) if mode == "frozen" else (new_mean, new_variance, 1)
    torch.testing.assert_close(module.running_mean, kept[0])
    torch.testing.assert_close(module.running_var, kept[1])
    assert module.num_batches_tracked == kept[2]
    assert module.training


@pytest.mark.parametrize("mode", ["batch", "running", "frozen"])
def test_evaluation_uses_the_averages_and_keeps_them(mode: BatchNormMode) -> None:
    module, x = norm(mode).eval(), torch.randn(4, 3, 5, 6)
    before = averages(module)
    torch.testing.assert_close(module(x), normalized(x, module, before[0], before[1]))
    for old, new in zip(before, module.buffers(), strict=True):
        assert torch.equal(old, new)


def test_the_mode_can_change() -> None:
    module, x = norm("running"), torch.randn(2, 3, 4, 4)
    set_batch_norm_mode(module, "batch")
    mean, biased, _ = statistics(x)
    torch.testing.assert_close(module(x), normalized(x, module, mean, biased))
    assert module.num_batches_tracked == 1


def test_two_graphs_can_wait_for_their_backward_passes() -> None:
    # Source and target in separate forwards: the averages move while the source's graph is alive.
    module = norm("running")
    first, second = (torch.randn(2, 3, 4, 4, requires_grad=True) for _ in range(2))
    losses = [module(first).pow(3).sum(), module(second).pow(3).sum()]
    for loss in losses:
        loss.backward()

    alone = norm("running")
    again = first.detach().clone().requires_grad_()
    alone(again).pow(3).sum().backward()
    torch.testing.assert_close(first.grad, again.grad)


def test_gradient_of_running_takes_the_averages_as_constants() -> None:
    module, x = norm("running"), torch.randn(2, 3, 4, 4, requires_grad=True)
    scale = module.weight / (module.get_buffer("running_var") + module.eps).sqrt()
    module(x).sum().backward()
    torch.testing.assert_close(x.grad, scale.view(1, 3, 1, 1).expand_as(x))


def test_timms_fused_batch_norm_obeys() -> None:
    network = timm.create_model("tf_efficientnet_lite0").train()
    set_batch_norm_mode(network, "frozen")
    before = averages(network)
    network(torch.rand(2, 3, 32, 32))
    assert all(torch.equal(old, new) for old, new in zip(before, network.buffers(), strict=True))
    set_batch_norm_mode(network, "running")
    network(torch.rand(2, 3, 64, 64))
    assert all(norm.num_batches_tracked == 1 for norm in batch_norms(network))


def test_frozen_affine() -> None:
    segmenter = tiny(batch_norm_affine="frozen")
    for module in segmenter.modules():
        for parameter in module.parameters(recurse=False):
            assert parameter.requires_grad == (not isinstance(module, nn.BatchNorm2d))
    assert all(parameter.requires_grad for parameter in tiny().parameters())


@pytest.mark.parametrize("mode", ["running", "frozen"])
def test_modes_hold_inside_a_segmenter_in_training_mode(mode: BatchNormMode) -> None:
    segmenter, x = tiny(batch_norm=mode).train(), torch.rand(2, 3, 32, 48)
    before = segmenter.state_dict()
    before = {key: value.clone() for key, value in before.items()}
    trained = segmenter(x).logits
    changed = {key for key, value in segmenter.state_dict().items() if not torch.equal(value, before[key])}
    assert bool(changed) == (mode == "running")
    # Neither mode normalises with the batch: with the averages as they were, evaluation gives the same.
    segmenter.load_state_dict(before)
    torch.testing.assert_close(segmenter.eval()(x).logits, trained)


def test_the_image_at_hand_has_no_part_in_its_own_running_normalisation() -> None:
    module, x = norm("running"), torch.randn(1, 3, 8, 8)
    frozen = norm("frozen")(x)
    assert torch.equal(module(x), frozen)
    # The next image is normalised with what this one has left behind: momentum 0.3.
    mean, _, unbiased = statistics(x)
    old = norm("frozen")
    used = (
        0.7 * old.get_buffer("running_mean") + 0.3 * mean,
        0.7 * old.get_buffer("running_var") + 0.3 * unbiased,
    )
    later = torch.randn(1, 3, 8, 8)
    torch.testing.assert_close(module(later), normalized(later, module, *used))


def test_hooks_of_a_deep_copy_act_on_the_copy() -> None:
    original = tiny(batch_norm="running").train()
    copied = copy.deepcopy(original)
    before = averages(original)
    copied(torch.rand(2, 3, 32, 48))
    assert all(torch.equal(old, new) for old, new in zip(before, original.buffers(), strict=True))
    assert all(norm.num_batches_tracked == 1 for norm in batch_norms(copied))
    set_batch_norm_mode(copied, "frozen")
    original(torch.rand(2, 3, 32, 48))
    assert all(norm.num_batches_tracked == 1 for norm in batch_norms(original) + batch_norms(copied))


def test_one_value_per_channel_is_refused() -> None:
    with pytest.raises(InputError, match="one value per channel"):
        norm("running")(torch.zeros(1, 3, 1, 1))


def test_an_error_in_the_forward_pass_does_not_leave_the_mode_changed() -> None:
    module = norm("frozen")
    with pytest.raises(RuntimeError):
        module(torch.zeros(2, 5, 4, 4))
    assert module.training


@pytest.mark.parametrize("mode", ["batch", "running", "frozen"])
def test_adaptation_replaces_the_averages_by_those_of_the_images(mode: BatchNormMode) -> None:
    segmenter = tiny(batch_norm=mode)
    batches = [torch.rand(3, 3, 32, 48), torch.rand(2, 3, 32, 48) ** 2, torch.rand(1, 3, 32, 48) / 2]
    seen: list[Tensor] = []
    stem = segmenter.backbone.get_submodule("stem.0")
    expected_inputs = [stem((batch - segmenter.mean) / segmenter.std).detach() for batch in batches]
    adapt_batch_norm(segmenter, iter(batches))
    first = segmenter.backbone.get_submodule("stem.1")
    assert isinstance(first, nn.BatchNorm2d)
    for x in expected_inputs:
        mean, _, unbiased = statistics(x)
        seen.append(torch.stack([mean, unbiased]))
    mean, variance = torch.stack(seen).mean(0)
    torch.testing.assert_close(first.running_mean, mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(first.running_var, variance, atol=1e-5, rtol=1e-4)


def test_later_layers_are_adapted_behind_layers_that_normalise_with_the_batch() -> None:
    segmenter, batch = tiny(batch_norm="frozen"), torch.rand(4, 3, 32, 48)
    network = segmenter.backbone
    adapt_batch_norm(segmenter, [batch])
    with torch.no_grad():
        first = network.get_submodule("stem.1")
        assert isinstance(first, nn.BatchNorm2d)
        x = network.get_submodule("stem.0")(segmenter.normalize(batch))
        mean, biased, _ = statistics(x)
        x = network.get_submodule("stage1.conv1")(normalized(x, first, mean, biased).relu())
    mean, _, unbiased = statistics(x)
    torch.testing.assert_close(network.get_buffer("stage1.bn1.running_mean"), mean, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(network.get_buffer("stage1.bn1.running_var"), unbiased, atol=1e-4, rtol=1e-4)


def test_adaptation_changes_nothing_else_and_is_deterministic() -> None:
    segmenter = tiny(batch_norm="frozen").train()
    segmenter.head.eval()
    modes = [module.training for module in segmenter.modules()]
    momenta = [norm.momentum for norm in batch_norms(segmenter)]
    parameters = [parameter.clone() for parameter in segmenter.parameters()]
    batches = [torch.rand(2, 3, 32, 48) for _ in range(2)]
    adapt_batch_norm(segmenter, batches)
    once = averages(segmenter)
    adapt_batch_norm(segmenter, batches)
    assert all(torch.equal(old, new) for old, new in zip(once, segmenter.buffers(), strict=True))
    assert modes == [module.training for module in segmenter.modules()]
    assert momenta == [norm.momentum for norm in batch_norms(segmenter)]
    assert all(torch.equal(old, new) for old, new in zip(parameters, segmenter.parameters(), strict=True))
    # Frozen again: training forwards leave the adapted averages alone.
    segmenter(batches[0])
    assert all(torch.equal(old, new) for old, new in zip(once, segmenter.buffers(), strict=True))


def test_failed_adaptation_leaves_the_averages() -> None:
    def breaking() -> Iterator[Tensor]:
        yield torch.rand(2, 3, 32, 48)
        raise OSError("disk")

    segmenter = tiny()
    before = averages(segmenter)
    with pytest.raises(InputError, match="no target images"):
        adapt_batch_norm(segmenter, [])
    with pytest.raises(OSError, match="disk"):
        adapt_batch_norm(segmenter, breaking())
    assert all(torch.equal(old, new) for old, new in zip(before, segmenter.buffers(), strict=True))


def test_a_network_without_batch_norm_cannot_be_adapted() -> None:
    segmenter = Segmenter(SegmenterConfig(backbone="convnext_atto", weights="none"), CLASSES)
    with pytest.raises(InputError, match="no batch norm"):
        adapt_batch_norm(segmenter, [torch.rand(1, 3, 32, 32)])


def test_evaluating_restores_every_submodule() -> None:
    segmenter = tiny().train()
    segmenter.head.eval()
    with pytest.raises(KeyError), evaluating(segmenter):
        assert not any(module.training for module in segmenter.modules())
        raise KeyError
    assert segmenter.training and segmenter.backbone.training and not segmenter.head.training
