"""Numbers and sentences of the report: what came out, in words that do not promise more than was measured."""

import math
from collections.abc import Mapping, Sequence

from segshift.report.content import Report, ReportedRun

NOTHING = "–"


def points(difference: float, digits: int = 1) -> str:
    """A difference of fractions in percentage points with its sign, such as `+3.2`, `−0.4` or `0.0`."""
    rounded = round(100 * difference, digits)
    if math.isnan(rounded):
        return "n/a"
    return f"{rounded:+.{digits}f}".replace("-", "−") if rounded else f"{0:.{digits}f}"


def verdict(runs: Sequence[ReportedRun]) -> list[str]:
    """The sentences at the top: the best fair gain and how sure it is, and how the others came out."""
    reference, *others = runs
    if reference.result is None or not any(run.result for run in others):
        scored = [run for run in runs if run.result is not None]
        if not scored:
            return ["No scores: the target's images have no labels, so gains cannot be measured."]
        return [
            f"{run.name}: {100 * run.result.miou:.2f} % mIoU on the target." for run in scored if run.result
        ]
    fair = [run for run in others if is_fair(run)]
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
            if not is_fair(run)
        )
        sentences.append(f"Not counted here, because their cards say what else differs: {left}.")
    return sentences


def is_fair(run: ReportedRun) -> bool:
    """Whether its gain says something about the method: measured, like for like, without target labels."""
    return run.gain is not None and not run.unfair and run.uses_target_labels is not True


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
        found.append(f"Only {run.gain.images} images: the interval is too narrow.")
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
