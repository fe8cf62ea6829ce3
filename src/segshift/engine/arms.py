"""The arms of a comparison before they run: what each would have behind it, and whether that is fair."""

from dataclasses import dataclass

from segshift.engine.fairness import IMAGES, LABELS, STEPS, Difference, differences
from segshift.engine.lineage import Leg, leg_of
from segshift.engine.plan import Plan, check_start
from segshift.engine.recipe import Recipe
from segshift.engine.stages import refers
from segshift.errors import InputError


@dataclass(frozen=True)
class PlannedArm:
    """An arm before it runs, as the rule of fairness sees runs; the start's name is a start's identity."""

    name: str
    final: Recipe
    legs: tuple[Leg, ...]
    uses_target_labels: bool

    @property
    def data(self) -> dict[str, str]:
        """Its data sets in words, by stream."""
        streams = {"source": self.final.source, "target": self.final.target}
        return {name: f"{stream.dataset} {stream.split}" for name, stream in streams.items()}


def planned_arm(name: str, plan: Plan, before: PlannedArm | None) -> PlannedArm:
    """The arm of a plan; `before` is what it goes on from, None for the common start.

    All trainings of a segmenter count, also of one that only labels images for the last.

    Raises:
        InputError: no segmenter is trained, or one that cannot go on from the model of `before`.
    """
    trained = [job.recipe for job in plan.jobs if job.trains_segmenter]
    if not trained:
        raise InputError(f"arm {name}: trains no segmenter, so there is nothing to compare")
    if before is not None:
        check_start(before.final, trained[0], f"arm {name}")
    starts = [None if before is None else before.name, *(f"{name}, {i}" for i in range(1, len(trained)))]
    legs = [leg_of(recipe, start) for recipe, start in zip(trained, starts, strict=True)]
    # What an earlier stage of its own has made of the data is the method's.
    given = {stream: getattr(plan.recipe, stream) for stream in ("source", "target")}
    made = {stream for stream in given if refers(getattr(trained[-1], stream).model_dump())}
    final = trained[-1].model_copy(update={stream: given[stream] for stream in made})
    uses = any(job.recipe.uses_target_labels for job in plan.jobs)
    if before is None:
        return PlannedArm(name, final, (*reversed(legs),), uses)
    return PlannedArm(name, final, (*reversed(legs), *before.legs), uses or before.uses_target_labels)


def check_arm(arm: PlannedArm, control: PlannedArm) -> None:
    """Raises InputError for an arm whose gain would not be the method's.

    What it adds to the network or sees of the target's labels may be its point; its row says so.
    """
    refused = [
        one for one in differences(arm, control) if one.key != LABELS and one.key.partition(".")[0] != "model"
    ]
    if refused:
        raise InputError("; ".join(map(_refusal, refused)))


def _refusal(difference: Difference) -> str:
    key, own, others = difference.key, difference.own, difference.others
    if key == STEPS:
        return f"{own} after the start, the control has {others}; give all arms the same {key}"
    if key == IMAGES:
        return f"{key} = {own}, the control has {others}; a fair comparison needs equal ones"
    section = key.partition(".")[0]
    return f"`{section}` differs from the control's ({difference.words}); a fair comparison needs equal ones"
