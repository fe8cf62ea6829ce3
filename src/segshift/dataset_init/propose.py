"""`segshift data init`: from a folder to a written spec that the loader has already tried."""

import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segshift.data.containers import read_header
from segshift.data.decoder import LabelRule
from segshift.data.spec import load_dataset
from segshift.dataset_init.class_files import class_files, named_by_file, other_labels
from segshift.dataset_init.guess import Meaning, guess, named_by_user
from segshift.dataset_init.lists import listed_splits
from segshift.dataset_init.pair import pair
from segshift.dataset_init.scan import scan
from segshift.dataset_init.splits import Splits, propose_splits
from segshift.dataset_init.values import Values, sample_values, without_soft_edges
from segshift.dataset_init.write import text_of, written
from segshift.errors import InputError
from segshift.files import write_text
from segshift.plain import share_in_words

_SHAPES_SAMPLED = 50
_SHAPES_DIFFER = 1.05
"""Ratio of two proportions (width / height) from which pictures look stretched."""


@dataclass(frozen=True)
class Found:
    """What a tree holds before anything is written."""

    root: Path
    splits: Splits
    values: Values | None
    meaning: Meaning
    notes: tuple[str, ...]


@dataclass(frozen=True)
class SplitCount:
    """A split as the loader finds it: images in all, and those whose label is missing."""

    name: str
    images: int
    labelled: bool
    without_label: int


@dataclass(frozen=True)
class Proposal:
    """A written spec, and what the loader makes of it."""

    path: Path
    found: Found
    counts: tuple[SplitCount, ...]

    def to_dict(self) -> dict[str, Any]:
        """The proposal, ready for JSON."""
        values, meaning = self.found.values, self.found.meaning
        return {
            "spec": str(self.path),
            "root": str(self.found.root),
            "splits": [vars(count) for count in self.counts],
            "classes": meaning.classes if isinstance(meaning.classes, str) else list(meaning.classes),
            "guessed": meaning.reason,
            "named": meaning.certain,
            "labels": None
            if values is None
            else {
                "kind": meaning.rule.kind,
                "channel": values.channel,
                "sampled": values.sampled,
                "files": values.of,
                "values": [
                    {
                        "value": written(one, values),
                        "share": one.share,
                        "files": one.files,
                        "class": meaning.named.get(one.value),
                    }
                    for one in values.values
                ],
            },
            "notes": list(self.found.notes),
        }


def explore(root: Path, lists: str, classes: str | None = None) -> Found:
    """Pair the files of a tree, look at a sample of its labels, and guess what they mean.

    Args:
        root: the folder.
        lists: the folder of list files to write, relative to the YAML.
        classes: what `--classes` says; None guesses.

    Raises:
        InputError: no folder, no images, no readable labels, or `classes` that do not fit the labels.
    """
    tree = scan(root)
    pairing = pair(tree)
    listed, list_notes = listed_splits(tree, pairing.groups)
    splits = propose_splits(root, pairing.groups, listed, lists)
    notes = [*tree.notes, *other_labels(tree), *pairing.notes, *list_notes, *splits.notes]
    if not splits.rules:
        reasons = "; ".join(notes) or "all files look like labels"
        raise InputError(f"{root}: no images for a split: {reasons}; write the YAML by hand")
    if tree.unreadable:
        notes.append(f"{len(tree.unreadable)} folders could not be opened, first {tree.unreadable[0]}")
    notes += _shapes(root, splits)
    # One image may be in several lists; its label counts once.
    pairs = {
        item.image: (root / item.image, root / item.label)
        for items in splits.items.values()
        for item in items
        if item.label is not None
    }
    if not pairs:
        return Found(root, splits, None, _without_labels(classes), tuple(notes))
    values = without_soft_edges(sample_values([pairs[image] for image in sorted(pairs)]))
    notes += values.notes
    if classes is not None:
        return Found(root, splits, values, named_by_user(classes, values), tuple(notes))
    hint = " ".join([str(root.resolve()), *sorted({str(label.parent) for _, label in pairs.values()})[:20]])
    meaning = named_by_file(class_files(tree), values) or guess(values, hint)
    for one in values.values:
        if one.value in meaning.unknown:
            notes.append(
                f"{written(one, values)} ({share_in_words(one.share)} of the pixels) is not known to the "
                "guessed rule and becomes ignored"
            )
    if not meaning.certain:
        notes.append("the classes have no names yet: rename class_... below, or call init with --classes")
    return Found(root, splits, values, meaning, tuple(notes))


