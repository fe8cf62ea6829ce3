"""YAML and assignments: what is accepted, and that every refusal is one line that says what to do."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator

from segshift.config import Strict, apply_overrides, merge, parse
from segshift.documents import parse_yaml, read_yaml
from segshift.errors import FormerNameWarning, InputError


class Leaf(Strict):
    weight: float = 1.0
    size: tuple[int, int] | None = None


class Branch(Strict):
    leaf: Leaf = Leaf()
    leaves: list[Leaf] = Field(default_factory=list)
    named: dict[str, Leaf] = Field(default_factory=dict)
    either: Leaf | None = None


class Tree(Strict):
    branch: Branch = Branch()
    count: int = 3
    title: str = ""


class Needy(Strict):
    needed: int


def refusal(model: type[Strict], data: Any) -> str:
    with pytest.raises(InputError) as error:
        parse(model, data, "file.yaml")
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.mark.parametrize(
    ("data", "key", "suggestion"),
    [
        ({"cuont": 1}, "cuont", "count"),
        ({"branch": {"laef": {}}}, "branch.laef", "leaf"),
        ({"branch": {"leaf": {"wieght": 1}}}, "branch.leaf.wieght", "weight"),
        ({"branch": {"leaves": [{}, {"wieght": 1}]}}, "branch.leaves.1.wieght", "weight"),
        ({"branch": {"named": {"count": {"siez": [1, 2]}}}}, "branch.named.count.siez", "size"),
        ({"branch": {"either": {"wieght": 1}}}, "branch.either.wieght", "weight"),
    ],
)
def test_an_unknown_key_is_named_in_full_with_the_one_that_was_meant(
    data: dict[str, Any], key: str, suggestion: str
) -> None:
    assert refusal(Tree, data) == f"file.yaml: unknown key `{key}`; did you mean `{suggestion}`?"


def test_a_key_like_no_other_gets_the_list_of_those_at_its_place() -> None:
    assert refusal(Tree, {"branch": {"leaf": {"zzz": 1}}}).endswith(": size, weight")


def test_the_unknown_key_is_named_before_the_one_missing_because_of_it() -> None:
    message = refusal(Needy, {"neded": 1})
    assert "unknown key `neded`; did you mean `needed`?" in message and "(and 1 more)" in message


def test_a_missing_key_is_named() -> None:
    assert refusal(Needy, {}) == "file.yaml: the key `needed` is missing; add it"


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ({"count": "many"}, ["`count` = 'many'", "integer"]),
        ({"branch": {"leaves": [{"weight": "x"}]}}, ["`branch.leaves.0.weight` = 'x'", "number"]),
        ({"title": ["x" * 500]}, ["`title` = ['xxx", "..."]),
        ([1, 2], ["the file = [1, 2]"]),
        ({"a\nb": 1}, ["unknown key"]),
        ({"count": "a\nb"}, ["a\\nb"]),
    ],
)
def test_a_bad_value_is_shown_in_one_line(data: Any, parts: list[str]) -> None:
    message = refusal(Tree, data)
    assert all(part in message for part in parts), message
    assert len(message) < 250


def test_a_section_that_is_refused_as_a_whole_is_not_printed() -> None:
    class Section(Strict):
        a: int
        b: int

        @model_validator(mode="after")
        def _check(self) -> "Section":
            if self.a > self.b:
                raise ValueError("a: must not be above b")
            return self

    class File(Strict):
        section: Section

    with pytest.raises(InputError) as caught:
        parse(File, {"section": {"a": 2, "b": 1}}, "x.yaml")
    assert str(caught.value) == "x.yaml: `section`: a: must not be above b"


def test_exponents_without_a_dot_are_numbers() -> None:
    """YAML 1.1 reads 1e-3 as a text; a learning rate written so must not be refused."""
    data = parse_yaml("{branch: {leaf: {weight: 1e-3}}}", "text")
    assert parse(Tree, data, "text").branch.leaf.weight == 0.001
    assert parse(Tree, apply_overrides({}, ["branch.leaf.weight=2e-4"]), "").branch.leaf.weight == 0.0002


def test_values_do_not_change_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Tree().count = 4  # type: ignore[misc]


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "file.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: .*the key 'a' stands twice"),
        ("a:\n  b: 1\n  b: 2\n", "line 3: .*the key 'b' stands twice"),
        ("- 1\n- 2\n", "not a list"),
        ("just words", "not a str"),
        ("a: [1, 2\nb: 3\n", "line 2.*not valid YAML"),
        ("a: *nothing\n", "line 1.*not valid YAML"),
        ("a: \0\n", "not valid YAML"),
        (b"a: \xff\xfe\n", "cannot be read as text"),
        ("a: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
    ],
)
def test_bad_files_are_named_with_the_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=message) as error:
        read_yaml(path)
    assert str(error.value).startswith(str(path)) and len(str(error.value).splitlines()) == 1


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.yaml: no such file"):
        read_yaml(tmp_path / "gone.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        read_yaml(tmp_path)


def test_an_empty_file_is_an_empty_mapping(tmp_path: Path) -> None:
    assert read_yaml(write(tmp_path, "# nothing yet\n")) == {}


def test_assignments_reach_mappings_lists_and_new_keys() -> None:
    data = {"a": {"b": [{"c": 1}, {"c": 2}]}, "n": None}
    changed = apply_overrides(data, ["a.b.1.c=[3, x]", "a.new.deep=true", "n.k=", "top=1=2"])
    assert changed == {
        "a": {"b": [{"c": 1}, {"c": [3, "x"]}], "new": {"deep": True}},
        "n": {"k": None},
        "top": "1=2",
    }
    assert data == {"a": {"b": [{"c": 1}, {"c": 2}]}, "n": None}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("list.2=1", "'2' does not index a list of 2; use 0 to 1"),
        ("list.x=1", "'x' does not index a list of 2"),
        ("list.-1=1", "'-1' does not index a list of 2"),
        ("plain.below=1", "'below' lies below a plain value"),
        ("list.0.below=1", "'below' lies below a plain value"),
        ("nothing", "write it as key.subkey=value"),
        ("=1", "write it as key.subkey=value"),
        ("a=[1", "is not a YAML value"),
    ],
)
def test_bad_assignments_are_quoted(assignment: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        apply_overrides({"list": [1, 2], "plain": 5}, [assignment])
    assert f"--set {assignment}" in str(error.value) and len(str(error.value).splitlines()) == 1


def test_merging_goes_into_mappings_and_replaces_lists() -> None:
    base = {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}, "f": 1}
    over = {"a": {"c": [3]}, "d": 5, "f": {"g": 1}}
    assert merge(base, over) == {"a": {"b": 1, "c": [3]}, "d": 5, "f": {"g": 1}}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}, "f": 1}


_keys = st.sampled_from(["a", "b", "c"])
_leaves = st.one_of(st.integers(0, 9), st.lists(st.integers(0, 9), max_size=2))
_twigs = st.dictionaries(_keys, _leaves, max_size=2)
_trees = st.dictionaries(_keys, st.one_of(_leaves, _twigs, st.dictionaries(_keys, _twigs, max_size=2)))


@given(_trees, _trees)
def test_what_lies_on_top_wins(base: dict[str, Any], over: dict[str, Any]) -> None:
    merged = merge(base, over)
    assert merge(merged, over) == merged
    assert merge({}, over) == over and merge(base, {}) == base
    assert set(merged) == set(base) | set(over)


@given(st.text(max_size=30))
def test_any_text_is_a_mapping_or_one_line(text: str) -> None:
    try:
        assert isinstance(parse_yaml(text, "text"), dict)
    except InputError as error:
        assert len(str(error).splitlines()) == 1


class Renamed(Strict):
    former: ClassVar[dict[str, str]] = {"weight_mode": "mode_weight"}

    mode_weight: float = 1.0


def test_a_former_name_is_read_with_a_note() -> None:
    with pytest.warns(FormerNameWarning, match="^`weight_mode` is called `mode_weight` now$"):
        assert parse(Renamed, {"weight_mode": 0.5}, "x.yaml").mode_weight == 0.5
    with pytest.warns(FormerNameWarning):
        changed = apply_overrides({"mode_weight": 0.1}, ["weight_mode=0.7"])
        assert parse(Renamed, changed, "x.yaml").mode_weight == 0.7


def test_a_bad_value_under_a_former_name_is_named_as_it_is_called_now() -> None:
    with pytest.warns(FormerNameWarning), pytest.raises(InputError, match="mode_weight"):
        parse(Renamed, {"weight_mode": "much"}, "x.yaml")
