"""Patch alignment against a step written by hand, and what its settings switch."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segshift.engine.step import train_step
from segshift.errors import InputError
from segshift.methods import Batch, Method
from segshift.methods.patch_modes import NO_MODE, assign_modes
from segshift.models.patch import PatchModeDiscriminator, PatchModule
from tests.engine.toy import split_batch
from tests.methods.networks import align, batch, largest_difference, optimizers, parameters_of

STEPS = 3
# (width, height); the source has 32 x 40 px, the target 40 x 32: 4 x 4 and 3 x 5 patches, each with a rest.
PATCH = (10, 8)
# Weights far above the paper's, so that a term that does nothing cannot pass.
TERM = {
    "term": "patch",
    "modes": 6,
    "patch_px": PATCH,
    "weight": 20.0,
    "mode_weight": 3.0,
    "hidden_channels": 7,
}


def patched(**changes: Any) -> Method:
    method = align({**TERM, **changes})
    generator = torch.Generator().manual_seed(5)
    for term in method.terms:
        term.centers.copy_(torch.rand(term.centers.shape, generator=generator))
    return method


def up(segmenter: Any, images: Tensor) -> Tensor:
    output = segmenter((images - segmenter.mean) / segmenter.std)
    return F.interpolate(output.logits, size=images.shape[-2:], mode="bilinear", align_corners=True)


def pooled(probs: Tensor) -> Tensor:
    """Means over patches of 8 rows and 10 columns, one by one."""
    rows, columns = probs.shape[-2] // 8, probs.shape[-1] // 10
    cells = [
        [probs[..., 8 * u : 8 * u + 8, 10 * v : 10 * v + 10].mean((2, 3)) for v in range(columns)]
        for u in range(rows)
    ]
    return torch.stack([torch.stack(row, -1) for row in cells], -2)


def play_by_hand(method: Method, batches: list[Batch]) -> None:
    """Equations 3 to 5 with optimizers of their own, and the discriminator's losses halved."""
    term, segmenter = method.terms[0], method.segmenter
    first, second = term.categorization.layers[0], term.categorization.layers[2]
    judge = term.adversary
    movers = optimizers(
        {
            "segmenter": [*segmenter.parameters(), *term.categorization.parameters()],
            "patch": list(judge.parameters()),
        }
    )

    def module_h(probs: Tensor) -> Tensor:
        hidden = F.leaky_relu(F.conv2d(pooled(probs), first.weight, first.bias, padding=1), 0.2)
        return F.conv2d(hidden, second.weight, second.bias, padding=1)

    def fooled(modes: Tensor, value: float) -> Tensor:
        x = modes.permute(0, 2, 3, 1)
        for layer in (judge.layers[0], judge.layers[2]):
            x = F.leaky_relu(F.linear(x, layer.weight[:, :, 0, 0], layer.bias), 0.2)
        logits = F.linear(x, judge.layers[4].weight[:, :, 0, 0], judge.layers[4].bias)
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, value))

    for data in batches:
        source, target = up(segmenter, data.source_images), up(segmenter, data.target_images)
        gamma = assign_modes(data.source_labels, term.centers, term.patches)
        assert (gamma == NO_MODE).any() == bool((data.source_labels == 255).any())
        loss = F.cross_entropy(source, data.source_labels, ignore_index=255)
        loss = loss + 3.0 * F.cross_entropy(module_h(source.softmax(1)), gamma, ignore_index=NO_MODE)
        loss = loss + 20.0 * fooled(module_h(target.softmax(1)).softmax(1), 0.0)
        for mover in movers.values():
            mover.zero_grad()
        loss.backward()
        movers["segmenter"].step()
        movers["patch"].zero_grad()
        seen = [module_h(o.detach().softmax(1)).softmax(1).detach() for o in (source, target)]
        (fooled(seen[0], 0.0) / 2 + fooled(seen[1], 1.0) / 2).backward()
        movers["patch"].step()


