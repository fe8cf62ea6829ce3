"""The proposed data set as YAML that a person reads: what was found, what was guessed and why, what to do."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from segshift.data.labels import Color, class_set
from segshift.data.split_patterns import SplitSpec
from segshift.dataset_init.guess import Meaning
from segshift.dataset_init.values import Value, Values, key_of
from segshift.plain import counted, share_in_words

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*( [A-Za-z0-9_]+)*")
_YAML_WORDS = {"y", "n", "yes", "no", "true", "false", "on", "off", "null"}
_WIDTH = 108


def text_of(
    name: str,
    root: Path,
    out: Path,
    rules: dict[str, SplitSpec],
    counts: dict[str, tuple[int, int]],
    values: Values | None,
    meaning: Meaning,
    notes: Sequence[str],
) -> str:
    """The YAML text.

    Args:
        name: of the data set.
        root: the folder of the files; written relative to `out` if it lies below.
        out: the file to be written, for paths and the commands in the comments.
        rules: the splits.
        counts: (images, labels) of each split.
        values: of the sampled labels; None for a tree without labels.
        meaning: the classes and the label rule.
        notes: what could not be decided.
    """
    lines = [
        f"# Proposed by `segshift data init` for {root}: read it, correct it, then",
        f"#   segshift data check {out} --html check.html",
    ]
    for note in notes:
        lines += ["#", *_comment(f"LOOK AT THIS: {note}.", "")]
    lines += ["", f"name: {_scalar(name)}", f"root: {_quoted(_root(root, out))}", "splits:"]
    for split, rule in rules.items():
        images, labels = counts[split]
        noun = "image" if images == 1 else "images"
        lines.append(f"  # {images} {noun} {'with' if labels else 'without'} labels")
        keys = [("list", rule.list), ("images", rule.images), ("labels", rule.labels)]
        listed = [f"{key}: {_value(value)}" for key, value in keys if value is not None]
        one_line = f"  {_scalar(split)}: {{{', '.join(listed)}}}"
        if len(one_line) <= _WIDTH:
            lines.append(one_line)
        else:
            lines += [f"  {_scalar(split)}:", *(f"    {entry}" for entry in listed)]
    lines += _no_validation(rules, counts)
    lines += ["", *_comment(("Guessed: " if values else "") + meaning.reason + ".", "")]
    lines += list(_classes(meaning, values))
    lines += list(_labels(meaning, values))
    return "\n".join(lines) + "\n"


def written(value: Value, values: Values) -> str:
    """A value as messages write it: an id, or a color as `128,64,128`."""
    return str(key_of(value.value, values))


def _root(root: Path, out: Path) -> str:
    folder, whole = out.resolve().parent, root.resolve()
    return os.path.relpath(whole, folder) if whole.is_relative_to(folder) else str(whole)


def _no_validation(rules: dict[str, SplitSpec], counts: dict[str, tuple[int, int]]) -> list[str]:
    labelled = [split for split in rules if counts[split][1]]
    if len(labelled) != 1 or labelled[0] != "train":
        return []
    return _comment(
        "No labelled images beside train: to measure honestly, hold some back. Write their stems into a text "
        "file, one per line, and add a split with `list:`, which needs {stem} in `images`.",
        "  ",
    )


def _classes(meaning: Meaning, values: Values | None) -> Iterator[str]:
    if isinstance(meaning.classes, str):
        yield f"classes: {meaning.classes}"
        names = ", ".join(class_set(meaning.classes).names)
        yield from _comment(names, "  ")
        return
    if not meaning.certain:
        yield from _comment(
            "Rename the classes here and in `labels.map` below; equal names (in the map) make one class of "
            "several values, and a value moved to `ignore` counts nowhere.",
            "",
        )
    yield "classes:"
    for name in meaning.classes:
        yield f"  - {_scalar(name)}"
    colors = _palette(meaning, values)
    if colors:
        yield "# The colors of the labels, for pictures."
        yield "palette:"
        for name, color in zip(meaning.classes, colors, strict=True):
            yield f"  - [{', '.join(map(str, color))}]  # {name}"


def _palette(meaning: Meaning, values: Values | None) -> list[Color] | None:
    """One color per class, from the labels themselves; None unless all have one and no two the same."""
    found: dict[str, Color] = {}
    for one in values.values if values else ():
        name = meaning.named.get(one.value)
        if name is not None and one.color is not None:
            found.setdefault(name, one.color)
    colors = [found[name] for name in meaning.classes if name in found]
    return colors if len(colors) == len(meaning.classes) == len(set(colors)) else None


def _labels(meaning: Meaning, values: Values | None) -> Iterator[str]:
    if values is None:
        return
    rule = meaning.rule
    seen = {written(one, values): one for one in values.values}
    part = f"{values.sampled} of " if values.sampled < values.of else ""
    yield ""
    yield f"# Values in {part}{values.of} label files: share of the pixels, number of files"
    mapped = rule.map if isinstance(rule.map, dict) else {}
    if not mapped:
        width = max(map(len, seen))
        for key, one in seen.items():
            yield f"#   {key:>{width}}  {_facts(one, values)}  {meaning.named.get(one.value) or 'ignored'}"
    yield "labels:"
    yield f"  kind: {rule.kind}"
    if rule.channel is not None:
        yield f"  channel: {rule.channel}"
    if mapped:
        yield "  map:"
        for value, name in mapped.items():
            yield _with_facts(f"    {_key(value)}: {_scalar(name)}", seen.get(str(value)), values)
    elif rule.map:
        yield f"  map: {rule.map}"
    if rule.ignore and mapped:
        yield "  ignore:"
        for value in rule.ignore:
            yield _with_facts(f"    - {_key(value)}", seen.get(str(value)), values)
    elif rule.ignore:
        yield f"  ignore: [{', '.join(_key(value) for value in rule.ignore)}]"
    if values.unequal:
        yield from _comment(
            f"{values.unequal} of the sampled labels have another size than their image, which is an error "
            f"unless you want them stretched:",
            "  ",
        )
        yield "  # unequal_sizes: resize"
    yield "  # Other values become ignored, and `data check` lists them; `other: error` refuses them."
    yield "  other: ignore"


def _with_facts(line: str, found: Value | None, values: Values) -> str:
    return f"{line:<34}# {_facts(found, values) if found else 'not seen'}"


def _facts(one: Value, values: Values) -> str:
    text = f"{share_in_words(one.share):>8}  {counted(one.files, 'file'):>9}"
    if one.color is not None and values.kind != "rgb":
        text += f"  palette {','.join(map(str, one.color))}"
    return text


def _key(key: int | str) -> str:
    return str(key) if isinstance(key, int) else json.dumps(key)


def _value(value: str | tuple[str, ...]) -> str:
    return _quoted(value) if isinstance(value, str) else f"[{', '.join(map(_quoted, value))}]"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _scalar(text: str) -> str:
    plain = _PLAIN.fullmatch(text) is not None and text.lower() not in _YAML_WORDS
    return text if plain else _quoted(text)


def _comment(text: str, indent: str) -> list[str]:
    lines, line = [], f"{indent}#"
    for word in " ".join(text.split()).split(" "):
        if len(line) + 1 + len(word) > _WIDTH and line != f"{indent}#":
            lines.append(line)
            line = f"{indent}#"
        line += f" {word}"
    return [*lines, line]
