"""The curves of runs from their metrics.jsonl: losses, discriminators beside chance, label-free scores."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from segshift.methods.roles import logged_roles, role_of_loss

Record = Mapping[str, Any]
Curves = dict[str, list[tuple[int, float]]]

_CHANCE = ((0.5 * math.log(2), "0.5 log 2"), (math.log(2), "log 2"))
_CHANCE_OF_FOUR = (math.log(4), "log 4")
# A network's first loss lies this near its chance level, where it has one of these.
_STARTS_WITHIN = 0.1
MIOU = "mIoU (target labels, for information)"


def curves(records: Sequence[Record], key: str) -> Curves:
    """(step, value) of everything that the lines of a log hold under `key`, by name; null is left out."""
    found: Curves = {}
    for record in records:
        for name, value in (record.get(key) or {}).items():
            if value is not None:
                found.setdefault(name, []).append((int(record["step"]), float(value)))
    return found


def loss_curves(records: Sequence[Record]) -> tuple[Curves, Curves]:
    """The losses of the networks that learn a task of their own, and of the adversaries that judge them."""
    losses, roles = curves(records, "losses"), logged_roles(records)
    against = {key: line for key, line in losses.items() if role_of_loss(key, roles) == "adversary"}
    return {key: line for key, line in losses.items() if key not in against}, against


def logged_scores(records: Sequence[Record]) -> Curves:
    """The label-free scores as they were logged, and the true mIoU."""
    return curves(records, "unsupervised") | _target_miou(records)


def share_divisor(values: Sequence[float]) -> float:
    """What a score that is no share is divided by to stand beside shares: its largest value; else 1."""
    return max([1.0, *(value for value in values if math.isfinite(value))])


def _target_miou(records: Sequence[Record]) -> Curves:
    line = [
        (int(record["step"]), float(record["evaluation"]["miou"]))
        for record in records
        if record.get("evaluation") and record["evaluation"].get("miou") is not None
    ]
    return {MIOU: line} if line else {}


def chance_levels(first: Mapping[str, float]) -> list[tuple[float, str]]:
    """The losses of discriminators that cannot tell the domains apart, and their names, where they apply.

    Args:
        first: by the loss's name its first value; a level belongs to networks that start near it.
    """
    if any(name.endswith(("_real", "_fake")) for name in first):
        return [_CHANCE_OF_FOUR]
    return [
        (level, name)
        for level, name in _CHANCE
        if any(abs(value / level - 1) < _STARTS_WITHIN for value in first.values())
    ]
