"""Why a gain over the reference may be none of the method's: what differs beside it, in words.

A gain counts only against a control with the same start, the same steps and the same number of source images
per step. Steps count from the start that both runs have in common, whatever runs lie between: a method that
goes on from the reference's own model has trained longer than the reference.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from segshift.engine.fingerprint import start_content
from segshift.engine.recipe import Recipe
from segshift.files import expanded
from segshift.plain import counted
from segshift.report.runs import Run, recipe_of_model

# Where a network starts and at which size it sees images are told elsewhere; the auxiliary head is part of a
# method, as it has no say in the network's answer.
_NO_ARCHITECTURE = {"weights", "input_size", "auxiliary_head"}
# The chain of starts ends here at the latest, also where files were moved in a circle.
_MOST_LEGS = 50


@dataclass(frozen=True)
class _Leg:
    """One training on the way to a model.

    Attributes:
        steps: optimizer steps.
        images: labelled source images per step.
        start: what it started from: equal starts are equal strings.
        start_words: the same for people.
    """

    steps: int
    images: int
    start: str
    start_words: str


def unfair(run: Run, reference: Run, *, same_size: bool = False) -> tuple[str, ...]:
    """What else differs between a run and the reference, a clause each; empty for a fair comparison.

    Args:
        run: the run that claims a gain.
        reference: what the gain is over.
        same_size: both see images at one size that the report's reader has chosen.
    """
    return (
        *_training(run, reference),
        *_network(run, reference),
        *_labels(run, reference),
        *_data(run, reference),
        *_judged(run, reference, same_size),
    )


def steps_since_common_start(run: Run, reference: Run) -> int:
    """Optimizer steps of a run since the start that it has in common with the reference, if there is one."""
    _, own, _ = _since_common_start(run, reference)
    return sum(leg.steps for leg in own)


def _since_common_start(run: Run, reference: Run) -> tuple[bool, list[_Leg], list[_Leg]]:
    """Whether there is a common start, and the trainings of both since then; without one, their last."""
    mine, theirs = _legs(run.final), _legs(reference.final)
    starts = [leg.start for leg in mine]
    common = next((index for index, leg in enumerate(theirs) if leg.start in starts), None)
    if common is None:
        return False, mine[:1], theirs[:1]
    return True, mine[: starts.index(theirs[common].start) + 1], theirs[: common + 1]


def _training(run: Run, reference: Run) -> Iterator[str]:
    common, own, other = _since_common_start(run, reference)
    if not common:
        yield f"starts from {own[0].start_words}, {reference.name} from {other[0].start_words}"
    since = " since their common start" if common and len(own) + len(other) > 2 else ""
    steps, others = (sum(leg.steps for leg in legs) for legs in (own, other))
    if steps != others:
        yield f"{counted(steps, 'step')}{since}, {reference.name} {others}"
    # A leg without steps (AdaBN) sees no source labels.
    images, usual = ({leg.images for leg in legs if leg.steps} for legs in (own, other))
    if images and usual and images != usual:
        yield f"{_counts(images)} source images per step, {reference.name} {_counts(usual)}"


def _counts(images: set[int]) -> str:
    return " and ".join(map(str, sorted(images)))


def _legs(recipe: Recipe) -> list[_Leg]:
    """The trainings behind a model, the last first, as far back as their folders still lie there."""
    legs: list[_Leg] = []
    current: Recipe | None = recipe
    while current is not None and len(legs) < _MOST_LEGS:
        start = current.init_from
        if start is None:
            words = f"{current.model.title()} with weights: {current.model.weights}"
            identity = words
        else:
            words, identity = start, start_content(expanded(start))
        legs.append(_Leg(current.training.steps, current.source_images_per_step, identity, words))
        current = None if start is None else recipe_of_model(start)
    return legs


def _network(run: Run, reference: Run) -> Iterator[str]:
    mine, theirs = (
        one.final.model.model_dump(mode="json", exclude=_NO_ARCHITECTURE) for one in (run, reference)
    )
    for key in mine:
        if mine[key] != theirs[key]:
            yield f"model.{key} is {_value(mine[key])}, {reference.name} has {_value(theirs[key])}"


def _labels(run: Run, reference: Run) -> Iterator[str]:
    mine, theirs = run.uses_target_labels, reference.uses_target_labels
    if mine and not theirs:
        yield f"used labels of the target, {reference.name} did not"
    elif theirs and not mine:
        yield f"{reference.name} used labels of the target"
    elif mine is None or theirs is None:
        yield "nobody knows whether labels of the target were used"


def _data(run: Run, reference: Run) -> Iterator[str]:
    for stream in ("source", "target"):
        mine, theirs = (getattr(one.final, stream) for one in (run, reference))
        # A control needs no target, and none that it has changes it.
        if stream == "target" and (mine.dataset is None or theirs.dataset is None):
            continue
        for key in ("dataset", "split", "also", "subset"):
            if getattr(mine, key) != getattr(theirs, key):
                seen = [one.data.get(stream, "unknown") for one in (run, reference)]
                yield f"another {stream}: {seen[0]}, {reference.name} {seen[1]}"
                break


def _judged(run: Run, reference: Run, same_size: bool) -> Iterator[str]:
    mine, theirs = (_judging(one, same_size) for one in (run, reference))
    for key in mine:
        if mine[key] != theirs[key]:
            yield f"judged with {key}: {_value(mine[key])}, {reference.name} with {_value(theirs[key])}"


def _judging(run: Run, same_size: bool) -> dict[str, Any]:
    return run.final.inference.model_dump(exclude={"input_size"} if same_size else None)


def _value(value: Any) -> str:
    if isinstance(value, tuple | list):
        # Sizes are whole numbers, scales are not.
        size = len(value) == 2 and all(isinstance(part, int) for part in value)
        return ("x" if size else ", ").join(map(str, value))
    return "none" if value is None else str(value)