def _shapes(root: Path, splits: Splits) -> list[str]:
    """A note on images of different proportions, from the headers of a few of every split."""
    sizes: Counter[tuple[int, int]] = Counter()
    for items in splits.items.values():
        step = max(1, len(items) // _SHAPES_SAMPLED)
        for item in items[::step]:
            with suppress(InputError):
                sizes[read_header(root / item.image).size] += 1
    proportions = [width / height for width, height in sizes]
    if not proportions or max(proportions) / min(proportions) < _SHAPES_DIFFER:
        return []
    listed = ", ".join(f"{width}x{height}" for (width, height), _ in sizes.most_common(3))
    return [
        f"the images have different proportions ({listed}), which a recipe's `resize` changes unless "
        f"`augmentation` says `fit: cover` or `fit: pad`"
    ]


def renamed(found: Found, classes: str) -> Found:
    """The same with the classes that a person named; raises InputError if they do not fit the labels."""
    if found.values is None:
        return Found(found.root, found.splits, None, _without_labels(classes), found.notes)
    notes = tuple(note for note in found.notes if not note.startswith("the classes have no names"))
    return Found(found.root, found.splits, found.values, named_by_user(classes, found.values), notes)


def write_proposal(found: Found, out: Path, *, force: bool = False) -> Proposal:
    """Write the spec (and lists, if needed), read it back and resolve every split with the loader.

    Raises:
        InputError: a file is there already and `force` is not set, it cannot be written, or (a defect of
            this module) the loader refuses the result.
    """
    splits = found.splits
    lists = {out.parent / str(splits.rules[name].list): lines for name, lines in splits.lists.items()}
    there = next((path for path in [out, *lists] if path.exists()), None)
    if there is not None and not force:
        raise InputError(f"{there} is there already; name another file with --out, or overwrite with --force")
    name = re.sub(r"[^A-Za-z0-9_\-]+", "_", found.root.resolve().name).strip("_") or "data"
    counts = {
        split: (len(items), sum(item.label is not None for item in items))
        for split, items in splits.items.items()
    }
    text = text_of(name, found.root, out, splits.rules, counts, found.values, found.meaning, found.notes)
    for path, lines in lists.items():
        write_text(path, "".join(f"{line}\n" for line in lines))
    write_text(out, text)
    dataset = load_dataset(out)
    counted = []
    for split in dataset.spec.splits:
        one = dataset.find(split)
        counted.append(
            SplitCount(
                split,
                len({*one.split.samples, *one.without_label, *one.without_image}),
                any(sample.label is not None for sample in (*one.split.samples, *one.without_label)),
                len(one.without_label),
            )
        )
    return Proposal(out, found, tuple(counted))


def ask_for_classes(found: Found, ask: Callable[[str], str], tell: Callable[[str], None]) -> Found:
    """Ask a person for the classes until the answer fits; an empty answer takes the guess."""
    while True:
        answer = ask("classes (Enter takes the guess; a set, names in order, or VALUE=NAME,...)").strip()
        if not answer:
            return found
        try:
            return renamed(found, answer)
        except InputError as error:
            tell(str(error))


def value_rows(found: Found) -> list[tuple[str, str, str, str]]:
    """(value, share, files, class) of every sampled value, as text."""
    values = found.values
    if values is None:
        return []
    return [
        (
            written(one, values),
            share_in_words(one.share),
            f"{one.files} of {values.sampled}",
            found.meaning.named.get(one.value) or "ignored",
        )
        for one in values.values
    ]


def _without_labels(classes: str | None) -> Meaning:
    if classes is None:
        reason = "there are no labels here; write the classes of the labelled data that you train with"
        return Meaning("cityscapes19", LabelRule(), {}, False, reason)
    names = tuple(part.strip() for part in classes.split(",") if part.strip())
    chosen: str | tuple[str, ...] = names[0] if len(names) == 1 and "=" not in classes else names
    return Meaning(chosen, LabelRule(), {}, True, "as asked for")
