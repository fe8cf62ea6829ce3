"""The engine's step against steps written by hand."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from segshift.engine.step import ContractError, StepSettings, _average_gradients, train_step
from segshift.errors import NonFiniteLossError
from segshift.methods.base import Batch, Method, Update
from tests.engine.toy import (
    ToyGame,
    assert_equal_parameters,
    split_batch,
    toy_batch,
    toy_optimizers,
    twins,
)


def hand_written_step(
    game: ToyGame, optimizers: dict[str, torch.optim.Optimizer], batch: Batch, clip_norm: float | None = None
) -> None:
    """The same game as the public codes write it: freeze the adversary, backward three times, step twice."""
    for optimizer in optimizers.values():
        optimizer.zero_grad()
    for parameter in game.adversary.parameters():
        parameter.requires_grad_(False)
    source = game.body(batch.source_images)
    F.cross_entropy(source, batch.source_labels).backward()
    target = game.body(batch.target_images)
    judged = game.adversary(F.softmax(target, dim=1))
    (game.weight * F.binary_cross_entropy_with_logits(judged, torch.zeros_like(judged))).backward()
    for parameter in game.adversary.parameters():
        parameter.requires_grad_(True)
    # The discriminator sees what the segmenter predicted before it moved.
    source_map, target_map = source.detach().softmax(1), target.detach().softmax(1)
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(game.body.parameters(), clip_norm)
    optimizers["segmenter"].step()
    for image, label in ((source_map, 0.0), (target_map, 1.0)):
        judged = game.adversary(image)
        (F.binary_cross_entropy_with_logits(judged, torch.full_like(judged, label)) / 2).backward()
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(game.adversary.parameters(), clip_norm)
    optimizers["adversary"].step()


@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_five_steps_equal_a_hand_written_loop(clip_norm: float | None) -> None:
    engine, hand = twins()
    engine_optimizers, hand_optimizers = toy_optimizers(engine), toy_optimizers(hand)
    for step in range(5):
        train_step(engine, [toy_batch(step)], engine_optimizers, StepSettings(clip_norm=clip_norm))
        hand_written_step(hand, hand_optimizers, toy_batch(step), clip_norm)
    assert_equal_parameters(engine, hand, rtol=0, atol=1e-7)


@pytest.mark.parametrize("parts", [2, 4])
def test_micro_batches_equal_the_whole_batch(parts: int) -> None:
    whole, split = twins()
    whole_optimizers, split_optimizers = toy_optimizers(whole), toy_optimizers(split)
    for step in range(3):
        one = train_step(whole, [toy_batch(step)], whole_optimizers)
        many = train_step(split, split_batch(toy_batch(step), parts), split_optimizers)
        assert one.values() == pytest.approx(many.values(), rel=1e-5)
    assert_equal_parameters(whole, split, rtol=1e-4, atol=1e-6)


def test_the_log_names_losses_and_schedule() -> None:
    game, _ = twins()
    log = train_step(game, [toy_batch()], toy_optimizers(game))
    assert log.schedule == ["segmenter*", "segmenter", "adversary"]
    assert set(log.values()) == {
        "segmenter/supervised",
        "segmenter/adversarial",
        "adversary/source",
        "adversary/target",
    }


class ForgottenDetach(ToyGame):
    """The adversary's update keeps the segmenter's graph, as a careless author would."""

    def step(self, batch: Batch) -> Iterator[Update]:
        source, target = self.body(batch.source_images), self.body(batch.target_images)
        yield Update("segmenter", {"supervised": F.cross_entropy(source, batch.source_labels)}, step=False)
        again, other = self.body(batch.source_images), self.body(batch.target_images)
        yield Update(
            "adversary",
            {
                "source": self.adversary(again.softmax(1)).mean(),
                "target": -self.adversary(other.softmax(1)).mean(),
            },
        )
        yield Update("segmenter", {"zero": target.sum() * 0})


def test_an_update_reaches_only_its_own_networks() -> None:
    """The adversary's losses run through the segmenter's graph, and must leave no gradient there."""
    torch.manual_seed(0)
    leaky, plain = ForgottenDetach(), ForgottenDetach()
    plain.load_state_dict(leaky.state_dict())
    optimizers = toy_optimizers(leaky)
    train_step(leaky, [toy_batch()], optimizers)
    optimizer = toy_optimizers(plain)["segmenter"]
    batch = toy_batch()
    F.cross_entropy(plain.body(batch.source_images), batch.source_labels).backward()
    optimizer.step()
    assert_equal_parameters(leaky.body, plain.body, rtol=0, atol=1e-7)


class Scripted(Method):
    """Yields what a test tells it to."""

    def __init__(self, script: object) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.script = script

    def networks(self) -> dict[str, list[nn.Parameter]]:
        return {"net": [self.weight]}

    def step(self, batch: Batch) -> Iterator[Update]:
        yield from self.script(self, batch)  # type: ignore[operator]


def run_script(script: object, batches: int = 1) -> Scripted:
    method = Scripted(script)
    optimizers = {"net": torch.optim.SGD(method.parameters(), lr=1.0)}
    train_step(method, [toy_batch(seed=k) for k in range(batches)], optimizers)
    return method


def test_a_non_finite_loss_names_everything_and_moves_nothing() -> None:
    def script(method: Scripted, batch: Batch) -> Iterator[Update]:
        yield Update("net", {"fine": method.weight.sum(), "sick": method.weight.sum() * float("nan")})

    method = Scripted(script)
    with pytest.raises(NonFiniteLossError, match=r"step 7 in the update of net: fine = 2, sick = nan"):
        train_step(method, [toy_batch(7)], {"net": torch.optim.SGD(method.parameters(), lr=1.0)})
    assert torch.equal(method.weight.data, torch.ones(2))


def test_code_after_a_yield_runs_after_that_update() -> None:
    seen: list[float] = []

    def script(method: Scripted, batch: Batch) -> Iterator[Update]:
        yield Update("net", {"loss": method.weight.sum()})
        seen.append(method.weight.sum().item())

    run_script(script)
    assert seen == [0.0]  # one SGD step of 1 took each weight from 1 to 0


def test_a_zero_loss_without_graph_is_a_valid_update() -> None:
    method = run_script(lambda m, b: iter([Update("net", {"zero": torch.zeros(())})]))
    assert torch.equal(method.weight.data, torch.ones(2))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (lambda m, b: iter([Update("nett", {"a": m.weight.sum()})]), "did you mean `net`"),
        (lambda m, b: iter([Update("net", {})]), "has no loss"),
        (lambda m, b: iter([Update("net", {"a": m.weight})]), "no scalar"),
        (lambda m, b: iter([Update("net", {"a": m.weight.sum()}, step=False)]), "never stepped"),
    ],
)
def test_broken_contracts_are_named(script: object, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        run_script(script)


def test_a_schedule_that_depends_on_the_data_is_refused() -> None:
    def script(method: Scripted, batch: Batch) -> Iterator[Update]:
        if batch.source_images.mean() > toy_batch(seed=0).source_images.mean():
            yield Update("net", {"extra": method.weight.sum()})
        yield Update("net", {"a": method.weight.sum()}, step=True)

    brighter = max(range(1, 9), key=lambda seed: toy_batch(seed=seed).source_images.mean().item())
    method = Scripted(script)
    optimizers = {"net": torch.optim.SGD(method.parameters(), lr=1.0)}
    with pytest.raises(ContractError, match="schedules differ"):
        train_step(method, [toy_batch(seed=0), toy_batch(seed=brighter)], optimizers)


def test_parameters_that_no_process_reached_keep_no_gradient() -> None:
    """Averaging must not turn "no gradient" into zeros: weight decay and momentum would move them."""

    def script(method: Scripted, batch: Batch) -> Iterator[Update]:
        yield Update("net", {"a": method.weight.sum()})

    method = Scripted(script)
    idle = nn.Parameter(torch.ones(1))
    method.networks = lambda: {"net": [method.weight, idle]}  # type: ignore[method-assign]
    optimizer = torch.optim.SGD([method.weight, idle], lr=1.0, weight_decay=0.5)

    method.weight.sum().backward()
    _average_gradients([method.weight, idle])
    optimizer.step()
    assert idle.item() == 1.0
    assert method.weight[0].item() == pytest.approx(-0.5)
