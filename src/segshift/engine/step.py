"""One training step: walk the method's generators and do what is mechanical between two yields."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from segshift.config import did_you_mean
from segshift.errors import NonFiniteLossError, NonFiniteStateError
from segshift.gradients import add_gradients
from segshift.methods.base import Batch, Method, Update
from segshift.methods.roles import Role, roles_of
from segshift.shared_batch import mean_over_processes, processes, sharing


class ContractError(RuntimeError):
    """A method broke the engine's contract: a bug in the method, not in the user's input."""


@dataclass(frozen=True)
class StepSettings:
    """What the step needs beside the method and its optimizers.

    Attributes:
        clip_norm: largest Euclidean norm of each network's gradient; None does not clip.
        autocast: makes the context in which the generators run (bf16 autocast, or nothing).
    """

    clip_norm: float | None = None
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext


@dataclass
class StepLog:
    """What one step did.

    Attributes:
        losses: "nets/name" to the mean of that loss over the micro-batches, detached.
        observed: the same for what is logged and not minimised.
        schedule: the updates in order, as "segmenter*" (accumulated only) or "segmenter" (stepped).
        roles: what each network is for, by its name.
    """

    losses: dict[str, Tensor] = field(default_factory=dict)
    observed: dict[str, Tensor] = field(default_factory=dict)
    schedule: list[str] = field(default_factory=list)
    roles: dict[str, Role] = field(default_factory=dict)

    def values(self) -> dict[str, float]:
        """The losses as floats; on an accelerator this waits for the device."""
        return {name: float(loss) for name, loss in self.losses.items()}

    def observations(self) -> dict[str, float]:
        """The observed values as floats, likewise."""
        return {name: float(value) for name, value in self.observed.items()}


def train_step(
    method: Method,
    micro_batches: Sequence[Batch],
    optimizers: Mapping[str, Optimizer],
    settings: StepSettings | None = None,
) -> StepLog:
    """Run one optimizer step of `method` on one or more micro-batches.

    The micro-batches walk the method's schedule side by side: every update is accumulated over all of them
    before its optimizers move, so accumulation is right for every method, adversarial games included. The
    graph of one micro-batch's update is freed by its backward before the next micro-batch's is built.

    Args:
        method: whose `step` yields the updates.
        micro_batches: at least one; losses are averaged over them with equal weights.
        optimizers: one per name in `method.networks()`.
        settings: clipping, autocast.

    Returns:
        The step's losses and schedule.

    Raises:
        NonFiniteLossError: before anything moves in that update.
        ContractError: the micro-batches' schedules differ, an unknown network, an update without a loss, a
            loss that is no scalar, or gradients that were accumulated and never stepped.
    """
    with sharing():
        return _step(method, micro_batches, optimizers, settings or StepSettings())


def _step(
    method: Method,
    micro_batches: Sequence[Batch],
    optimizers: Mapping[str, Optimizer],
    settings: StepSettings,
) -> StepLog:
    networks = method.networks()
    log = StepLog(roles=roles_of(networks))
    accumulated: set[str] = set()
    stepped: set[str] = set()
    for optimizer in optimizers.values():
        optimizer.zero_grad(set_to_none=True)
    walks = [method.step(batch) for batch in micro_batches]
    while True:
        turn: Update | None = None
        for walk, batch in zip(walks, micro_batches, strict=True):
            with settings.autocast():
                update = next(walk, None)
            if walk is not walks[0] and not _same_turn(turn, update):
                raise ContractError(
                    f"step {batch.step}: the micro-batches' schedules differ ({turn} and {update}); "
                    "what is yielded must not depend on the data, so yield a zero loss instead"
                )
            turn = update
            if update is not None:
                # Not when it moved: to give the memory back and take it again for the next network costs
                # time on a CPU.
                for name in stepped.intersection(update.names):
                    optimizers[name].zero_grad(set_to_none=True)
                    stepped.discard(name)
                _accumulate(update, networks, batch.step, len(walks), log)
        if turn is None:
            break
        log.schedule.append("+".join(turn.names) + ("" if turn.step else "*"))
        accumulated.update(turn.names)
        if turn.step:
            for name in turn.names:
                _move(name, networks[name], optimizers[name], settings, micro_batches[0].step)
            accumulated.difference_update(turn.names)
            stepped.update(turn.names)
    if accumulated:
        raise ContractError(
            f"gradients of {', '.join(sorted(accumulated))} were accumulated but never stepped; "
            "end with an update whose step is True"
        )
    return log


def _same_turn(first: Update | None, other: Update | None) -> bool:
    if first is None or other is None:
        return first is other
    return first.names == other.names and first.step == other.step


def _accumulate(
    update: Update, networks: Mapping[str, list[nn.Parameter]], step: int, micro_batches: int, log: StepLog
) -> None:
    """Check the update's losses, log them, and add their gradients to the parameters of its networks."""
    for name in update.names:
        if name not in networks:
            raise ContractError(f"update of an unknown network {name!r}{did_you_mean(name, list(networks))}")
    if not update.losses:
        raise ContractError(f"the update of {'+'.join(update.names)} has no loss; yield a zero loss instead")
    for name, value in [*update.losses.items(), *update.observed.items()]:
        if value.ndim != 0:
            what = "loss" if name in update.losses else "observed value"
            raise ContractError(f"the {what} {name!r} is no scalar: its shape is {tuple(value.shape)}")
    total = torch.stack([loss.float() for loss in update.losses.values()]).sum()
    # Of all processes, so that all of them stop where one has a sick loss.
    values = [*update.losses.values(), *update.observed.values()]
    means = mean_over_processes(torch.stack([value.detach().float() for value in values]))
    losses = dict(zip(update.losses, means, strict=False))
    observed = dict(zip(update.observed, means[len(losses) :], strict=True))
    if not torch.isfinite(means[: len(losses)].sum()):
        raise NonFiniteLossError(step, update.names, {name: float(value) for name, value in losses.items()})
    prefix = "+".join(update.names)
    for logged, ours in ((log.losses, losses), (log.observed, observed)):
        for name, value in ours.items():
            key = f"{prefix}/{name}"
            share = value / micro_batches
            logged[key] = logged[key] + share if key in logged else share
    if total.requires_grad:
        inputs = [parameter for name in update.names for parameter in networks[name]]
        add_gradients(total / micro_batches, inputs)