@pytest.mark.parametrize("ignored", [False, True])
def test_steps_equal_a_loop_written_by_hand(ignored: bool) -> None:
    method = patched()
    by_hand, plain = copy.deepcopy(method), align(segmenter=copy.deepcopy(method.segmenter))
    start = parameters_of(method.terms[0])
    batches = [batch(step, ignored=ignored) for step in range(STEPS)]
    movers, plain_movers = optimizers(method.networks()), optimizers(plain.networks())
    for data in batches:
        assert train_step(method, [data], movers).schedule == ["segmenter*", "segmenter", "patch"]
        train_step(plain, [data], plain_movers)
    play_by_hand(by_hand, batches)
    assert largest_difference(parameters_of(method), parameters_of(by_hand)) < 5e-6
    # The game moved the segmenter, module H and the discriminator, far more than the tolerance.
    assert largest_difference(parameters_of(method.segmenter), parameters_of(plain.segmenter)) > 1e-3
    moved = parameters_of(method.terms[0])
    assert all((moved[name] - start[name]).abs().max() > 1e-4 for name in start)


def test_module_h_trains_with_the_segmenter_and_stays_behind(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    method = patched()
    term = method.terms[0]
    networks = method.networks()
    assert list(networks) == ["segmenter", "patch"]
    together = {id(parameter) for parameter in networks["segmenter"]}
    assert {id(p) for p in term.categorization.parameters()} <= together
    assert {id(p) for p in networks["patch"]} == {id(p) for p in term.adversary.parameters()}
    method.save(tmp_path)
    align(segmenter=copy.deepcopy(method.segmenter)).save(tmp_path / "plain")
    mine = load_file(tmp_path / "model.safetensors")
    assert mine.keys() == load_file(tmp_path / "plain" / "model.safetensors").keys()


def test_the_adversarial_gradient_reaches_the_segmenter_through_module_h() -> None:
    method = patched(mode_weight=0)
    plain = align(segmenter=copy.deepcopy(method.segmenter))
    log = train_step(method, [batch()], optimizers(method.networks()))
    train_step(plain, [batch()], optimizers(plain.networks()))
    assert set(log.losses) == {
        "segmenter/supervised",
        "segmenter/patch_adversarial",
        "patch/source",
        "patch/target",
    }
    assert largest_difference(parameters_of(method.segmenter), parameters_of(plain.segmenter)) > 1e-5


def test_without_the_adversary_the_target_is_not_looked_at() -> None:
    method = patched(weight=0)
    assert not method.uses_target and method.terms[0].adversary is None
    log = train_step(method, [batch()], optimizers(method.networks()))
    assert log.schedule == ["segmenter"] and set(log.losses) == {
        "segmenter/supervised",
        "segmenter/patch_mode",
    }
    # Beside a term that needs the target it stays silent there.
    both = align({**TERM, "weight": 0, "start_step": 1}, {"term": "minent"})
    both.terms[0].centers.fill_(0.5)
    log = train_step(both, [batch(1)], optimizers(both.networks()))
    assert log.schedule == ["segmenter*", "segmenter"] and "segmenter/patch_mode" in log.losses


def test_before_its_start_step_there_is_only_the_supervised_loss() -> None:
    method = patched(start_step=2)
    plain = align(segmenter=copy.deepcopy(method.segmenter))
    movers, plain_movers = optimizers(method.networks()), optimizers(plain.networks())
    start = parameters_of(method.terms[0])
    for step in range(2):
        assert train_step(method, [batch(step)], movers).schedule == ["segmenter"]
        train_step(plain, [batch(step)], plain_movers)
    assert largest_difference(parameters_of(method.segmenter), parameters_of(plain.segmenter)) == 0
    assert largest_difference(parameters_of(method.terms[0]), start) == 0
    assert train_step(method, [batch(2)], movers).schedule == ["segmenter*", "segmenter", "patch"]


def test_a_source_without_labels_trains_the_game_alone() -> None:
    method = patched()
    data = batch()
    data.source_labels.fill_(255)
    values = train_step(method, [data], optimizers(method.networks())).values()
    assert values["segmenter/patch_mode"] == 0 and values["segmenter/patch_adversarial"] > 0
    assert all(torch.isfinite(p).all() for p in method.parameters())


def test_micro_batches_equal_the_whole_batch_where_every_patch_has_a_mode() -> None:
    whole = patched(weight=0.5)
    split = copy.deepcopy(whole)
    whole_movers, split_movers = optimizers(whole.networks()), optimizers(split.networks())
    for step in range(2):
        data = batch(step, images=4, ignored=False)
        one = train_step(whole, [data], whole_movers)
        two = train_step(split, split_batch(data, 2), split_movers)
        assert one.schedule == two.schedule
        assert one.values() == pytest.approx(two.values(), rel=1e-4)
    assert largest_difference(parameters_of(whole.segmenter), parameters_of(split.segmenter)) < 1e-5


def test_modes_must_have_been_found() -> None:
    method = align(TERM)
    with pytest.raises(ValueError, match=r"prepare\(\) was not called"):
        train_step(method, [batch()], optimizers(method.networks()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_px": [9, 8]}, "positive multiples of grid = 2"),
        ({"patch_px": 0}, "`patch_px` = 0: Input should be greater than or equal to 1"),
        ({"weight": 0, "mode_weight": 0}, "take the term out instead"),
        ({"modes": 1}, "`modes` = 1"),
        ({"kernel": 2}, "`kernel` = 2"),
        ({"min_labelled": 0}, "`min_labelled` = 0"),
    ],
)
def test_bad_settings_are_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=r"method\.terms\.0") as error:
        align({**TERM, **changes})
    assert message in str(error.value) and len(str(error.value).splitlines()) == 1


