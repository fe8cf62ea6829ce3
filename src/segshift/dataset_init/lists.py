"""List files of a data set (`splits/train.txt`), and the patterns that turn their lines into files."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from segshift.data.finder import SplitSpec
from segshift.dataset_init.pair import Group
from segshift.dataset_init.scan import Tree

_MAX_BYTES = 50_000_000
_MOST_LISTS = 200


@dataclass(frozen=True)
class ListedSplit:
    """A split that a list file defines; `items` are (line, image, label or None) relative to the root."""

    name: str
    rule: SplitSpec
    items: tuple[tuple[str, str, str | None], ...]


def listed_splits(tree: Tree, groups: Sequence[Group]) -> tuple[tuple[ListedSplit, ...], tuple[str, ...]]:
    """The splits of all list files whose lines are stems of images, and notes on lists of no use."""
    labels: dict[str, str | None] = {}
    for group in groups:
        for core in group.images.files:
            has = group.labels is not None and core in group.labels.files
            labels[group.images.path(core)] = group.labels.path(core) if has and group.labels else None
    by_name: dict[str, list[str]] = {}
    for image in labels:
        by_name.setdefault(PurePosixPath(image).stem, []).append(image)
    splits: dict[str, ListedSplit] = {}
    notes = []
    for text in tree.texts[:_MOST_LISTS]:
        lines = _lines(tree.root / text)
        if not lines:
            continue
        found = _listed(text, lines, labels, by_name)
        if isinstance(found, str):
            notes.append(found)
        elif found is not None:
            name = found.name if found.name not in splits else text.removesuffix(".txt").replace("/", "_")
            splits[name] = ListedSplit(name, found.rule, found.items)
    # camvid_train, camvid_val: what all names start with says nothing about the split.
    starts = {re.split(r"[_\-.]", name)[0] for name in splits}
    cut = len(starts.pop()) + 1 if len(splits) > 1 and len(starts) == 1 else 0
    return tuple(replace(one, name=one.name[cut:]) for one in splits.values()), tuple(notes)


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            return []
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):
        return []
    return [line for line in lines if line and not line.startswith("#")]


def _listed(
    text: str, lines: list[str], labels: Mapping[str, str | None], by_name: Mapping[str, Sequence[str]]
) -> ListedSplit | str | None:
    first = lines[0]
    for image in _named_by(first, by_name):
        # Where the line stands in the image's path makes the pattern; all the lines must agree.
        at = image.rfind(first)
        if at < 0:
            continue
        before, after = image[:at], image[at + len(first) :]
        images = [before + line + after for line in lines]
        known = sum(one in labels for one in images)
        if known * 2 < len(lines):
            continue
        if not after:
            return f"{text} names whole files, not stems, and is not used; cut the suffix off its lines"
        rule = _rule(text, lines, images, before, after, labels)
        if isinstance(rule, str):
            return rule
        items = tuple(
            (line, one, labels[one] if rule.labels else None)
            for line, one in zip(lines, images, strict=True)
            if one in labels
        )
        return ListedSplit(PurePosixPath(text).stem, rule, items)
    words = first.split()
    if len(words) > 1 and _named_by(words[0], by_name):
        return f"{text} has several columns and is not used; a list has one stem per line"
    return None


def _rule(
    text: str,
    lines: Sequence[str],
    images: Sequence[str],
    before: str,
    after: str,
    labels: Mapping[str, str | None],
) -> SplitSpec | str:
    pattern = f"{before}{{stem}}{after}"
    pairs = [(line, labels.get(image)) for line, image in zip(lines, images, strict=True)]
    labelled = [(line, label) for line, label in pairs if label is not None]
    if not labelled:
        return SplitSpec(images=pattern, list=text)
    line, label = labelled[0]
    at = label.rfind(line)
    if at < 0:
        return f"{text} names images by what their labels are not called, and is not used"
    label_before, label_after = label[:at], label[at + len(line) :]
    if any(label_before + line + label_after != label for line, label in labelled):
        return f"{text} names images whose labels no single pattern finds, and is not used"
    return SplitSpec(images=pattern, labels=f"{label_before}{{stem}}{label_after}", list=text)


def _named_by(line: str, by_name: Mapping[str, Sequence[str]]) -> list[str]:
    """Images that a line may name: its last part is their stem, or the start or end of it."""
    last = PurePosixPath(line).name
    exact = by_name.get(last) or by_name.get(PurePosixPath(last).stem)
    if exact:
        return [image for image in exact if line in image][:8]
    if len(last) < 3:
        return []
    found = []
    for stem, images in by_name.items():
        if last in stem:
            found += [image for image in images if line in image]
            if len(found) >= 8:
                break
    return found
