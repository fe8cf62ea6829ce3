"""List files of a data set (`splits/train.txt`), and the patterns that turn their lines into files."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path, PurePosixPath

from segshift.data.list_files import Line, read_list
from segshift.data.split_patterns import SplitSpec
from segshift.dataset_init.names import place
from segshift.dataset_init.pair import Group
from segshift.dataset_init.scan import Tree
from segshift.errors import InputError
from segshift.plain import counted

_MAX_BYTES = 50_000_000
_MOST_LISTS = 200


@dataclass(frozen=True)
class ListedSplit:
    """A split that a list file defines; `items` are (line, image, label or None) relative to the root.

    `lines` are those of a list to be written in place of the one that was found, whose paths do not fit.
    """

    name: str
    rule: SplitSpec
    items: tuple[tuple[str, str, str | None], ...]
    lines: tuple[str, ...] | None = None


@dataclass(frozen=True)
class _Known:
    """The images of a tree: the label of each, and the images of each stem; `pictures` are all files."""

    labels: Mapping[str, str | None]
    by_name: Mapping[str, Sequence[str]]
    pictures: frozenset[str]


def listed_splits(tree: Tree, groups: Sequence[Group]) -> tuple[tuple[ListedSplit, ...], tuple[str, ...]]:
    """The splits of all list files whose lines name images, and notes on lists of no use."""
    known = _known(tree, groups)
    splits: dict[str, ListedSplit] = {}
    notes = []
    for text in tree.texts[:_MOST_LISTS]:
        try:
            lines = _lines(tree.root / text)
        except (InputError, OSError, UnicodeDecodeError):
            notes.append(f"{text} cannot be read as text and is not used")
            continue
        found = _listed(text, lines, known) if lines else None
        if found is None and lines and place(PurePosixPath(text).stem).split is not None:
            found = f"{text} names no image that is here, and is not used"
        if isinstance(found, str):
            notes.append(found)
        elif found is not None:
            missing = len(lines) - len(found.items)
            if missing:
                notes.append(f"{text} names {counted(missing, 'image')} without file or label")
            suffix = PurePosixPath(text).suffix
            if found.name == "default":
                # CVAT's name of a task without splits.
                found = replace(found, name="train")
            name = found.name if found.name not in splits else text.removesuffix(suffix).replace("/", "_")
            splits[name] = replace(found, name=name)
    if len(tree.texts) > _MOST_LISTS:
        notes.append(f"of {len(tree.texts)} text files only the first {_MOST_LISTS} were read as lists")
    # camvid_train, camvid_val: what all names start with says nothing about the split.
    starts = {re.split(r"[_\-.]", name)[0] for name in splits}
    cut = len(starts.pop()) + 1 if len(splits) > 1 and len(starts) == 1 else 0
    named = tuple(replace(one, name=one.name[cut:]) for one in splits.values())
    return named, (*notes, *_overlaps(named))


def _overlaps(splits: Sequence[ListedSplit]) -> Iterator[str]:
    """Notes on images that two of train, val and test share; a `trainval` is meant to hold others' images."""
    apart = [one for one in splits if one.name in ("train", "val", "test")]
    for one, other in combinations(apart, 2):
        shared = {image for _, image, _ in one.items} & {image for _, image, _ in other.items}
        if shared:
            yield (
                f"{one.rule.list} and {other.rule.list} share {counted(len(shared), 'image')}, first "
                f"{min(shared)}: take them out of one, or what is trained on is scored"
            )


def _known(tree: Tree, groups: Sequence[Group]) -> _Known:
    labels: dict[str, str | None] = {}
    for group in groups:
        for core in group.images.files:
            has = group.labels is not None and core in group.labels.files
            labels[group.images.path(core)] = group.labels.path(core) if has and group.labels else None
    by_name: dict[str, list[str]] = {}
    for image in labels:
        by_name.setdefault(PurePosixPath(image).stem, []).append(image)
    return _Known(labels, by_name, frozenset(tree.pictures))


def _lines(path: Path) -> tuple[Line, ...]:
    return () if path.stat().st_size > _MAX_BYTES else read_list(path)


