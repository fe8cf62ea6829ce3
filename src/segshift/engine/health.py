"""The well-known sick curves, seen in the lines of metrics.jsonl, and what to try against each."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segshift.documents import parse_json, read_json
from segshift.errors import InputError
from segshift.label_free_scores import LARGEST_CLASS_SHARE
from segshift.methods.roles import Role, logged_roles, role_of_loss
from segshift.methods.term import ACCEPTED_SHARE

Record = Mapping[str, Any]

WINDOW = 128
"""How many of the newest lines `advise` needs to see."""

# Shorter than this nothing is called pinned: at their start all discriminators are at chance.
_LEAST_LINES, _LEAST_STEPS = 8, 100
# Of the chance level. Discriminators that work stray by 6 % and more, weak ones by 2 % (docs/health.md).
_PINNED_WITHIN = 0.01
# Cross-entropies of a discriminator that cannot tell: of two domains halved and whole, of LSD's four.
_CHANCE = {"0.5 · log 2": 0.5 * math.log(2), "log 2": math.log(2), "log 4": math.log(4)}
# Discriminators that work stay above 0.04, also those of least squares.
_WON_BELOW = 0.01
_EXPLODES_BY, _EXPLODES_FROM, _EXPLODING_LINES = 10.0, 1.0, 3
_COLLAPSED_FROM = 0.95


@dataclass(frozen=True)
class Advice:
    """One sick curve.

    Attributes:
        symptom: its name, with the network it is about: "discriminator at chance: advent".
        seen: what is seen.
        remedy: what to try.
    """

    symptom: str
    seen: str
    remedy: str

    @property
    def line(self) -> str:
        """One line for people."""
        return f"{self.seen}; {self.remedy}"

    def to_dict(self) -> dict[str, str]:
        """For metrics.jsonl and --json."""
        return {"symptom": self.symptom, "seen": self.seen, "remedy": self.remedy}


def advise(records: Iterable[Record]) -> list[Advice]:
    """The sick curves in the newest lines of a run; none for a healthy run.

    Pinned means: for the last 8 lines and 100 steps at least, every line within 1 % of the level.

    Args:
        records: lines of metrics.jsonl in order; the last `WINDOW` are enough.

    Returns:
        At most one advice per symptom.
    """
    newest = list(records)[-WINDOW:]
    logged = [record for record in newest if record.get("losses")]
    found = _not_finite(newest)
    if not found:
        found = _exploding(logged)
    found += _unlabelled(newest)
    pinned = _pinned_window(logged)
    if pinned:
        found += _discriminators(pinned)
        found += _generator(pinned)
        found += _no_pseudo_labels(pinned)
    return found + _collapse(newest)


def replay(records: Sequence[Record]) -> list[tuple[int, Advice]]:
    """What training would have said, with the step after which: each symptom at its first appearance."""
    found: dict[str, tuple[int, Advice]] = {}
    for last, record in enumerate(records):
        if record.keys() & {"losses", "unsupervised", "error", "source_labels"}:
            for advice in advise(records[max(0, last + 1 - WINDOW) : last + 1]):
                found.setdefault(advice.symptom, (int(record["step"]), advice))
    return list(found.values())


def pseudo_label_advice(summary: Mapping[str, Any]) -> list[Advice]:
    """The same for the pseudo_labels.json of a pseudo_label stage: no labels, or those of one class.

    Args:
        summary: `kept_share`, and `classes` by name with `predicted_pixels` and `kept_share`.
    """
    kept = {
        name: row["predicted_pixels"] * (row["kept_share"] or 0.0) for name, row in summary["classes"].items()
    }
    total = sum(kept.values())
    if total <= 0:
        remedy = "lower the rule's threshold or raise its portion, or train the labelling network longer"
        return [Advice("no pseudo labels", "not one pixel was confident enough for a pseudo label", remedy)]
    name = max(kept, key=lambda key: kept[key])
    if kept[name] / total < _COLLAPSED_FROM:
        return []
    seen = f"{100 * kept[name] / total:.0f} % of the pseudo labels are {name}"
    remedy = "use rule: class_balanced, or a network that has not collapsed"
    return [Advice("pseudo labels of one class", seen, remedy)]


def read_summary(path: Path) -> Mapping[str, Any]:
    """A pseudo_labels.json. Raises InputError if it is none."""
    try:
        summary: Mapping[str, Any] = read_json(path)
        for row in summary["classes"].values():
            row["predicted_pixels"], row["kept_share"]
    except (InputError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path}: is no summary of pseudo labels; make them again") from None
    return summary


def read_records(path: Path) -> list[Record]:
    """The lines of a metrics.jsonl; the unfinished last line of a killed run is left out.

    Raises:
        InputError: no such file, or lines that are none of a run.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the folder of a run that has trained")
    records: list[Record] = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        try:
            record = parse_json(line, where)
        except InputError:
            if number == len(lines):
                break  # of a killed run
            raise InputError(f"{where}: is damaged; take this line out to go on") from None
        if not _is_record(record):
            raise InputError(f"{where}: has no `step`, or a part of another type; take it out to go on")
        records.append(record)
    return records


