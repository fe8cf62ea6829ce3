"""Finding the files of a split, for `init`, `check`, `train` and all that read data sets."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from segshift.data.list_files import Line, invisible, read_list
from segshift.data.split_patterns import SplitSpec, alternatives, before_wildcard, matches, stem_in
from segshift.data.walk import Walk, is_image_name
from segshift.errors import InputError
from segshift.files import expanded


@dataclass(frozen=True)
class Sample:
    """One image with its label file, if it has one; `stem` is unique within the split and may hold `/`.

    An image without a label may be `upright`: turned as its EXIF orientation says.
    """

    stem: str
    image: Path
    label: Path | None
    upright: bool = False


def find_samples(rule: SplitSpec, split: str, root: Path, where: str, folder: Path) -> tuple[Sample, ...]:
    """The samples of `splits.<split>`: those of globs sorted by path, those of a list in its order.

    Label files, and the images of a list, are named here whether they exist or not. Images without labels may
    share a stem (`a.jpg`, `a.png`); theirs then keep their suffix.

    Args:
        rule: the split's patterns, checked with `check_patterns`.
        split: its name, for messages.
        root: the folder that patterns are relative to.
        where: the YAML, for messages.
        folder: the YAML's folder, where a `list` may lie as well as in the root.

    Raises:
        InputError: nothing found, an unreadable or empty list, or two images of one stem with labels.
    """
    found = _listed(rule, split, root, where, folder) if rule.list is not None else _globbed(rule, root)
    samples = _apart(list(found), rule, split, where)
    if not samples:
        raise InputError(
            f"{where}: `splits.{split}.images` = {rule.shown!r} matches no file below {root}; "
            f"{_whereabouts(rule.patterns, root)}"
        )
    return samples


def left_out(root: Path, samples: tuple[Sample, ...]) -> tuple[str, ...]:
    """Image files that lie in the folders of the samples' images, but are neither image nor label of any.

    Also links that lead back to a folder in which they lie. Places below the root (or whole paths), sorted.
    """
    used = {os.path.normpath(path) for one in samples for path in (one.image, one.label) if path is not None}
    found = []
    for folder in sorted({one.image.parent for one in samples}):
        walk = Walk(folder)
        start = walk.start()
        if start is None:
            continue
        files, _ = walk.entries(start)
        found += [folder / name for name in files if is_image_name(name)]
        found += [folder / name for name in walk.loops]
    unused = [path for path in found if os.path.normpath(path) not in used]
    return tuple(str(path.relative_to(root) if path.is_relative_to(root) else path) for path in unused)


def existing(path: Path) -> Path:
    """The path, or the one that differs from it in the case of its suffix alone, whichever is there."""
    if is_there(path) or not path.suffix:
        return path
    return next(filter(is_there, map(path.with_suffix, (path.suffix.lower(), path.suffix.upper()))), path)


def is_there(path: Path) -> bool:
    """Whether a path leads to something that is no folder; a name that no file can have is not there."""
    return os.path.exists(path) and not os.path.isdir(path)


def _sample(rule: SplitSpec, root: Path, image: Path, unique: str, stem: str, parent: str) -> Sample:
    label = None
    if rule.labels is not None:
        options = [
            existing(root / one.replace("{stem}", stem).replace("{parent}", parent))
            for one in alternatives(rule.labels)
        ]
        label = next(filter(is_there, options), options[0])
    return Sample(unique, image, label)


def _globbed(rule: SplitSpec, root: Path) -> Iterator[Sample]:
    places: dict[str, tuple[str, str]] = {}
    walk = Walk(root)
    for pattern in rule.patterns:
        for place, stem, parent in matches(pattern, walk):
            places.setdefault(place, (stem, parent))
    if walk.unreadable:
        # What lies in it would be missing without a word.
        raise InputError(f"{root / min(walk.unreadable)}: the folder cannot be opened; check its permissions")
    for place in sorted(places):
        stem, parent = places[place]
        yield _sample(rule, root, root / place, str(PurePosixPath(parent) / stem), stem, parent)


def _apart(samples: list[Sample], rule: SplitSpec, split: str, where: str) -> tuple[Sample, ...]:
    """The samples with stems that are unique."""
    alike: dict[str, list[Sample]] = defaultdict(list)
    for one in samples:
        alike[one.stem].append(one)
    for stem, group in alike.items():
        if len(group) == 1:
            continue
        if rule.labels is not None or any(one.label is not None for one in group):
            raise InputError(
                f"{where}: {group[0].image} and {group[1].image} have the same stem {stem!r}, so that both "
                f"would have one label; narrow `splits.{split}.images`, for example to one suffix"
            )
    return tuple(
        one
        if len(alike[one.stem]) == 1
        else replace(one, stem=str(PurePosixPath(one.stem).parent / one.image.name))
        for one in samples
    )


def _listed(rule: SplitSpec, split: str, root: Path, where: str, folder: Path) -> Iterator[Sample]:
    path, lines = _lines(rule, split, root, where, folder)
    name, times = Counter(line.name for line in lines).most_common(1)[0]
    if times > 1:
        raise InputError(f"{path}: {name!r} stands {times} times; keep one")
    if not rule.patterns:
        yield from _named_files(path, lines, root)
        return
    for line in lines:
        yield _of_line(rule, line, root)


def _lines(
    rule: SplitSpec, split: str, root: Path, where: str, folder: Path
) -> tuple[Path, tuple[Line, ...]]:
    name = str(rule.list)
    path = root / expanded(name)
    if not path.exists() and (folder / name).exists():
        # Lists usually come with the data, but an own YAML for someone else's data brings its own.
        path = folder / name
    try:
        lines = read_list(path)
    except (OSError, UnicodeDecodeError) as error:
        missing = isinstance(error, FileNotFoundError)
        remedy = f"; {_whereabouts((name,), root)}" if missing else "; correct `list`"
        reason = "no such file" if missing else str(error).splitlines()[0]
        raise InputError(f"{where}: `splits.{split}.list` = {name!r}: {path}: {reason}{remedy}") from None
    if not lines:
        raise InputError(f"{path}: the list of split {split!r} is empty; write one stem per line")
    return path, lines


def _named_files(path: Path, lines: tuple[Line, ...], root: Path) -> Iterator[Sample]:
    """The samples of a list that names files: images, or images and their labels."""
    labelled = lines[0].label is not None
    for line in lines:
        if not line.is_file:
            raise InputError(
                f"{path}: {line.name!r} is no image file{invisible(line.name)}; for a list of stems give "
                f"`images` with {{stem}}"
            )
        if (line.label is not None) != labelled:
            raise InputError(
                f"{path}: of {lines[0].name!r} and {line.name!r} one has a label; give all one or none"
            )
        label = None if line.label is None else existing(root / line.label)
        stem = str(PurePosixPath(line.name).with_suffix(""))
        yield Sample(stem, existing(root / line.name), label)


def _of_line(rule: SplitSpec, line: Line, root: Path) -> Sample:
    """The sample of a stem; a line that names a file of the patterns is taken for its stem."""
    stems = [line.name]
    if line.is_file:
        stems += [stem for one in rule.patterns if (stem := stem_in(one, line.name)) is not None]
        stems.append(str(PurePosixPath(line.name).with_suffix("")))
    options = [
        (stem, existing(root / one.replace("{stem}", stem))) for stem in stems for one in rule.patterns
    ]
    stem, image = next((option for option in options if is_there(option[1])), options[0])
    return _sample(rule, root, image, stem, stem, str(PurePosixPath(stem).parent))


def _whereabouts(patterns: tuple[str, ...], root: Path) -> str:
    """What to do about patterns without match: the neighboring root that has one, or what this one holds."""
    plain = [pattern.replace("{stem}", "*") for pattern in patterns]
    fixed = before_wildcard(PurePosixPath(plain[0]).parent)
    # Archives unpack into a folder of their own, and people name the folder with the images.
    inside = [root / name.rstrip("/") for name in _names(root) if name.endswith("/")]
    for other in [*inside[:100], root.parent, root.parent.parent] if fixed else []:
        found = (next(matches(pattern, Walk(other)), None) for pattern in plain)
        if os.path.isdir(other / fixed[0]) and any(one is not None for one in found):
            return f"{other} has such files: give it as the root"
    folder = root
    for part in fixed:
        if not os.path.isdir(folder / part):
            break
        folder /= part
    names = _names(folder)
    held = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"{folder} holds {held or 'nothing'}; correct the pattern or the root"


def _names(folder: Path) -> list[str]:
    """What a folder holds, folders with a `/` at the end; nothing if it cannot be read."""
    try:
        return sorted(name + "/" * os.path.isdir(folder / name) for name in os.listdir(folder))
    except OSError:
        return []