def _listed(text: str, lines: Sequence[Line], known: _Known) -> ListedSplit | str | None:
    if lines[0].is_file:
        return _of_files(text, lines, known)
    names = [line.name for line in lines]
    for image in _named_by(names[0], known.by_name):
        # Where the line stands in the image's path makes the pattern; all the lines must agree.
        at = image.rfind(names[0])
        if at < 0:
            continue
        before, after = image[:at], image[at + len(names[0]) :]
        images = [before + name + after for name in names]
        if sum(one in known.labels for one in images) * 2 < len(names):
            continue
        rule = _rule(text, names, images, before, after, known.labels)
        if isinstance(rule, str):
            return rule
        items = tuple(
            (name, one, known.labels[one] if rule.labels else None)
            for name, one in zip(names, images, strict=True)
            if one in known.labels
        )
        return ListedSplit(PurePosixPath(text).stem, rule, items)
    # The first line may be a header.
    words = [word for name in names[:2] for word in re.split(r"[\s,;]+", name)]
    if len(words) > 2 and any(_named_by(word, known.by_name) for word in words if word):
        return f"{text} has several columns and is not used; write a stem, or image and label, per line"
    named = sum(bool(_named_by(name, known.by_name)) for name in names[:20])
    if named * 2 >= min(20, len(names)):
        return f"{text} names images, but by no single pattern, and is not used; write a list of their paths"
    return None


def _of_files(text: str, lines: Sequence[Line], known: _Known) -> ListedSplit | str | None:
    """The split of a list of image files, or of images and their labels."""
    name = PurePosixPath(text).stem
    best: tuple[int, tuple[tuple[str, str, str | None], ...], bool] = (0, (), False)
    for moved, move in _moves(text, lines[0].name, known):
        items = []
        for line in lines:
            image = move(line.name)
            label = known.labels.get(image) if line.label is None else move(line.label)
            if image in known.pictures and (line.label is None or label in known.pictures):
                items.append((line.name, image, label))
        if len(items) > best[0]:
            best = len(items), tuple(items), moved
    count, found, moved = best
    if count * 2 < len(lines):
        stray = any(PurePosixPath(line.name).stem in known.by_name for line in lines[:20])
        absent = f"{text} names files of which {len(lines) - count} are not there, and is not used"
        return absent if stray else None
    if any(label is not None for _, _, label in found):
        found = tuple(item for item in found if item[2] is not None)
    if not moved and (lines[0].label is not None or found[0][2] is None):
        return ListedSplit(name, SplitSpec(list=text), found)
    rule = _by_stems(text, found)
    if rule is not None:
        return ListedSplit(name, rule, found)
    own = tuple(image if label is None else f"{image}\t{label}" for _, image, label in found)
    return ListedSplit(name, SplitSpec(list=text), found, own)


def _by_stems(text: str, found: Sequence[tuple[str, str, str | None]]) -> SplitSpec | None:
    """The patterns that find the labels of a list of images of one folder and suffix, by their stems."""
    images = [PurePosixPath(image) for _, image, _ in found]
    if len({(image.parent, image.suffix) for image in images}) > 1:
        return None
    if any(name not in (image, PurePosixPath(image).name) for name, image, _ in found):
        # The loader would not find these lines' files by a pattern.
        return None
    before = "" if str(images[0].parent) == "." else f"{images[0].parent}/"
    labels = {image: label for _, image, label in found}
    rule = _rule(text, [one.stem for one in images], list(labels), before, images[0].suffix, labels)
    return rule if isinstance(rule, SplitSpec) else None


def _moves(text: str, first: str, known: _Known) -> Iterator[tuple[bool, "_Move"]]:
    """Ways to turn a list's paths into places below the root, and whether they change the paths."""
    yield False, _Move("", 0)
    folder = str(PurePosixPath(text).parent)
    if folder != ".":
        yield True, _Move(f"{folder}/", 0)
    for image in known.by_name.get(PurePosixPath(first).stem, ()):
        if image.endswith(f"/{first}"):
            yield True, _Move(image.removesuffix(first), 0)
    for parts in range(1, len(PurePosixPath(first).parts)):
        yield True, _Move("", parts)


@dataclass(frozen=True)
class _Move:
    """`start` put before a path of which the first `cut` parts are left out."""

    start: str
    cut: int

    def __call__(self, path: str) -> str:
        return self.start + "/".join(PurePosixPath(path).parts[self.cut :])


def _rule(
    text: str,
    names: Sequence[str],
    images: Sequence[str],
    before: str,
    after: str,
    labels: Mapping[str, str | None],
) -> SplitSpec | str:
    pattern = f"{before}{{stem}}{after}"
    pairs = [(name, labels.get(image)) for name, image in zip(names, images, strict=True)]
    labelled = [(name, label) for name, label in pairs if label is not None]
    if not labelled:
        return SplitSpec(images=pattern, list=text)
    name, label = labelled[0]
    at = label.rfind(name)
    if at < 0:
        return f"{text} names images by what their labels are not called, and is not used"
    label_before, label_after = label[:at], label[at + len(name) :]
    if any(label_before + name + label_after != label for name, label in labelled):
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
