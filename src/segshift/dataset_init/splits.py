"""Split rules for paired files: globs, list files of the data set, or lists of our own where no glob fits."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segshift.data.split_patterns import SplitSpec
from segshift.dataset_init.lists import ListedSplit
from segshift.dataset_init.names import place
from segshift.dataset_init.pair import Group
from segshift.dataset_init.patterns import Item, Part, find_rule, items_of, list_rule
from segshift.plain import counted

_FEW = 10
"""Fewer unlabelled images than this, elsewhere than the labelled ones, are no split but a preview."""


@dataclass
class Splits:
    """The proposed splits; `lists` holds the lines of list files to be written, `notes` sentences."""

    rules: dict[str, SplitSpec] = field(default_factory=dict)
    items: dict[str, tuple[Item, ...]] = field(default_factory=dict)
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def propose_splits(root: Path, groups: Sequence[Group], listed: Sequence[ListedSplit], lists: str) -> Splits:
    """Rules that find exactly the paired files, tried with the loader's own search.

    Args:
        root: the folder of the files.
        groups: the paired files.
        listed: splits that list files of the data set define; they go before those of folders.
        lists: the folder, relative to the YAML, of list files to write where no glob fits.
    """
    splits = Splits()
    covered: set[str] = set()
    for one in listed:
        if one.lines is None:
            splits.rules[one.name] = one.rule
        else:
            _put_list(one.name, one.rule, one.lines, splits, lists)
            splits.notes.append(
                f"the paths in {one.rule.list} are not those of the files; {lists}/{one.name}.txt has them"
            )
        splits.items[one.name] = tuple(Item(*item) for item in one.items)
        covered.update(item.image for item in splits.items[one.name])
    worthwhile = _worthwhile(list(_parts(groups, covered)), bool(covered), splits.notes)
    any_labelled = bool(covered) or any(part.labelled for part in worthwhile)
    buckets: dict[tuple[bool, str], list[Part]] = defaultdict(list)
    for part in worthwhile:
        usual_name = "train" if part.labelled or not any_labelled else "unlabelled"
        split = place(part.group.images.folder).split or usual_name
        buckets[not part.labelled, split].append(part)
    # Labelled parts take the plain names.
    for (_, split), parts in sorted(buckets.items()):
        _add(root, split, parts, splits, lists)
    usual = ("train", "val", "test")
    names = sorted(splits.rules, key=lambda name: (usual.index(name) if name in usual else len(usual), name))
    splits.rules = {name: splits.rules[name] for name in names}
    return splits


def _parts(groups: Sequence[Group], covered: set[str]) -> Iterator[Part]:
    for group in groups:
        images, labels = group.images, group.labels
        with_label, without = group.labelled, group.unlabelled
        for cores, labelled in ((with_label, True), (without, False)):
            items = tuple(
                Item(core, images.path(core), labels.path(core) if labelled and labels else None)
                for core in cores
                if images.path(core) not in covered
            )
            if items:
                yield Part(group, items, labelled, bool(with_label and without))


def _worthwhile(parts: list[Part], any_listed: bool, notes: list[str]) -> list[Part]:
    """The parts without a few stray pictures: previews, documentation, what no list names."""
    words = {_words(part) for part in parts if part.labelled}
    sizes: Counter[tuple[object, ...]] = Counter()
    for part in parts:
        sizes[_shape(part)] += len(part.items)
    kept = []
    for part in parts:
        few = sizes[_shape(part)] < _FEW
        elsewhere = not part.labelled and bool(words) and _words(part) not in words
        if few and (any_listed or elsewhere):
            notes.append(
                f"{counted(len(part.items), 'image')} of {part.group.images.folder or 'the root'} left out "
                f"(few, and unlike the rest), first {part.items[0].image}"
            )
        else:
            kept.append(part)
    return kept


def _shape(part: Part) -> tuple[object, ...]:
    return part.labelled, part.group.images.prefix, part.group.images.suffix, _words(part)


def _words(part: Part) -> tuple[str, ...]:
    return place(part.group.images.folder).words


def _add(root: Path, name: str, parts: list[Part], splits: Splits, lists: str) -> None:
    """One rule for all the parts: a pattern if there is one, else a list of our own."""
    found = find_rule(root, parts)
    if found is not None:
        _put(name, found, items_of(parts), splits)
        return
    rule, lines = list_rule(parts)
    unique = _unused(name, parts[0].labelled, splits)
    _put_list(unique, rule, lines, splits, lists)
    splits.items[unique] = items_of(parts)
    reason = "only some of its images have labels" if parts[0].partial else "no pattern finds them alone"
    splits.notes.append(f"the images of split {unique} are listed in {lists}/{unique}.txt ({reason})")


def _put_list(name: str, rule: SplitSpec, lines: tuple[str, ...], splits: Splits, lists: str) -> None:
    splits.rules[name] = rule.model_copy(update={"list": f"{lists}/{name}.txt"})
    splits.lists[name] = lines


def _put(name: str, rule: SplitSpec, items: tuple[Item, ...], splits: Splits) -> None:
    unique = _unused(name, rule.labels is not None, splits)
    splits.rules[unique], splits.items[unique] = rule, items


def _unused(name: str, labelled: bool, splits: Splits) -> str:
    if name not in splits.rules:
        return name
    base = name if labelled else f"{name}_unlabelled"
    number = 2
    unique = base
    while unique in splits.rules:
        unique, number = f"{base}_{number}", number + 1
    return unique
