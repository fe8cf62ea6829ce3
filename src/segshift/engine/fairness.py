"""Why a gain over a reference may be none of the method's: what differs beside it, by key and in words.

A gain counts only against a control with the same start, the same steps and the same number of source images
per step. Steps count from the start that both runs have in common, whatever runs lie between: a method that
goes on from the reference's own model has trained longer than the reference.

The one rule is asked before a comparison trains, which then refuses, and of finished runs, whose gain is then
called what it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from segshift.engine.lineage import Leg
from segshift.engine.recipe import Recipe
from segshift.plain import counted

STEPS, IMAGES, LABELS = "training.steps", "training.batch_size", "target labels"
# Where a network starts and at which size it sees images are told elsewhere; the auxiliary head is part of a
# method, as it has no say in the network's answer.
_NO_ARCHITECTURE = {"weights", "input_size", "input_fit", "auxiliary_head"}
_WHICH_IMAGES = ("dataset", "split", "also", "subset")


class Trained(Protocol):
    """What is asked of a run, finished or planned.

    Attributes:
        name: what messages call it.
        final: the recipe of its last training.
        legs: the trainings behind its model, the last first.
        uses_target_labels: None where nobody knows.
        data: which data sets it sees, in words by stream; may lack some.
    """

    @property
    def name(self) -> str: ...
    @property
    def final(self) -> Recipe: ...
    @property
    def legs(self) -> Sequence[Leg]: ...
    @property
    def uses_target_labels(self) -> bool | None: ...
    @property
    def data(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Difference:
    """One way in which two runs differ beside the method.

    Attributes:
        key: of the recipe, such as `training.steps` or `source.dataset`; or "start", or `LABELS`.
        words: a clause about the run that names the reference.
        own: the run's value, in words.
        others: the reference's.
    """

    key: str
    words: str
    own: str = ""
    others: str = ""


def differences(run: Trained, reference: Trained) -> tuple[Difference, ...]:
    """What differs between a run that claims a gain and the reference; nothing for a fair comparison."""
    return (
        *_training(run, reference),
        *_network(run, reference),
        *_labels(run, reference),
        *_data(run, reference),
        *_judged(run, reference),
    )


def steps_since_common_start(run: Trained, reference: Trained) -> int:
    """Optimizer steps of a run since the start that it has in common with the reference, if there is one."""
    _, own, _ = _since_common_start(run, reference)
    return sum(leg.steps for leg in own)


def _since_common_start(run: Trained, reference: Trained) -> tuple[bool, Sequence[Leg], Sequence[Leg]]:
    """Whether there is a common start, and the trainings of both since then; without one, their last."""
    mine, theirs = run.legs, reference.legs
    starts = [leg.start for leg in mine]
    common = next((index for index, leg in enumerate(theirs) if leg.start in starts), None)
    if common is None:
        return False, mine[:1], theirs[:1]
    return True, mine[: starts.index(theirs[common].start) + 1], theirs[: common + 1]


def _training(run: Trained, reference: Trained) -> Iterator[Difference]:
    common, own, other = _since_common_start(run, reference)
    if not common:
        words = f"starts from {own[0].start_words}, {reference.name} from {other[0].start_words}"
        yield Difference("start", words, own[0].start_words, other[0].start_words)
    since = " since their common start" if common and len(own) + len(other) > 2 else ""
    steps, others = (sum(leg.steps for leg in legs) for legs in (own, other))
    if steps != others:
        words = f"{counted(steps, 'step')}{since}, {reference.name} {others}"
        yield Difference(STEPS, words, counted(steps, "step"), str(others))
    # A leg without steps (AdaBN) sees no source labels.
    images, usual = ({leg.images for leg in legs if leg.steps} for legs in (own, other))
    if images and usual and images != usual:
        seen, there = (" and ".join(map(str, sorted(each))) for each in (images, usual))
        yield Difference(IMAGES, f"{seen} source images per step, {reference.name} {there}", seen, there)


def _network(run: Trained, reference: Trained) -> Iterator[Difference]:
    mine, theirs = (
        one.final.model.model_dump(mode="json", exclude=_NO_ARCHITECTURE) for one in (run, reference)
    )
    for key in mine:
        if mine[key] != theirs[key]:
            own, others = _value(mine[key]), _value(theirs[key])
            words = f"model.{key} is {own}, {reference.name} has {others}"
            yield Difference(f"model.{key}", words, own, others)


def _labels(run: Trained, reference: Trained) -> Iterator[Difference]:
    mine, theirs = run.uses_target_labels, reference.uses_target_labels
    if mine and not theirs:
        yield Difference(LABELS, f"used labels of the target, {reference.name} did not")
    elif theirs and not mine:
        yield Difference(LABELS, f"{reference.name} used labels of the target")
    elif mine is None or theirs is None:
        yield Difference(LABELS, "nobody knows whether labels of the target were used")


def _data(run: Trained, reference: Trained) -> Iterator[Difference]:
    if run.final.classes != reference.final.classes:
        yield Difference("classes", f"other classes than {reference.name}'s")
    for stream in ("source", "target"):
        mine, theirs = (getattr(one.final, stream) for one in (run, reference))
        # A control needs no target, and none that it has changes it.
        if stream == "target" and (mine.dataset is None or theirs.dataset is None):
            continue
        differing = [key for key in type(mine).model_fields if getattr(mine, key) != getattr(theirs, key)]
        if which := [key for key in differing if key in _WHICH_IMAGES]:
            own, others = (one.data.get(stream, "unknown") for one in (run, reference))
            words = f"another {stream}: {own}, {reference.name} {others}"
            yield Difference(f"{stream}.{which[0]}", words, own, others)
        for key in differing:
            if key not in _WHICH_IMAGES:
                yield Difference(f"{stream}.{key}", f"another {stream}.{key} than {reference.name}'s")


def _judged(run: Trained, reference: Trained) -> Iterator[Difference]:
    mine, theirs = (
        {**one.final.evaluation.model_dump(), **one.final.inference.model_dump()} for one in (run, reference)
    )
    for key in mine:
        if mine[key] != theirs[key]:
            own, others = _value(mine[key]), _value(theirs[key])
            words = f"judged with {key}: {own}, {reference.name} with {others}"
            yield Difference(f"evaluation.{key}", words, own, others)


def _value(value: Any) -> str:
    if isinstance(value, tuple | list):
        # Sizes are whole numbers, scales are not.
        size = len(value) == 2 and all(isinstance(part, int) for part in value)
        return ("x" if size else ", ").join(map(str, value))
    return "none" if value is None else str(value)