def _move(
    name: str, parameters: list[nn.Parameter], optimizer: Optimizer, settings: StepSettings, step: int
) -> None:
    """Average over processes, clip and step."""
    if processes() > 1:
        _average_gradients(parameters)
    if settings.clip_norm is not None:
        nn.utils.clip_grad_norm_(parameters, settings.clip_norm)
    try:
        optimizer.step()
    except RuntimeError as error:
        if "overflow" not in str(error):
            raise
        # What torch says of a learning rate beyond all numbers.
        raise NonFiniteStateError(step, f"the step of {name} is too large for its weights") from None


def _average_gradients(parameters: list[nn.Parameter]) -> None:
    """Replace gradients by their mean over processes, with one reduction of one flat tensor.

    Which parameters have a gradient at all is part of that tensor: one that none of the processes reached
    keeps None, so that its optimizer skips it (momentum, weight decay) as it does in a single process.
    """
    present = torch.tensor([float(p.grad is not None) for p in parameters], device=parameters[0].device)
    pieces = [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters]
    flat = mean_over_processes(torch.cat([present, *pieces]))
    reached, offset = flat[: len(parameters)].tolist(), len(parameters)
    for parameter, share in zip(parameters, reached, strict=True):
        if share > 0:
            gradient = flat[offset : offset + parameter.numel()].view_as(parameter)
            parameter.grad = gradient.to(parameter.dtype).clone()
        offset += parameter.numel()
