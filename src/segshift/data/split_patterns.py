"""The patterns of a split: globs with `{stem}` and `{parent}`, alternatives `{jpg,png}`, or a list file."""

import fnmatch
import itertools
import math
import re
import string
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from segshift.config import Strict, did_you_mean
from segshift.data.walk import Folder, Walk, is_image_name
from segshift.errors import InputError, shortened

_PLACEHOLDERS = ("stem", "parent")
_WILDCARD = re.compile(r"[*?\[]")
_ALTERNATIVES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_MOST_ALTERNATIVES = 1000


class SplitSpec(Strict):
    """Where one split's files are, relative to the root.

    `images` is a glob (`rgb/train/**/*.png`) or several; `{jpg,png}` stands for either. `{stem}` in its file
    name stands for `*` and marks the part that `labels` repeats, else the stem is the file name without
    suffix. `{parent}` in `labels` is the image's folder below the part of the glob before its first wildcard.
    With `list`, a text file with one stem per line (which may hold `/`), `images` holds `{stem}` and is no
    glob; without `images` each line names an image file, or an image and its label. A split without labels
    leaves `labels` out. Upper and lower case of suffixes do not matter.
    """

    images: str | tuple[str, ...] | None = None
    labels: str | None = None
    list: str | None = None

    @property
    def patterns(self) -> tuple[str, ...]:
        """`images` with its alternatives written out."""
        given = (self.images,) if isinstance(self.images, str) else self.images or ()
        return tuple(dict.fromkeys(one for pattern in given for one in alternatives(pattern)))

    @property
    def shown(self) -> str:
        """`images` as messages write it."""
        return self.images if isinstance(self.images, str) else ", ".join(self.images or ())


def alternatives(pattern: str) -> tuple[str, ...]:
    """`a/*.{jpg,png}` as `a/*.jpg` and `a/*.png`; a pattern without alternatives is its only one.

    Raises:
        InputError: it stands for more than 1000 patterns.
    """
    pieces = _ALTERNATIVES.split(pattern)
    options = [piece.split(",") if index % 2 else [piece] for index, piece in enumerate(pieces)]
    if math.prod(map(len, options)) > _MOST_ALTERNATIVES:
        raise InputError(
            f"{shortened(pattern, 60)}: its `{{a,b}}` stand for more than {_MOST_ALTERNATIVES}; use `*`"
        )
    return tuple("".join(choice) for choice in itertools.product(*options))


def check_patterns(rule: SplitSpec, split: str, where: str) -> None:
    """Raises InputError for a pattern of `splits.<split>` that cannot work; `where` names the YAML."""
    if not rule.patterns:
        if rule.list is None:
            raise InputError(f"{where}: `splits.{split}.images` is missing; add the glob of its images")
        if rule.labels is not None:
            raise InputError(
                f"{where}: `splits.{split}.labels` needs `images` with {{stem}}; without `images` the list "
                f"names the labels in a second column"
            )
    for pattern in rule.patterns:
        _check_pattern("images", pattern, rule, f"{where}: `splits.{split}.images` = {pattern!r}")
    for pattern in () if rule.labels is None else alternatives(rule.labels):
        _check_pattern("labels", pattern, rule, f"{where}: `splits.{split}.labels` = {rule.labels!r}")


def _check_pattern(key: str, pattern: str, rule: SplitSpec, where: str) -> None:
    try:
        parsed = [part[1:] for part in string.Formatter().parse(pattern) if part[1] is not None]
    except ValueError as error:
        raise InputError(f"{where}: {error}; write {{stem}} or {{parent}}") from None
    fields = [str(name) for name, _, _ in parsed]
    listed = rule.list is not None
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
    elif not listed:
        _check_sets(pattern, where)


def _check_sets(pattern: str, where: str) -> None:
    """Raises InputError for a `[...]` that no character can match, such as `[z-a]`."""
    try:
        _capture(PurePosixPath(pattern).name)
    except re.error as error:
        raise InputError(f"{where}: {error}; write `[a-z]`, or `?` for any character") from None


