"""Finding the files of a split: globs with `{stem}` and `{parent}`, or list files."""

import glob
import os
import re
import string
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from segshift.config import Strict, did_you_mean
from segshift.errors import InputError
from segshift.files import expanded

_PLACEHOLDERS = ("stem", "parent")
_WILDCARD = re.compile(r"[*?\[]")


class SplitSpec(Strict):
    """Where one split's files are, relative to the root.

    `images` is a glob (`rgb/train/**/*.png`); `{stem}` in its file name stands for `*` and marks the part
    that `labels` repeats, else the stem is the file name without suffix. `{parent}` in `labels` is the
    image's folder below the part of the glob before its first wildcard. With `list`, a text file with one
    stem per line (which may hold `/`), `images` holds `{stem}` and is no glob. A split without labels leaves
    `labels` out.
    """

    images: str
    labels: str | None = None
    list: str | None = None


@dataclass(frozen=True)
class Sample:
    """One image with its label file, if it has one; `stem` is unique within the split and may hold `/`."""

    stem: str
    image: Path
    label: Path | None


def check_patterns(rule: SplitSpec, split: str, where: str) -> None:
    """Raises InputError for a pattern of `splits.<split>` that cannot work; `where` names the YAML."""
    for key, pattern in (("images", rule.images), ("labels", rule.labels)):
        if pattern is not None:
            _check_pattern(
                key, pattern, rule.list is not None, f"{where}: `splits.{split}.{key}` = {pattern!r}"
            )


def _check_pattern(key: str, pattern: str, listed: bool, where: str) -> None:
    try:
        parsed = [part[1:] for part in string.Formatter().parse(pattern) if part[1] is not None]
    except ValueError as error:
        raise InputError(f"{where}: {error}; write {{stem}} or {{parent}}") from None
    fields = [str(name) for name, _, _ in parsed]
    for name in fields:
        if name not in _PLACEHOLDERS:
            raise InputError(f"{where}: unknown placeholder {{{name}}}{did_you_mean(name, _PLACEHOLDERS)}")
    if any(specification or conversion for _, specification, conversion in parsed):
        raise InputError(f"{where}: placeholders take no format; write {{stem}} or {{parent}}")
    if Path(pattern).is_absolute():
        raise InputError(f"{where} is absolute; give it relative to `root`")
    if key == "labels":
        if not fields or _WILDCARD.search(pattern):
            raise InputError(
                f"{where} must name each image's label by {{stem}} or {{parent}}, without wildcards"
            )
    elif "parent" in fields:
        raise InputError(f"{where}: {{parent}} belongs into `labels`; use ** in `images`")
    elif listed and ("stem" not in fields or _WILDCARD.search(pattern)):
        raise InputError(f"{where}: with `list`, it must hold {{stem}} and no wildcards")
    elif not listed and (fields.count("stem") > 1 or "{stem}" in str(PurePosixPath(pattern).parent)):
        raise InputError(f"{where}: {{stem}} may stand once, in the file name; use * in the folders")


def find_samples(rule: SplitSpec, split: str, root: Path, where: str, folder: Path) -> tuple[Sample, ...]:
    """The samples of `splits.<split>`: those of a glob sorted by path, those of a list in its order.

    Label files, and the images of a list, are named here without looking whether they exist.

    Args:
        rule: the split's patterns, checked with `check_patterns`.
        split: its name, for messages.
        root: the folder that patterns are relative to.
        where: the YAML, for messages.
        folder: the YAML's folder, where a `list` may lie as well as in the root.

    Raises:
        InputError: nothing found, an unreadable or empty list, or one stem twice.
    """
    if rule.list is not None:
        return _listed(rule, split, root, where, folder)
    return _globbed(rule, split, root, where)


def _sample(rule: SplitSpec, root: Path, unique: str, image: Path, stem: str, parent: str) -> Sample:
    label = None
    if rule.labels is not None:
        label = root / rule.labels.replace("{stem}", stem).replace("{parent}", parent)
    return Sample(unique, image, label)