def test_one_number_is_a_square_patch() -> None:
    term = align({**TERM, "patch_px": 16}).terms[0]
    assert term.patches.size == (16, 16) and term.categorization.patch_px == (16, 16)
    assert align(TERM).terms[0].patches.size == (8, 10)


def test_a_patch_larger_than_the_image_is_refused() -> None:
    method = patched(patch_px=[34, 16])
    with pytest.raises(InputError, match="34 x 16 px does not fit into a training image of 32 x 40"):
        train_step(method, [batch()], optimizers(method.networks()))


@pytest.mark.parametrize("kernel", [1, 3])
def test_module_h_sees_a_patch_and_with_kernel_3_its_neighbours(kernel: int) -> None:
    module = PatchModule(3, 4, (8, 10), hidden_channels=5, kernel=kernel)
    probs = torch.rand(1, 3, 45, 52, requires_grad=True)
    logits = module(probs)
    assert logits.shape == (1, 4, 5, 5)
    (gradient,) = torch.autograd.grad(logits[0, :, 0, 0].sum(), probs)
    reach = 1 if kernel == 1 else 3  # two convolutions of 3 reach two cells further
    touched = gradient.abs().sum((0, 1))
    assert bool((touched[: 8 * reach, : 10 * reach] > 0).all())
    assert touched[8 * reach :].sum() == 0 and touched[:, 10 * reach :].sum() == 0


def test_the_discriminator_judges_every_patch_alone() -> None:
    judge = PatchModeDiscriminator(6)
    x = torch.rand(2, 6, 3, 4)
    logits = judge(x)
    assert logits.shape == (2, 1, 3, 4)
    torch.testing.assert_close(judge(x[:, :, 1:2, 2:3]), logits[:, :, 1:2, 2:3])
    assert [layer.out_channels for layer in judge.layers if hasattr(layer, "out_channels")] == [256, 512, 1]


def test_under_bf16_modes_are_assigned_as_in_float32() -> None:
    method = patched()
    term, labels = method.terms[0], batch(ignored=False).source_labels
    expected = assign_modes(labels, term.centers, term.patches)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(assign_modes(labels, term.centers, term.patches), expected)
