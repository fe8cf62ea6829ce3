"""YAML and JSON texts as plain data: limits on size, depth and aliases, and every refusal in one line.

All that the program reads of both kinds comes through here. What may be written is text, numbers, true and
false, null, lists, and mappings, with anchors, aliases and merge keys (`<<`) that unfold within the limits.
It is YAML 1.1 as PyYAML reads it, but for three traps: dates are text, 011 is eleven (not octal nine), and
1:30 is text (not ninety).
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml.composer import Composer
from yaml.resolver import BaseResolver

from segshift import files
from segshift.errors import InputError, shortened, shown

try:
    from yaml._yaml import CParser as _Parser
except ImportError:  # PyYAML was built without libyaml, which reads many times faster

    class _Parser(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):  # type: ignore[no-redef]
        def __init__(self, stream: str) -> None:
            yaml.reader.Reader.__init__(self, stream)
            yaml.scanner.Scanner.__init__(self)
            yaml.parser.Parser.__init__(self)


MOST_BYTES = 8 * 2**20
MOST_VALUES = 200_000
MOST_LEVELS = 40
MOST_JSON_BYTES = 2**28
"""Results with confusion matrices and logs of long runs are larger than what people write."""
LARGEST_INTEGER = 2**63 - 1

_TAG = "tag:yaml.org,2002:"


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        InputError: the file is missing, no regular file or too large, is not YAML, has a key twice, goes
            beyond the limits, or holds something else than a mapping.
    """
    return parse_yaml(read_text(Path(path), "YAML file"), where=str(path))


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    """The mapping in a YAML text; `where` names it in errors. Raises InputError as `read_yaml` does."""
    data = parse_yaml_value(text, where)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise InputError(f"{where}: must hold `key: value` lines, not a {type(data).__name__}")
    return data


def parse_yaml_value(text: str, where: str) -> Any:
    """Whatever plain data a YAML text holds; None for an empty one. Raises InputError as `read_yaml` does."""
    try:
        if len(text.encode()) > MOST_BYTES:
            raise InputError(f"{where}: is larger than {MOST_BYTES} bytes; shorten it")
        node = _Composer(text).get_single_node()
        return None if node is None else _Plain().value(node)
    except UnicodeEncodeError:
        raise InputError(f"{where}: not valid YAML: holds bytes that are no UTF-8; write them anew") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{where}{line}: not valid YAML: {error.problem}; mend that line") from None
    except yaml.YAMLError as error:
        raise InputError(f"{where}: not valid YAML: {first_line(error)}") from None


def read_json(path: str | Path) -> Any:
    """What a JSON file holds. Raises InputError: a file that cannot be read, or as `parse_json` does."""
    return parse_json(read_text(Path(path), "JSON file", MOST_JSON_BYTES), where=str(path))


def read_json_object(path: Path, fault: str) -> dict[str, Any]:
    """A JSON file of ours that holds an object. Raises InputError of `fault` for one that is damaged."""
    try:
        value = read_json(path)
    except InputError:
        value = None
    if not isinstance(value, dict):
        raise InputError(f"{path}: {fault}")
    return value


