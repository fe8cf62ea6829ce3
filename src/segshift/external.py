"""A method, term or network of one's own: what a recipe names as `FILE.py:NAME`."""

import hashlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard, TypeVar

from torch import nn

from segshift.config import did_you_mean
from segshift.errors import InputError
from segshift.files import expanded

Kind = TypeVar("Kind", bound=nn.Module)


def external_class(reference: str, base: type[Kind], where: str) -> type[Kind]:
    """The class that `FILE.py:CLASS` names. Running a recipe therefore runs the code that it names.

    Args:
        reference: path of the file, a colon, name of the class.
        base: what it must be derived from.
        where: the recipe's key, for messages.

    Raises:
        InputError: no such file or class, a file that does not import, or a class of another kind.
    """
    path, name, names = _names(reference, where)
    found = names.get(name)
    if found is None:
        classes = [key for key, value in names.items() if _is_kind(value, base)]
        hint = did_you_mean(name, classes)
        raise InputError(f"{where} = {reference!r}: {path} has no class {name!r}{hint}")
    if not _is_kind(found, base):
        raise InputError(f"{where} = {reference!r}: {name} is no subclass of segshift's {base.__name__}")
    return found


def external_function(reference: str, where: str) -> Callable[..., Any]:
    """The function (or class) that `FILE.py:NAME` names. Raises InputError as `external_class`."""
    path, name, names = _names(reference, where)
    found = names.get(name)
    if not callable(found):
        functions = [key for key, value in names.items() if callable(value)]
        raise InputError(
            f"{where} = {reference!r}: {path} has no function {name!r}{did_you_mean(name, functions)}"
        )
    function: Callable[..., Any] = found
    return function


def _names(reference: str, where: str) -> tuple[Path, str, dict[str, Any]]:
    """The file that `FILE.py:NAME` names, the name, and all that the file defines."""
    text, _, name = reference.rpartition(":")
    path = expanded(text)
    if not path.is_file():
        raise InputError(f"{where} = {reference!r}: {path}: no such file; paths start at the recipe's folder")
    return path, name, vars(_module(path.resolve(), where))


def _is_kind(value: object, base: type[Kind]) -> TypeGuard[type[Kind]]:
    return isinstance(value, type) and issubclass(value, base)


def _module(path: Path, where: str) -> ModuleType:
    """The imported file, once per process, under a name that no other file can have."""
    name = f"segshift_external_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # the suffix is .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's file may raise
        del sys.modules[name]
        reason = str(error).splitlines()[0] if str(error) else ""
        raise InputError(f"{where}: {path} does not import: {type(error).__name__}: {reason}") from error
    return module
