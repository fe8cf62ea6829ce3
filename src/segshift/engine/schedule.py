"""Learning rates as pure functions of the step, so that a resumed run needs to remember nothing."""

from typing import Literal, Self

from pydantic import Field, model_validator

from segshift.config import Strict
from segshift.ranges import Count, Steps


def poly(base: float, step: int, max_steps: int, power: float = 0.9) -> float:
    r"""Polynomial decay :math:`\mathrm{base} \cdot (1 - \mathrm{step} / \mathrm{max\_steps})^{power}`.

    Args:
        base: learning rate at step 0.
        step: from 0; past `max_steps` the rate stays 0.
        max_steps: step at which the rate reaches 0. The public codes set it beyond the run's end
            (250 000 for 120 000 or 150 000 steps), so their rate never gets there.
        power: 0.9 in all five papers' lineage.

    Raises:
        ValueError: negative step or max_steps below 1.

    Example:
        >>> poly(2.5e-4, 150_000, 250_000)  # where AdaptSegNet's code stops: not 0
        0.00010959582263852174
    """
    if step < 0 or max_steps < 1:
        raise ValueError(f"poly: step = {step} must be at least 0 and max_steps = {max_steps} at least 1")
    return float(base * max(0.0, 1.0 - step / max_steps) ** power)


class ScheduleConfig(Strict):
    """How one optimizer's learning rate runs.

    Attributes:
        kind: poly decays to 0 at `max_steps`; linear does with power 1 (DAFormer, with
            warm-up); step multiplies by `step_factor` after every `step_every` steps (LSD's public code: 0.1
            every 23800 steps, its eight epochs); constant does not decay.
        power: exponent of poly.
        max_steps: where poly and linear end; None is the run's own length.
        constant_share: share of `max_steps` before their decay begins. CycleGAN: 0.5, with power 1.
        step_every: steps between two falls of kind step.
        step_factor: of each fall.
        warmup_steps: length of a linear warm-up.
        warmup: factor: (step + 1) / warmup_steps on the kind's rate, which runs meanwhile, so that no step is
            lost; ramp: lr * step / warmup_steps in its place, whose first step does nothing, as in CLAN's
            public code.
    """

    kind: Literal["poly", "linear", "step", "constant"] = "poly"
    power: float = Field(0.9, gt=0, le=100)
    max_steps: Count | None = None
    constant_share: float = Field(0.0, ge=0, lt=1)
    step_every: Count | None = None
    step_factor: float = Field(0.1, gt=0, le=1)
    warmup_steps: Steps = 0
    warmup: Literal["factor", "ramp"] = "factor"

    @model_validator(mode="after")
    def _steps_of_a_length(self) -> Self:
        if self.kind == "step" and self.step_every is None:
            raise ValueError("kind: step needs step_every, in steps")
        return self

    def at(self, base: float, step: int, run_steps: int) -> float:
        """Learning rate of `step` (from 0) in a run of `run_steps` steps."""
        if step >= self.warmup_steps:
            return self._decayed(base, step, run_steps)
        if self.warmup == "ramp":
            return base * step / self.warmup_steps
        return self._decayed(base, step, run_steps) * ((step + 1) / self.warmup_steps)

    def _decayed(self, base: float, step: int, run_steps: int) -> float:
        if self.kind == "step" and self.step_every is not None:
            return float(base * self.step_factor ** (step // self.step_every))
        end = self.max_steps or run_steps
        begin = int(self.constant_share * end)
        constant = self.kind == "constant" or step < begin
        power = 1.0 if self.kind == "linear" else self.power
        return base if constant else poly(base, step - begin, end - begin, power)
