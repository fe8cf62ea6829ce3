"""Patterns that find given files and nothing else: globs with `{stem}` and `{parent}`, or a list's rule."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from segshift.data.finder import find_samples
from segshift.data.split_patterns import SplitSpec, check_patterns
from segshift.dataset_init.pair import Group
from segshift.errors import InputError

_LOOKED_FOR = 20
"""Labels that are looked for where a pattern steps upwards, which a linked folder may lead astray."""


@dataclass(frozen=True)
class Item:
    """One image relative to the root, its core, and its label or None."""

    core: str
    image: str
    label: str | None


@dataclass(frozen=True)
class Part:
    """The items of one group that have labels, or that have none."""

    group: Group
    items: tuple[Item, ...]
    labelled: bool
    partial: bool

    @property
    def naming(self) -> tuple[object, ...]:
        """What labelled parts share that one pattern can find."""
        labels = self.group.labels if self.labelled else None
        shapes = (labels.prefix, labels.suffix, labels.signature[3]) if labels else None
        return self.group.images.prefix, self.group.images.suffix, shapes


def items_of(parts: list[Part]) -> tuple[Item, ...]:
    """The items of all parts, sorted by image."""
    return tuple(sorted((item for part in parts for item in part.items), key=lambda item: item.image))


def find_rule(root: Path, parts: list[Part]) -> SplitSpec | None:
    """The first rule that finds exactly the parts' items, judged by the loader's search."""
    expected = {
        (str(root / item.image), item.label and os.path.normpath(root / item.label))
        for item in items_of(parts)
    }
    for rule in _candidates(parts):
        try:
            check_patterns(rule, "proposed", "proposal")
            samples = find_samples(rule, "proposed", root, "proposal", root)
        except InputError:
            continue
        # `..` in a label's path is plain after normalizing.
        found = {(str(one.image), one.label and os.path.normpath(one.label)) for one in samples}
        there = ".." not in (rule.labels or "") or all(
            one.label is not None and one.label.is_file() for one in samples[:_LOOKED_FOR]
        )
        if found == expected and there:
            return rule
    return None


def _candidates(parts: list[Part]) -> Iterator[SplitSpec]:
    labels = _labels_pattern(parts)
    if parts[0].labelled and (labels is None or not _named_alike(parts)):
        return
    for folder in _image_folders(parts):
        for name in _image_names(parts):
            yield SplitSpec(images=f"{folder}/{name}" if folder else name, labels=labels)


def _named_alike(parts: list[Part]) -> bool:
    return len({part.naming for part in parts}) == 1


def _image_folders(parts: list[Part]) -> Iterator[str]:
    folders = [PurePosixPath(part.group.images.folder).parts for part in parts]
    fixed = _shared_start(folders)
    if all(len(one) == len(folders[0]) for one in folders):
        columns = zip(*folders, strict=True)
        yield "/".join(column[0] if len(set(column)) == 1 else "*" for column in columns)
    else:
        yield "/".join([*fixed, "**"])


def _image_names(parts: list[Part]) -> Iterator[str]:
    images = parts[0].group.images
    extension = _extension(parts)
    if parts[0].labelled:
        prefix, suffix = _own_affixes(parts[0])
    elif len({(part.group.images.prefix, part.group.images.suffix) for part in parts}) == 1:
        prefix, suffix = images.prefix, images.suffix
    else:
        prefix = suffix = ""
    yield f"{prefix}{{stem}}{suffix}{extension}" if prefix or suffix else f"*{extension}"
    if prefix or suffix:
        return
    # Labels of the same suffix beside their images: the last character may tell them apart.
    stems = [PurePosixPath(item.image).stem for part in parts for item in part.items]
    if all(stem[-1] in "0123456789" for stem in stems):
        yield f"*[0-9]{extension}"
    ending = parts[0].group.labels.suffix[-1:] if parts[0].group.labels else ""
    if ending.isalnum() and not any(stem.endswith(ending) for stem in stems):
        yield f"*[!{ending}]{extension}"


def _extension(parts: list[Part]) -> str:
    """The suffix of all the images, or the alternatives `.{jpg,png}`; case does not matter."""
    suffixes = [PurePosixPath(item.image).suffix for part in parts for item in part.items]
    lower = sorted({suffix.lower().removeprefix(".") for suffix in suffixes})
    return min(suffixes) if len(lower) == 1 else f".{{{','.join(lower)}}}"


def _own_affixes(part: Part) -> tuple[str, str]:
    """What the image names have and the label names have not; what both have belongs to the stem."""
    images, labels = part.group.images, part.group.labels
    assert labels is not None
    prefix = "" if images.prefix == labels.prefix else images.prefix
    suffix = "" if images.suffix == labels.suffix else images.suffix
    return prefix, suffix


def _label_name(part: Part) -> str:
    images, labels = part.group.images, part.group.labels
    assert labels is not None
    prefix = "" if images.prefix == labels.prefix else labels.prefix
    suffix = "" if images.suffix == labels.suffix else labels.suffix
    extensions = {PurePosixPath(item.label or "").suffix for item in part.items}
    return f"{prefix}{{stem}}{suffix}{min(extensions)}"


def _labels_pattern(parts: list[Part]) -> str | None:
    """`gtFine/train/{parent}/{stem}_gtFine_labelIds.png`: where every image's label is; None if nowhere."""
    if not parts[0].labelled:
        return None
    # {parent} is the image's folder below the fixed part of the glob.
    [folder] = _image_folders(parts)
    fixed = PurePosixPath(folder.partition("*")[0]).parts
    shapes: set[str] | None = None
    for part in parts:
        assert part.group.labels is not None
        below = PurePosixPath(part.group.images.folder).parts[len(fixed) :]
        options = set(_with_parent(part.group.labels.folder, below))
        shapes = options if shapes is None else shapes & options
    if not shapes:
        return None
    # As few steps upwards as possible, and the placeholder as far inside as it goes.
    best = min(shapes, key=lambda one: (one.count("../"), -one.find("{parent}"), one))
    name = _label_name(parts[0])
    return f"{best}/{name}" if best else name