def matches(pattern: str, walk: Walk) -> Iterator[tuple[str, str, str]]:
    """(place below the root, stem, parent) of every file that a glob finds, in the order of the walk.

    Where the suffix is a wildcard, only files with an image's suffix are found.
    """
    path = PurePosixPath(pattern)
    fixed = before_wildcard(path.parent)
    start = walk.start("/".join(fixed))
    if start is None:
        return
    name = _capture(path.name)
    any_suffix = _WILDCARD.search(path.suffix) is not None or "." not in path.name
    for folder in _folders(start, path.parent.parts[len(fixed) :], walk):
        files, _ = walk.entries(folder)
        parent = PurePosixPath(folder.below or ".").relative_to(PurePosixPath(*fixed))
        for file in files:
            match = name.fullmatch(file)
            if match is None or (any_suffix and not is_image_name(file)):
                continue
            stem = match.groupdict().get("stem") or PurePosixPath(file).stem
            yield folder.joined(file), stem, str(parent)


def _folders(folder: Folder, parts: Sequence[str], walk: Walk) -> Iterator[Folder]:
    if not parts:
        yield folder
        return
    head, *rest = parts
    while head == "**" and rest[:1] == ["**"]:  # means no more than one, and would find everything twice
        rest = rest[1:]
    if head == "**":
        yield from _folders(folder, rest, walk)
    _, below = walk.entries(folder)
    for one in below:
        if head == "**":
            yield from _folders(one, [head, *rest], walk)
        elif fnmatch.fnmatchcase(one.path.name, head):
            yield from _folders(one, rest, walk)


def may_find(rule: SplitSpec) -> Callable[[str], bool]:
    """Whether the file at a place below the root may be one of a split: image, label or list.

    It errs on the side of yes (a `*` for a stem that no image has), for those who copy files before they can
    be searched. A list without `images` names its files itself; then everything may be.
    """
    labels = () if rule.labels is None else alternatives(rule.labels)
    if not rule.patterns:
        return lambda place: True
    wanted = [_roughly(pattern) for pattern in (*rule.patterns, *labels)]
    return lambda place: place == rule.list or any(one.fullmatch(place) for one in wanted)


def _roughly(pattern: str) -> re.Pattern[str]:
    wide = {
        "{stem}": ".*",
        "{parent}/": "(?:.*/)?",
        "{parent}": ".*",
        "**/": "(?:.*/)?",
        "*": "[^/]*",
        "?": "[^/]",
    }
    pieces = re.split(r"(\{stem\}|\{parent\}/?|\*\*/|\*|\?|\[[^\]]+\])", pattern)
    text = "".join(
        "[^/]" if re.fullmatch(r"\[.+\]", one) else wide.get(one, re.escape(one)) for one in pieces
    )
    return re.compile(text, re.DOTALL | re.IGNORECASE)


def stem_in(pattern: str, place: str) -> str | None:
    """The `{stem}` with which a pattern of a list makes the file at `place`; None if it cannot."""
    body, dot, suffix = pattern.rpartition(".")
    if "{stem}" in suffix:
        body, dot, suffix = pattern, "", ""
    first, *rest = map(re.escape, (body + dot).split("{stem}"))
    text = first + "(?P<stem>.+)" + "(?P=stem)".join(rest) + f"(?i:{re.escape(suffix)})"
    match = re.fullmatch(text, place, re.DOTALL)
    return match["stem"] if match else None


def before_wildcard(folder: PurePosixPath) -> tuple[str, ...]:
    """The parts of a folder's pattern before the first that holds a wildcard."""
    parts = folder.parts
    for index, part in enumerate(parts):
        if _WILDCARD.search(part):
            return parts[:index]
    return parts


def _capture(name_glob: str) -> re.Pattern[str]:
    body, dot, suffix = name_glob.rpartition(".")
    pieces = [_as_regex(body + dot), f"(?i:{_as_regex(suffix)})"]
    return re.compile("".join(pieces), re.DOTALL)


def _as_regex(glob: str) -> str:
    parts = []
    for piece in re.split(r"(\{stem\}|\*|\?|\[[^\]]+\])", glob):
        if piece.startswith("[") and piece.endswith("]"):
            inside = piece.replace("\\", "\\\\")
            parts.append("[^" + inside[2:] if inside.startswith("[!") else inside)
        else:
            parts.append({"{stem}": "(?P<stem>.+)", "*": ".*", "?": "."}.get(piece, re.escape(piece)))
    return "".join(parts)