def _globbed(rule: SplitSpec, split: str, root: Path, where: str) -> tuple[Sample, ...]:
    pattern = PurePosixPath(rule.images)
    # A stem that is not marked is everything before the suffix.
    marked = _capture(pattern.name) if "{stem}" in pattern.name else None
    fixed = PurePosixPath(*_before_wildcard(pattern.parent))
    # glob.glob instead of Path.glob: it follows links, which many people's data consist of.
    found = glob.glob(rule.images.replace("{stem}", "*"), root_dir=root, recursive=True)
    samples: dict[str, Sample] = {}
    for relative in sorted({name.replace(os.sep, "/") for name in found}):
        path = PurePosixPath(relative)
        match = marked.fullmatch(path.name) if marked else None
        image = root / relative
        # A link to nothing stays in, so that it is reported instead of missing silently.
        if (marked and match is None) or image.is_dir():
            continue
        stem = match["stem"] if match else path.stem
        parent = path.parent.relative_to(fixed)
        unique = str(parent / stem)
        if unique in samples:
            raise InputError(
                f"{where}: {samples[unique].image} and {image} have the same stem {unique!r}; narrow "
                f"`splits.{split}.images`, for example to one suffix"
            )
        samples[unique] = _sample(rule, root, unique, image, stem, str(parent))
    if not samples:
        raise InputError(
            f"{where}: `splits.{split}.images` = {rule.images!r} matches no file below {root}; "
            f"{_whereabouts(rule.images, root)}"
        )
    return tuple(samples.values())


def _listed(rule: SplitSpec, split: str, root: Path, where: str, folder: Path) -> tuple[Sample, ...]:
    name = str(rule.list)
    path = root / expanded(name)
    if not path.exists() and (folder / name).exists():
        # Lists usually come with the data, but an own YAML for someone else's data brings its own.
        path = folder / name
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        missing = isinstance(error, FileNotFoundError)
        remedy = f"; {_whereabouts(name, root)}" if missing else "; correct `list`"
        reason = "no such file" if missing else str(error).splitlines()[0]
        raise InputError(f"{where}: `splits.{split}.list` = {name!r}: {path}: {reason}{remedy}") from None
    stems = [line for line in lines if line and not line.startswith("#")]
    if not stems:
        raise InputError(f"{path}: the list of split {split!r} is empty; write one stem per line")
    stem, times = Counter(stems).most_common(1)[0]
    if times > 1:
        raise InputError(f"{path}: {stem!r} stands {times} times; keep one")
    return tuple(
        _sample(
            rule,
            root,
            stem,
            root / rule.images.replace("{stem}", stem),
            stem,
            str(PurePosixPath(stem).parent),
        )
        for stem in stems
    )


def _whereabouts(pattern: str, root: Path) -> str:
    """What to do about a pattern without match: the neighboring root that has one, or what this one holds."""
    fixed = _before_wildcard(PurePosixPath(pattern.replace("{stem}", "*")).parent)
    # Archives unpack into a folder of their own, and people name the folder with the images.
    inside = [root / name.rstrip("/") for name in _names(root) if name.endswith("/")]
    for other in [*inside[:100], root.parent, root.parent.parent] if fixed else []:
        found = glob.iglob(pattern.replace("{stem}", "*"), root_dir=other, recursive=True)
        if os.path.isdir(other / fixed[0]) and next(found, None) is not None:
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


def _capture(name_glob: str) -> re.Pattern[str]:
    parts = []
    for piece in re.split(r"(\{stem\}|\*|\?|\[[^\]]+\])", name_glob):
        if piece.startswith("[") and piece.endswith("]"):
            parts.append("[^" + piece[2:] if piece.startswith("[!") else piece)
        else:
            parts.append({"{stem}": "(?P<stem>.+)", "*": ".*", "?": "."}.get(piece, re.escape(piece)))
    return re.compile("".join(parts))


def _before_wildcard(folder: PurePosixPath) -> tuple[str, ...]:
    parts = folder.parts
    for index, part in enumerate(parts):
        if _WILDCARD.search(part):
            return parts[:index]
    return parts