def _is_record(record: Any) -> bool:
    """Whether everything that is read of a line has the type that a run writes."""
    if not isinstance(record, dict) or type(record.get("step")) is not int:
        return False
    if not 0 <= record["step"] < 2**63:
        return False
    groups = [record.get(key) or {} for key in ("losses", "observed", "unsupervised", "lr")]
    for group in groups:
        if not isinstance(group, dict) or not all(_number_or_null(value) for value in group.values()):
            return False
    for key, part in (("advice", "symptom"), ("source_labels", "line")):
        if key in record and not (isinstance(record[key], dict) and isinstance(record[key].get(part), str)):
            return False
    evaluation = record.get("evaluation")
    if evaluation is None:
        return True
    if not isinstance(evaluation, dict) or not _number_or_null(evaluation.get("miou", "")):
        return False
    iou = evaluation.get("iou") or {}
    return isinstance(iou, dict) and all(map(_number_or_null, iou.values()))


def _number_or_null(value: Any) -> bool:
    # JSON's integers have no end, and those beyond 64 bits are no float's.
    return value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63)


def final_adversary_loss(records: Sequence[Record]) -> float | None:
    """The sum of all adversaries' losses at a run's end, the mean over the last tenth of its log.

    CLAN's measure of how stably an adversarial game converges (section 4.4). None where nobody plays against.
    """
    logged = [record["losses"] for record in records if record.get("losses")]
    roles = logged_roles(records)
    newest = logged[-max(1, len(logged) // 10) :]
    sums = [
        [value for key, value in losses.items() if role_of_loss(key, roles) == "adversary" and _finite(value)]
        for losses in newest
    ]
    return statistics.fmean(map(sum, sums)) if any(sums) else None


def _not_finite(newest: Sequence[Record]) -> list[Advice]:
    """JSON has no NaN, so that a loss which is not finite is null there."""
    for record in newest:
        bad = [name for name, value in (record.get("losses") or {}).items() if not _finite(value)]
        if bad or "error" in record:
            # A run's own words on what it stopped at, or what its line shows.
            seen = f"step {record['step']}: {bad[0]} is not finite" if bad else str(record["error"])
            remedy = (
                "go on from the last checkpoint with a lower learning rate, training.clip_norm: 1.0 or fp32"
            )
            return [Advice("not finite", seen, remedy)]
    return []


def _unlabelled(newest: Sequence[Record]) -> list[Advice]:
    """What a run found in the source's labels when it began, or a supervised loss that has nothing to say."""
    for record in newest:
        if "source_labels" in record:
            return [Advice("labels", record["source_labels"]["line"], "a run learns only what is labelled")]
    pinned = _pinned_window([record for record in newest if record.get("losses")])
    names = [name for name in (pinned[-1]["losses"] if pinned else ()) if name.endswith("/supervised")]
    if names and all(record["losses"].get(name) == 0 for record in pinned for name in names):
        return [
            Advice(
                "labels",
                f"{names[0]} stays 0: not one pixel of the source has a class",
                "mend `labels` in its YAML",
            )
        ]
    return []


def _exploding(logged: Sequence[Record]) -> list[Advice]:
    found = []
    for name in logged[-1]["losses"] if len(logged) >= _LEAST_LINES else []:
        values = [record["losses"][name] for record in logged if name in record["losses"]]
        before, now = values[:-_EXPLODING_LINES], values[-_EXPLODING_LINES:]
        if len(values) < _LEAST_LINES:
            continue
        usual = statistics.median(before)
        if min(now) > max(_EXPLODES_FROM, _EXPLODES_BY * usual):
            seen = f"{name} explodes: {now[-1]:.3g} after {usual:.3g}, NaN comes soon"
            remedy = "stop, and lower the learning rate or set training.clip_norm: 1.0"
            found.append(Advice(f"exploding: {name}", seen, remedy))
    return found


def _pinned_window(logged: Sequence[Record]) -> list[Record]:
    """The newest lines that span enough; empty while there are too few."""
    if len(logged) < _LEAST_LINES:
        return []
    last = logged[-1]["step"]
    for first in range(len(logged) - _LEAST_LINES, -1, -1):
        if last - logged[first]["step"] >= _LEAST_STEPS:
            return list(logged[first:])
    return []


def _discriminators(pinned: Sequence[Record]) -> list[Advice]:
    found = []
    for network in _trained(pinned, "adversary"):
        values = [_domain_losses(record["losses"], network) for record in pinned]
        if not all(line and all(map(_finite, line)) for line in values):
            continue
        for level, chance in _CHANCE.items():
            if all(_near(value, chance) for line in values for value in line):
                seen = f"{network} is pinned at {level} = {chance:.3f}: it cannot tell the domains apart"
                remedy = "raise its learning rate, or check what it is shown; it teaches nothing now"
                found.append(Advice(f"discriminator at chance: {network}", seen, remedy))
        if all(statistics.median(column) < _WON_BELOW for column in zip(*values, strict=True)):
            seen = f"{network} has won, its losses are below {_WON_BELOW}: its gradient means little"
            remedy = "lower its learning rate, start from a better source network or raise the term's weight"
            found.append(Advice(f"discriminator at zero: {network}", seen, remedy))
    return found


def _trained(pinned: Sequence[Record], role: Role) -> list[str]:
    """What stands before the slash in the newest losses of a role."""
    roles = logged_roles(pinned)
    networks = dict.fromkeys(key.partition("/")[0] for key in pinned[-1]["losses"])
    return [network for network in networks if role_of_loss(network, roles) == role]


def _domain_losses(losses: Mapping[str, Any], network: str) -> list[Any]:
    """A discriminator's losses on the domains. LSD's `labels` is no question about domains."""
    own = {name.partition("/")[2]: value for name, value in losses.items() if name.startswith(f"{network}/")}
    pictures = {name: value for name, value in own.items() if name.endswith(("_real", "_fake"))}
    return list((pictures or own).values())


def _generator(pinned: Sequence[Record]) -> list[Advice]:
    painters = tuple(f"{network}/" for network in _trained(pinned, "generator"))
    names = [name for name in pinned[-1]["losses"] if name.startswith(painters) and name.endswith("_real")]
    chance = _CHANCE["log 4"]
    values = [record["losses"].get(name) for record in pinned for name in names]
    if not values or not all(_finite(value) and _near(value, chance) for value in values):
        return []
    seen = f"the generator's domain loss is pinned at log 4 = {chance:.3f}: it learns nothing from it"
    remedy = "raise the discriminator's learning rate, and look at the pictures of the run"
    return [Advice("generator at chance", seen, remedy)]


def _no_pseudo_labels(pinned: Sequence[Record]) -> list[Advice]:
    for name in pinned[-1]["losses"]:
        if name.endswith("self_training") and all(record["losses"].get(name) == 0 for record in pinned):
            seen = f"{name} stays 0: not one pixel gets a pseudo label"
            return [Advice("no pseudo labels", seen, "lower the term's threshold, or start it later")]
    for name in pinned[-1].get("observed") or {}:
        accepted = [(record.get("observed") or {}).get(name) for record in pinned]
        if name.endswith(ACCEPTED_SHARE) and all(value == 0 for value in accepted):
            seen = f"{name} stays 0: the teacher is confident of no pixel"
            return [Advice("no pseudo labels", seen, "lower the term's confidence, or start it later")]
    return []


def _collapse(newest: Sequence[Record]) -> list[Advice]:
    scored = [record["unsupervised"] for record in newest if record.get("unsupervised")]
    shares = [scores.get(LARGEST_CLASS_SHARE) for scores in scored]
    # Twice in a row: in its first steps from scratch every network answers with one class.
    if len(shares) < 2 or not all(_finite(share) and share >= _COLLAPSED_FROM for share in shares[-2:]):
        return []
    seen = f"{100 * shares[-1]:.0f} % of the target's pixels are predicted as one class"
    remedy = "lower the weight of the adaptation terms, or start them from a better source network"
    return [Advice("collapse to one class", seen, remedy)]


def classes_at_zero(records: Iterable[Record]) -> tuple[list[str], int]:
    """The classes whose IoU is printed as 0.0 in the newest evaluation, and how many have an IoU at all."""
    newest: Mapping[str, Any] = {}
    for record in records:
        newest = (record.get("evaluation") or {}).get("iou") or newest
    known = {name: iou for name, iou in newest.items() if _finite(iou)}
    return [name for name, iou in known.items() if round(100 * iou, 1) == 0], len(known)


def _near(value: float, level: float) -> bool:
    return abs(value / level - 1) < _PINNED_WITHIN


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
