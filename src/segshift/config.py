"""Plain data in, checked objects out: strict models, one-line errors, `--set`."""

import difflib
import types
import typing
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from segshift.documents import MOST_LEVELS, dump_yaml, parse_yaml_value
from segshift.errors import FormerNameWarning, InputError, shortened, shown


class Strict(BaseModel):
    """Base of everything a user may write: unknown keys are errors, values do not change later.

    Numbers are finite: no setting means anything as NaN or infinity.

    Attributes:
        former: names that keys had before, by which they are still read, with a warning.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)
    former: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _by_present_names(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or cls.former.keys().isdisjoint(data):
            return data
        present: dict[Any, Any] = {}
        for key, value in data.items():
            name = cls.former.get(key, key)
            if name != key:
                warnings.warn(f"`{key}` is called `{name}` now", FormerNameWarning, stacklevel=2)
            # Under both names it stands where --set or a recipe changed it: what came later counts.
            present[name] = value
        return present


Model = TypeVar("Model", bound=BaseModel)
# Longer lists of what is known bury the message.
_LISTED_AT_MOST = 40


def parse(model: type[Model], data: Any, where: str) -> Model:
    """Validate `data` as `model`; `where` (a file name, say) opens the error message.

    Raises:
        InputError: with the first problem's key, its value and what is accepted, in one line.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{where}: {_explain(model, data, error)}") from None


def _explain(model: type[BaseModel], data: Any, error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    # An unknown key explains a missing one (a typo makes both), so it is the one to name.
    problem = next((item for item in problems if item["type"] == "extra_forbidden"), problems[0])
    location = _location(data, problem["loc"], missing=problem["type"] == "missing") or [*problem["loc"]]
    key = shortened(".".join(map(str, location)), 160)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if problem["type"] == "extra_forbidden":
        return f"unknown key `{key}`{_suggest(str(location[-1]), _known_keys(model, location[:-1]))}{more}"
    if problem["type"] == "missing":
        return f"the key `{key}` is missing; add it{more}"
    # What judges a section as a whole names the key itself; the whole section would only bury that.
    of_section = problem["type"] == "value_error" and isinstance(problem["input"], dict)
    value = "" if of_section else f" = {shown(problem['input'])}"
    message = problem["msg"].removeprefix("Value error, ").splitlines()[0]
    return f"{f'`{key}`' if key else 'the file'}{value}: {message}{more}"


def _location(data: Any, path: Sequence[int | str], missing: bool) -> list[Any]:
    """The keys and indices in `data` that a problem's path names.

    Among them pydantic lists which branch of a union it tried, and that it was a key: neither is in `data`.
    """
    found: list[Any] = []
    for part in path:
        if isinstance(data, Mapping):
            names = [key for key in data if key == part or str(key) == part]
            if names:
                found.append(names[0])
                data = data[names[0]]
        elif isinstance(data, list | tuple) and isinstance(part, int) and part < len(data):
            found.append(part)
            data = data[part]
    return [*found, path[-1]] if missing else found


def _suggest(word: str, known: Sequence[str]) -> str:
    # Nobody's key is that long, and comparing takes the square of the length.
    close = difflib.get_close_matches(word[:100], known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; known: {', '.join(known)}" if 0 < len(known) <= _LISTED_AT_MOST else ""


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
        key, text = split_assignment(assignment, "value")
        try:
            value = parse_yaml_value(text, "the value")
        except InputError as error:
            raise InputError(
                f"--set {_short(assignment)}: {shown(text)} is not a YAML value; quote it ({error})"
            ) from None
        path = key.split(".")
        if len(path) > MOST_LEVELS:
            raise InputError(f"--set {_short(assignment)}: the key has more than {MOST_LEVELS} parts")
        _assign(result, path, value, _short(assignment))
    return result


def split_assignment(assignment: str, values: str) -> tuple[str, str]:
    """Key and text of "key.subkey=text"; `values` says in the error what the text should be."""
    key, separator, text = assignment.partition("=")
    if not separator or not key.strip():
        raise InputError(f"--set {_short(assignment)}: write it as key.subkey={values}")
    return key.strip(), text


def assignment(key: str, value: Any) -> str:
    """What `apply_overrides` reads back as `value`, whatever brackets or colons a text in it holds."""
    return f"{key}={dump_yaml([value], flow=True, width=10**9).strip()[1:-1]}"


Settings = str | Sequence[str] | Mapping[str, Any]
"""Assignments to a recipe's keys: "a.b=value" as for --set, several of them, or {"a.b": value}."""


def assignments(settings: Settings) -> list[str]:
    """Settings in any form as `apply_overrides` takes them.

    Example:
        >>> assignments({"training.steps": 100, "method.terms": ["patch"]})
        ['training.steps=100', 'method.terms=[patch]']
    """
    if isinstance(settings, Mapping):
        return [assignment(key, value) for key, value in settings.items()]
    return [settings] if isinstance(settings, str) else list(settings)


def _short(assignment: str) -> str:
    return shortened(assignment, 120)


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _assign(container: Any, path: list[str], value: Any, assignment: str) -> None:
    head, *rest = path
    if isinstance(container, list):
        if not (head.isascii() and head.isdecimal() and len(head) < 10) or int(head) >= len(container):
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
