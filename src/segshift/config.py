"""YAML in, checked objects out: strict models, one-line errors, `extends:` and `--set`."""

import difflib
import types
import typing
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from segshift.errors import InputError


class Strict(BaseModel):
    """Base of everything a user may write: unknown keys are errors, values do not change later."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


Model = TypeVar("Model", bound=BaseModel)


class _UniqueKeyLoader(yaml.SafeLoader):
    """Safe YAML in which a key that stands twice is an error: the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        InputError: the file is missing, is not YAML, has a key twice, or holds something else than a mapping.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of an existing YAML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({_first_line(error)})") from None
    return parse_yaml(text, where=str(path))


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    """The mapping in a YAML text; `where` names it in errors. Raises InputError as `read_yaml` does."""
    try:
        data = yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{where}{line}: not valid YAML: {error.problem}; mend that line") from None
    except yaml.YAMLError as error:
        raise InputError(f"{where}: not valid YAML: {_first_line(error)}") from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise InputError(f"{where}: must hold `key: value` lines, not a {type(data).__name__}")
    return data


def parse(model: type[Model], data: Any, where: str) -> Model:
    """Validate `data` as `model`; `where` (a file name, say) opens the error message.

    Raises:
        InputError: with the first problem's key, its value and what is accepted, in one line.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{where}: {_explain(model, error)}") from None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _explain(model: type[BaseModel], error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    # An unknown key explains a missing one (a typo makes both), so it is the one to name.
    problem = next((item for item in problems if item["type"] == "extra_forbidden"), problems[0])
    location = [part for part in problem["loc"] if not _is_union_tag(part)]
    key = ".".join(str(part) for part in location)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if problem["type"] == "extra_forbidden":
        return f"unknown key `{key}`{_suggest(str(location[-1]), _known_keys(model, location[:-1]))}{more}"
    if problem["type"] == "missing":
        return f"the key `{key}` is missing; add it{more}"
    value = repr(problem["input"])
    value = value if len(value) <= 80 else value[:77] + "..."
    # What judges a section as a whole names the key itself; the whole section would only bury that.
    of_section = problem["type"] == "value_error" and isinstance(problem["input"], dict)
    shown = "" if of_section else f" = {value}"
    message = problem["msg"].removeprefix("Value error, ").splitlines()[0]
    return f"{f'`{key}`' if key else 'the file'}{shown}: {message}{more}"


def _is_union_tag(part: int | str) -> bool:
    return isinstance(part, str) and (
        "[" in part or part in {"str", "int", "float", "bool", "constrained-str"}
    )


def _suggest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; known: {', '.join(known)}" if known else ""


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """`; did you mean ...?` when a known word is close to `word`, else the list of the known words."""
    return _suggest(word, known)


def _known_keys(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    current: list[type[BaseModel]] = [model]
    for part in location:
        if isinstance(part, int):
            continue
        following: list[type[BaseModel]] = []
        for candidate in current:
            if part in candidate.model_fields:
                following += _models_in(candidate.model_fields[part].annotation)
        current = following or current
    return sorted({name for candidate in current for name in candidate.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [found for argument in typing.get_args(annotation) for found in _models_in(argument)]


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over` laid on top: mappings merge key by key, the rest is replaced."""
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def apply_overrides(data: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """`data` with `a.b.0.c=value` assignments made; values are YAML, numbers in the key index lists.

    Raises:
        InputError: an assignment without `=`, an index outside its list, or a key below a plain value.
    """
    result: dict[str, Any] = _copy(data)
    for assignment in overrides:
        key, separator, text = assignment.partition("=")
        if not separator or not key.strip():
            raise InputError(f"--set {assignment}: write it as key.subkey=value")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise InputError(f"--set {assignment}: {text!r} is not a YAML value; quote it") from None
        _assign(result, key.strip().split("."), value, assignment)
    return result


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _assign(container: Any, path: list[str], value: Any, assignment: str) -> None:
    head, *rest = path
    if isinstance(container, list):
        if not head.isdigit() or int(head) >= len(container):
            remedy = f"use 0 to {len(container) - 1}" if container else "give the whole list instead"
            raise InputError(
                f"--set {assignment}: {head!r} does not index a list of {len(container)}; {remedy}"
            )
        index: Any = int(head)
    elif isinstance(container, dict):
        index = head
        if rest and container.get(head) is None:
            container[head] = {}
    else:
        raise InputError(f"--set {assignment}: {head!r} lies below a plain value, not a mapping")
    if rest:
        _assign(container[index], rest, value, assignment)
    else:
        container[index] = value