def parse_json(text: str | bytes, where: str) -> Any:
    """What a JSON text holds; `where` names it in errors.

    Raises:
        InputError: it is no JSON, nests too deep, or holds a number with thousands of digits.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise InputError(f"{where}: nests deeper than {MOST_LEVELS} levels; write it anew") from None
    except ValueError as error:  # undecodable bytes and endless numbers among them
        raise InputError(f"{where}: not valid JSON ({first_line(error)}); write it anew") from None
    layer, level = [value], 0
    while layer:
        if level > MOST_LEVELS:
            raise InputError(f"{where}: nests deeper than {MOST_LEVELS} levels; write it anew")
        layer = [part for one in layer for part in _parts(one)]
        level += 1
    return value


def dump_yaml(value: Any, *, flow: bool | None = False, width: int = 80) -> str:
    """Plain data as YAML that reads back as the same, keys in their order.

    Args:
        value: the data.
        flow: True writes `[1, 2]` and `{a: 1}`, False one line per part, None the former for the innermost.
        width: where lines are broken, in characters.
    """
    return yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=flow, width=width
    )


def read_text(path: Path, noun: str, most_bytes: int = MOST_BYTES) -> str:
    """A regular file's text, UTF-8; `noun` says in errors what was expected. Raises InputError."""
    try:
        size = path.stat().st_size
        if size > most_bytes:
            raise InputError(f"{path}: is larger than {most_bytes} bytes; give a {noun} that is shorter")
        return files.read_text(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of an existing {noun}") from None
    except InputError:
        raise
    except (OSError, ValueError) as error:  # ValueError: bytes that are no UTF-8, a NUL in the name
        reason = getattr(error, "strerror", None) or first_line(error)
        raise InputError(f"{path}: cannot be read as text ({reason}); give the path of a {noun}") from None


def first_line(error: Exception) -> str:
    """An exception's message without its further lines; its kind if it has none."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


class _Resolver(BaseResolver):
    """What a word without quotes means."""


for _kind, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", "yYnNtTfFoO"),
    ("int", r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("merge", "<<", "<"),
):
    _Resolver.add_implicit_resolver(_TAG + _kind, re.compile(f"(?:{_pattern})\\Z"), list(_first))


class _Composer(Composer, _Parser, _Resolver):
    """Nodes of a text, no deeper than `MOST_LEVELS`."""

    def __init__(self, text: str) -> None:
        _Parser.__init__(self, text)
        Composer.__init__(self)
        _Resolver.__init__(self)
        self._level = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._level += 1
        if self._level > MOST_LEVELS:
            raise _problem(f"it nests deeper than {MOST_LEVELS} levels", self.peek_event())
        node = super().compose_node(parent, index)
        self._level -= 1
        return node


class _Plain:
    """Nodes as plain data. Every alias unfolds into a copy, so that values count what memory they take."""

    def __init__(self) -> None:
        self._values = 0
        self._open: list[yaml.Node] = []

    def value(self, node: yaml.Node) -> Any:
        self._values += 1
        if self._values > MOST_VALUES:
            raise _problem(f"it holds, or its aliases unfold to, more than {MOST_VALUES} values", node)
        if any(node is one for one in self._open):
            raise _problem("it holds itself by an alias", node)
        if len(self._open) >= MOST_LEVELS:
            raise _problem(f"its aliases nest deeper than {MOST_LEVELS} levels", node)
        self._open.append(node)
        kind = node.tag.removeprefix(_TAG)
        if isinstance(node, yaml.ScalarNode) and kind in _SCALARS:
            found = self._scalar(node, _SCALARS[kind])
        elif isinstance(node, yaml.SequenceNode) and kind == "seq":
            found = [self.value(part) for part in node.value]
        elif isinstance(node, yaml.MappingNode) and kind == "map":
            found = self._mapping(node)
        else:
            tag = node.tag.replace(_TAG, "!!")
            raise _problem(f"the tag {shown(tag)} is not read; write plain text, numbers and lists", node)
        self._open.pop()
        return found

    def _scalar(self, node: yaml.ScalarNode, convert: Callable[[str], Any]) -> Any:
        try:
            return convert(node.value)
        except (ValueError, KeyError):
            raise _problem(f"{shown(node.value)} is no value that can be used here", node) from None

    def _mapping(self, node: yaml.MappingNode) -> dict[Any, Any]:
        merged: dict[Any, Any] = {}
        own: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                merged = self._merged(value_node) | merged
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise _problem(_no_key(key_node), key_node)
            key = self.value(key_node)
            if key in own:
                raise _problem(f"the key {shown(key)} stands twice", key_node)
            own[key] = self.value(value_node)
        return merged | own

    def _merged(self, node: yaml.Node) -> dict[Any, Any]:
        """What `<<: *one` or `<<: [*one, *two]` brings along; of equal keys, the first one's value."""
        value = self.value(node)
        merged: dict[Any, Any] = {}
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, dict):
                raise _problem("`<<` takes a mapping, or a list of some", node)
            merged = part | merged
        return merged


class _Dumper(yaml.SafeDumper):
    """Quotes each text that this reader, or PyYAML's own, would take for something else; makes no aliases."""

    yaml_implicit_resolvers: ClassVar = {  # type: ignore[misc]
        first: [
            *yaml.SafeDumper.yaml_implicit_resolvers.get(first, []),
            *_Resolver.yaml_implicit_resolvers.get(first, []),
        ]
        for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *_Resolver.yaml_implicit_resolvers}
    }

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        # YAML 1.1 counts these among the line breaks, which fold into blanks unless they are escaped.
        style = '"' if re.search("[\x85\u2028\u2029]", data) else None
        return self.represent_scalar(_TAG + "str", data, style)


_Dumper.add_representer(str, _Dumper.represent_str)


def _problem(words: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=words, problem_mark=at.start_mark)


def _no_key(node: yaml.Node) -> str:
    """What to write instead of a list or mapping as a key: often a color, or text that needs quotes."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping cannot be a key; put text with braces in quotes"
    parts = [part.value for part in node.value if isinstance(part, yaml.ScalarNode)]
    color = ",".join(parts) if len(parts) == 3 and all(map(str.isdecimal, parts)) else "128,64,128"
    return f'a list cannot be a key; write a color as "{shortened(color, 40)}"'


def _text(text: str) -> str:
    """`text`, if files and terminals can take it: a quoted "\\0" or half of a surrogate pair breaks them."""
    text.encode()
    if "\0" in text:
        raise ValueError
    return text


def _integer(text: str) -> int:
    digits = text.replace("_", "").lower().lstrip("+-")
    if len(digits) > 70:
        raise ValueError
    base = {"0x": 16, "0b": 2}.get(digits[:2], 10)
    number = int(digits, base)
    if number > LARGEST_INTEGER:
        raise ValueError
    return -number if text.startswith("-") else number


def _float(text: str) -> float:
    return float(re.sub(r"^([-+]?)\.(?=[inIN])", r"\1", text.replace("_", "")))


def _null(text: str) -> None:
    if text not in {"", "~", "null", "Null", "NULL"}:
        raise ValueError


_TRUTH = {"yes": True, "no": False, "true": True, "false": False, "on": True, "off": False}
_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": _text,
    "int": _integer,
    "float": _float,
    "null": _null,
    "bool": lambda text: _TRUTH[text.lower()],
}
