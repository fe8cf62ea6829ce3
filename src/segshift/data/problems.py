"""What is wrong with a data set, finding by finding, and summed up for people."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from segshift.plain import counted

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """One finding: an `error` stops a training sooner or later, a `warning` may be meant."""

    severity: Severity
    split: str
    file: str | None
    message: str


def summed_up(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """One problem of each kind, in their order; its message says how many more files have the same.

    Problems are of one kind if they are in one split and their messages differ in names and numbers alone.
    """
    kinds: dict[tuple[str, str, str], list[Problem]] = {}
    for problem in problems:
        # What is wrong with the whole set (its root, say) is found once per split.
        split = problem.split if problem.file is not None else ""
        group = kinds.setdefault((problem.severity, split, _kind(problem)), [])
        if all(problem.message != other.message for other in group[:1]):
            group.append(problem)
    return tuple(_with_count(group) for group in kinds.values())


def _kind(problem: Problem) -> str:
    if problem.file is None:
        return problem.message
    said = problem.message.removeprefix(f"{problem.file}: ")
    return re.sub(r"\S*[/\\]\S*|[\d.]+", "#", re.split(r"[;(,]", said)[0])


def _with_count(group: list[Problem]) -> Problem:
    first = group[0]
    more = len(group) - 1
    if not more:
        return first
    counted = f"{first.message} (and {more} more {'file' if more == 1 else 'files'} like it)"
    return Problem(first.severity, first.split, first.file, counted)


def unmapped_problems(
    where: str, split: str, shares: Mapping[str, float], files: Mapping[str, int]
) -> list[Problem]:
    """Warnings about raw values that no class has: one each for a few, one for all of many.

    Args:
        where: the YAML.
        split: the split's name.
        shares: the share of all label pixels of each value (`id 7`), the largest first.
        files: how many files hold it.
    """
    if len(shares) > _MANY_VALUES:
        most = ", ".join(f"{value} ({share:.2%})" for value, share in list(shares.items())[:3])
        message = (
            f"{where}: {len(shares)} values are never mapped and become ignore: {sum(shares.values()):.3%} "
            f"of the pixels of split {split!r}, most of them {most}; so many values come from labels that "
            f"were resized, drawn with smooth edges or saved with compression: make them anew or map the rest"
        )
        return [Problem("warning", split, None, message)]
    return [
        Problem(
            "warning",
            split,
            None,
            f"{where}: {value} is never mapped and becomes ignore: {share:.3%} of the pixels of split "
            f"{split!r}, in {counted(files[value], 'file')}; add it to `labels.map`, or to "
            f"`labels.ignore` if that is meant",
        )
        for value, share in shares.items()
    ]


_MANY_VALUES = 12


def class_problems(
    where: str, split: str, kind: str, frequencies: Mapping[str, float], ignored: float
) -> list[Problem]:
    """Warnings about classes that no pixel of a split has.

    Args:
        where: the YAML.
        split: the split's name.
        kind: the label rule's.
        frequencies: the share of each class among the labelled pixels.
        ignored: the share of ignored pixels among all.
    """
    absent = [name for name, share in frequencies.items() if share == 0]
    present = [name for name, share in frequencies.items() if share > 0]
    if not absent:
        return []
    if not present:
        message = (
            f"{where}: no pixel of split {split!r} has a class ({', '.join(absent)}), so that nothing can be "
            f"learnt from its labels; correct the label rule"
        )
    elif kind == "train_ids" and len(present) == 1 and ignored > 0 and len(frequencies) > 1:
        message = (
            f"{where}: split {split!r} has no pixel of {', '.join(absent)}, and {ignored:.2%} of its pixels "
            f"are ignored, as train ids ignore 255; if 255 is a class in these masks, write `labels: {{kind: "
            f"ids, map: {{0: {present[0]}, 255: {absent[0]}}}}}`"
        )
    else:
        message = (
            f"{where}: split {split!r} has no pixel of {', '.join(absent)}; correct the label rule if they "
            f"should occur"
        )
    return [Problem("warning", split, None, message)]


def equal_images(digests: Mapping[str, Mapping[str, list[str]]]) -> list[Problem]:
    """Warnings about images whose pixels are equal, within a split and between two.

    A split whose name tells that it holds another (trainval) may do so.

    Args:
        digests: for each split, the files of each digest of pixels.
    """
    problems = []
    names = list(digests)
    for position, one in enumerate(names):
        twice = [files for files in digests[one].values() if len(files) > 1]
        if twice:
            count = sum(len(files) - 1 for files in twice)
            message = (
                f"split {one!r}: {counted(count, 'image equals', 'images equal')} another one of the split, "
                f"first {twice[0][0]} and {twice[0][1]}; remove them unless that is meant"
            )
            problems.append(Problem("warning", one, None, message))
        for other in names[position + 1 :]:
            shared = digests[one].keys() & digests[other].keys()
            contained = min(len(digests[one]), len(digests[other])) == len(shared)
            if not shared or (contained and (one in other or other in one)):
                continue
            first = min(shared, key=lambda digest: digests[one][digest][0])
            message = (
                f"{counted(len(shared), 'image')} of split {other!r} also in split {one!r}, first "
                f"{digests[other][first][0]} = {digests[one][first][0]}; what is trained on must not be "
                f"scored: remove them from one of the two"
            )
            problems.append(Problem("warning", other, None, message))
    return problems