def _with_parent(own: str, below: tuple[str, ...]) -> Iterator[str]:
    """A label folder in terms of its images' folder `below` the fixed part: `mask/{parent}`, `{parent}_mask`.

    For sequences that each hold their own folders, `{parent}/../mask` steps up from the images' folder.
    """
    if not below:
        yield own
        return
    for up in range(len(below)):
        head = "/".join(below[: len(below) - up])
        for match in re.finditer(re.escape(head), own):
            before, after = own[: match.start()], own[match.end() :]
            if not up:
                yield f"{before}{{parent}}{after}"
            elif (not before or before.endswith("/")) and (not after or after.startswith("/")):
                yield f"{before}{{parent}}{'/..' * up}{after}"


def list_rule(parts: list[Part]) -> tuple[SplitSpec, tuple[str, ...]]:
    """A rule with a list instead of a glob, and its lines: stems, or files where stems don't do."""
    return _stems_rule(parts) or _files_rule(parts)


def _files_rule(parts: list[Part]) -> tuple[SplitSpec, tuple[str, ...]]:
    lines = (one.image if one.label is None else f"{one.image}\t{one.label}" for one in items_of(parts))
    return SplitSpec(list="to be named"), tuple(lines)


def _stems_rule(parts: list[Part]) -> tuple[SplitSpec, tuple[str, ...]] | None:
    extensions = {PurePosixPath(item.image).suffix for part in parts for item in part.items}
    labels = _labels_pattern(parts)
    if len(extensions) > 1 or (parts[0].labelled and (labels is None or not _named_alike(parts))):
        return None
    if parts[0].labelled:
        prefix, suffix = _own_affixes(parts[0])
    else:
        prefix, suffix = "", ""
    # The stems of several folders hold `/`: nothing may stand between folder and stem.
    if len(parts) > 1 and (prefix or (labels is not None and "{parent}/{stem}" not in labels)):
        return None
    fixed = _shared_start([PurePosixPath(part.group.images.folder).parts for part in parts])
    lines = []
    for part in parts:
        below = PurePosixPath(part.group.images.folder).parts[len(fixed) :]
        for item in part.items:
            stem = PurePosixPath(item.image).stem.removeprefix(prefix).removesuffix(suffix)
            lines.append("/".join([*below, stem]))
    rule = SplitSpec(
        images="/".join([*fixed, f"{prefix}{{stem}}{suffix}{extensions.pop()}"]),
        labels=None if labels is None else labels.replace("{parent}/", ""),
        list="to be named",
    )
    try:
        check_patterns(rule, "proposed", "proposal")
    except InputError:
        # Braces or wildcards in the names of folders.
        return None
    return rule, tuple(sorted(lines))


def _shared_start(folders: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    shared: list[str] = []
    for column in zip(*folders, strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return tuple(shared)
