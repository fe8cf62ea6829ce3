"""Plain data from YAML and JSON: what is read as what, and that no text breaks the reader."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from segshift.config import Strict, apply_overrides, assignment, parse
from segshift.documents import dump_yaml, parse_json, parse_yaml, parse_yaml_value, read_json, read_yaml
from segshift.errors import InputError
from segshift.files import expanded


def bomb(step: str) -> str:
    """Nine values nine times, nine levels high: less than a kilobyte that unfolds to 387 million."""
    levels = [f"l{i}: &l{i} {step.format(','.join([f'*l{i - 1}'] * 9))}\n" for i in range(1, 9)]
    return "l0: &l0 {x: 1}\n" + "".join(levels)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("011", 11),
        ("-08", -8),
        ("{011: road}", {11: "road"}),
        ("0x1F", 31),
        ("1_000", 1000),
        ("1:30", "1:30"),
        ("2024-13-45", "2024-13-45"),
        ("!!str 011", "011"),
        ("yes", True),
        ("~", None),
        ("", None),
        ("[1.5, -.5e+3, .5]", [1.5, "-.5e+3", 0.5]),
        ("{base: &b {x: 1, y: 2}, own: {<<: *b, y: 3}}", {"base": {"x": 1, "y": 2}, "own": {"x": 1, "y": 3}}),
        ("[&a {x: 1}, &b {x: 2, y: 2}, {<<: [*a, *b]}]", [{"x": 1}, {"x": 2, "y": 2}, {"x": 1, "y": 2}]),
        ("[&a [1], *a]", [[1], [1]]),
        ("a[b: 1", {"a[b": 1}),
    ],
)
def test_what_is_read(text: str, value: Any) -> None:
    assert parse_yaml_value(text, "text") == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("map: {[128,64,128]: road}", 'write a color as "128,64,128"'),
        ("map:\n  [70, 70, 70]: road", 'line 2: .*write a color as "70,70,70"'),
        ("labels: {stem}.png", "not valid YAML"),
        ("{{stem}: 1}", "put text with braces in quotes"),
        (bomb("[{}]"), "unfold to, more than 200000 values"),
        (bomb("{{<<: [{}]}}"), "unfold to, more than 200000 values"),
        ("a: " + "[" * 5000, "deeper than 40 levels"),
        ("a: &a [*a]", "holds itself"),
        ("".join(f"- &l{i} [{'*l' + str(i - 1) if i else ''}]\n" for i in range(99)), "deeper than 40"),
        ("a: !!python/object/apply:os.system [x]", "the tag '!!python/object/apply:os.system' is not read"),
        ("a: !!binary 0", "the tag '!!binary' is not read"),
        ("a: !!int abc", "'abc' is no value"),
        ("a: " + "9" * 5000, "9999.* is no value"),
        ("a: 9223372036854775808", "is no value"),
        ('a: "\\0"', "is no value"),
        ('a: "\\ud800"', "not valid YAML"),
        ("a: \udc80", "no UTF-8"),
        ("{1: a, 01: b}", "the key 1 stands twice"),
        ("{<<: 3}", "takes a mapping"),
        ("a: *b", "undefined alias"),
        ("a: 1\n---\nb: 1", "another document"),
    ],
)
def test_what_is_refused_in_one_short_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        parse_yaml(text, "file.yaml")
    assert str(error.value).startswith("file.yaml") and len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "deeper than 40 levels"),
        ("[" * 50 + "]" * 50, "deeper than 40 levels"),
        ("9" * 5000, "not valid JSON"),
        (b"\xff", "not valid JSON"),
        ("{", "not valid JSON"),
    ],
)
def test_no_json_breaks_the_reader(text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_json(text, "file.json")


def test_a_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for read in (read_yaml, read_json):
        with pytest.raises(InputError, match="not a regular file"):
            read(tmp_path / "pipe")


def test_a_name_that_no_file_can_have_is_one_line() -> None:
    for name in ("x" * 300, "a\0b"):
        with pytest.raises(InputError, match="cannot be read"):
            read_yaml(name)


_plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
    | st.sampled_from(["09", "011", "0o1", "1:30", "on", "2024-01-01", "<<", "=", "1e-3", "0x_", "~", "1_0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab09:[", max_size=3), inner),
    max_leaves=6,
)


@given(_plain)
def test_what_is_written_reads_back_as_the_same(value: Any) -> None:
    assert parse_yaml_value(dump_yaml(value), "text") == value


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20))
def test_an_assignment_carries_any_text(text: str) -> None:
    assert apply_overrides({}, [assignment("source.dataset", text)]) == {"source": {"dataset": text}}


def test_nobody_is_home_at_an_unknown_user() -> None:
    with pytest.raises(InputError, match="~nosuchuser/data: there is no such user"):
        expanded("~nosuchuser/data")


class Holder(Strict):
    named: dict[str, int] = Field(default_factory=dict)
    number: float = 0.0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"a[b": 1}, "f: unknown key `a[b`"),
        ({"named": {"x[0]": "y"}}, "f: `named.x[0]` = 'y'"),
        ({"named": {1: 2}}, "f: `named.1` = 1"),
        ({1: 2}, "f: `1`"),
        ({"number": float("inf")}, "f: `number` = inf: Input should be a finite number"),
        ({"number": ".nan"}, "f: `number` = '.nan'"),
        ({"number": "x" * 10_000}, "f: `number` = 'xxx"),
        ({"x" * 10_000: 1}, "f: unknown key `xxx"),
    ],
)
def test_every_problem_of_a_setting_is_one_short_line(data: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        parse(Holder, data, "f")
    assert str(error.value).startswith(message) and len(str(error.value)) < 500, error.value


def test_a_message_stays_printable() -> None:
    said = str(InputError("key \x1b[31m and \udc80 and\na line"))
    assert said == "key \\x1b[31m and \\udc80 and a line"
    assert len(str(InputError("x" * 10_000 + " remedy"))) == 1200
    assert str(InputError("x" * 10_000 + " remedy")).endswith(" remedy")


@pytest.mark.parametrize("index", ["²", "٣", "9" * 5000, "-1"])
def test_only_plain_digits_index_a_list(index: str) -> None:
    with pytest.raises(InputError, match="does not index a list"):
        apply_overrides({"list": [1, 2, 3, 4]}, [f"list.{index}=1"])


def test_a_key_of_a_thousand_parts_is_refused() -> None:
    with pytest.raises(InputError, match="more than 40 parts"):
        apply_overrides({}, [".".join("a" * 1000) + "=1"])
