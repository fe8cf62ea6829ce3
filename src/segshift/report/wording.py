"""Numbers and sentences of the report: what came out, in words that do not promise more than was measured."""

import math
from collections.abc import Iterator, Mapping, Sequence

from segshift.evaluation import PairedComparison, percent
from segshift.plain import counted
from segshift.report.content import Report, ReportedRun

NOTHING = "–"


def points(difference: float, digits: int = 1) -> str:
    """A difference of fractions in percentage points with its sign, such as `+3.2`, `−0.4` or `0.0`."""
    rounded = round(100 * difference, digits)
    if math.isnan(rounded):
        return "n/a"
    return f"{rounded:+.{digits}f}".replace("-", "−") if rounded else f"{0:.{digits}f}"


def spread_words(mean: float, spread: float | None) -> str:
    """`41.5 ± 0.4` in percent; without the spread of a single seed."""
    return percent(mean) + ("" if spread is None else f" ± {100 * spread:.1f}")


def state(gain: PairedComparison) -> str:
    """What an interval decides, in a word or two."""
    if not gain.decided:
        return "not decided"
    return "better" if gain.difference > 0 else "worse"


def verdict(runs: Sequence[ReportedRun]) -> list[str]:
    """The sentences at the top: the best fair gain and how sure it is, and how the others came out."""
    reference, *others = runs
    if reference.result is None or not any(run.result for run in others):
        scored = [run for run in runs if run.result is not None]
        if not scored:
            return ["No scores: the target's images have no labels, so gains cannot be measured."]
        return [f"{run.name}: {100 * run.miou:.2f} % mIoU on the target." for run in scored if run.result]
    fair = [run for run in others if run.is_fair]
    if not fair:
        return [f"No run can be compared fairly with {reference.name}; see what differs below."]
    best = max(fair, key=lambda run: run.gain.difference if run.gain else -math.inf)
    assert best.gain is not None
    sentences = [best.gain.verdict(reference.name, best.name)]
    if len(fair) > 1:
        better = sum(run.gain is not None and run.gain.interval[0] > 0 for run in fair)
        worse = sum(run.gain is not None and run.gain.interval[1] < 0 for run in fair)
        counts = {"better": better, "worse": worse, "not decided": len(fair) - better - worse}
        found = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        sentences.append(f"Of the {len(fair)} runs that are compared fairly with {reference.name}: {found}.")
    if len(fair) < len(others):
        left = ", ".join(
            run.name if run.gain is None else f"{run.name} ({points(run.gain.difference)})"
            for run in others
            if not run.is_fair
        )
        sentences.append(f"Not counted here, because their cards say what else differs: {left}.")
    return [*sentences, *_over_seeds(best), *_class_changes(best)]


def _over_seeds(run: ReportedRun) -> Iterator[str]:
    """What is known about other trainings, and how far the oracle still is."""
    assert run.gain is not None
    spread = run.gain_spread
    if spread is None:
        seed = f" ({run.seeds[0].seed})" if run.seeds else ""
        yield f"One seed{seed}: how much another training would differ is not known."
    else:
        doubt = " That is less than the seeds' spread." if abs(run.gain.difference) <= spread else ""
        yield (
            f"Over {run.gain.trainings} seeds the gain is {points(run.gain.difference)} ± {100 * spread:.1f} "
            f"points.{doubt}"
        )
    if run.gap_share is not None:
        yield f"It closes {100 * run.gap_share:.0f} % of the gap to the oracle."


def _class_changes(run: ReportedRun, most: int = 3) -> Iterator[str]:
    """The classes that gain most and those that lose most, as far as any do."""
    assert run.gain is not None
    changes = [
        (change, name)
        for name, change in zip(run.gain.class_names, run.gain.class_difference.tolist(), strict=True)
        if not math.isnan(change) and points(change) != points(0)
    ]
    gains = sorted((one for one in changes if one[0] > 0), reverse=True)[:most]
    losses = sorted(one for one in changes if one[0] < 0)[:most]
    for what, none, listed in (("gains", "gains", gains), ("losses", "loses", losses)):
        words = ", ".join(f"{name} {points(change)}" for change, name in listed)
        yield f"Largest class {what} of {run.name}: {words}." if listed else f"No class {none}."


def warnings(run: ReportedRun) -> list[str]:
    """What has to be known before its score is believed, one sentence each."""
    found = []
    if run.uses_target_labels:
        found.append(
            "Uses labels of the target domain: a bound to measure against, not an adaptation method."
        )
    elif run.uses_target_labels is None:
        found.append("Whether it used labels of the target domain is not known.")
    if run.gain is not None and run.unfair:
        found.append(f"The gain is not the method's alone: {'; '.join(run.unfair)}.")
    if run.gain is not None and run.gain.few_images:
        found.append(f"Only {counted(run.gain.images, 'image')}: the interval is too narrow.")
    return [*found, *run.notes]


_NAMES_OF_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "scores": ("scores", "results", "evaluation", "result", "gain", "gains", "confusion"),
    "pictures": ("pictures", "shown", "strips", "images"),
    "curves": ("curves", "training curves", "losses"),
    "entropy": ("entropy",),
    "distances": ("fada_distance", "clan_distance", "class_distance", "distances", "centers", "centres"),
    "retrieval": ("retrieval",),
    "embedding": ("embedding", "t-sne", "tsne"),
}


def reasons(report: Report, section: str) -> list[str]:
    """Why a section, or a part of it, was left out; a reason for several parts once."""
    found = (reason for what, reason in report.evidence.skipped.items() if _section_of(what) == section)
    return list(dict.fromkeys(found))


def other_reasons(report: Report) -> list[tuple[str, str]]:
    """What was left out that belongs to no section."""
    return [(what, reason) for what, reason in report.evidence.skipped.items() if _section_of(what) is None]


def _section_of(what: str) -> str | None:
    """By the first words of its name: `retrieval` and `retrieval of clan` belong to the same section."""
    for section, names in _NAMES_OF_SECTIONS.items():
        if what.lower().startswith(names):
            return section
    return None
