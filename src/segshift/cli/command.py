"""Commands that load nothing before they are called: of the command line, only the file of the one in use.

A command has two halves. `cli/commands/` holds what is cheap: its options, its help, and what can be refused
at once. Its `work`, which needs PyTorch and the like, is imported when it is to be done.
"""

import inspect
import shlex
from collections import UserDict
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from typing import Annotated, Any, ClassVar, cast, get_type_hints

import typer
from typer.core import TyperGroup
from typer.models import OptionInfo

from segshift.cli.arguments import check_device
from segshift.cli.options import Json
from segshift.cli.output import console


@dataclass(frozen=True)
class Command:
    """A command of the command line: its fields are the options, its docstring the help."""

    work: ClassVar[str]
    """The function that does it, as MODULE:FUNCTION; it is called with the options."""
    as_json: Json = field(default=False, kw_only=True)

    def home(self) -> str:
        """Where the function is that does what these options say."""
        return self.work

    def again(self, name: str) -> str:
        """The call that does it again: arguments, and what differs from the defaults and touches results."""
        words, hints = ["segshift", name], get_type_hints(type(self), include_extras=True)
        for option in fields(self):
            value = getattr(self, option.name)
            if value == option.default or option.name in {"as_json", "device"}:
                continue
            (said,) = hints[option.name].__metadata__
            named = [f"--{option.name.replace('_', '-')}"] if isinstance(said, OptionInfo) else []
            if isinstance(said, OptionInfo) and isinstance(said.default, str):
                named = [said.default]  # where Typer keeps the first name of an annotated option
            for one in value if isinstance(value, list) else [value]:
                words += [*named, str(one)]
        return shlex.join(words)

    def refuse(self) -> None:
        """Refuse what can be refused before PyTorch is loaded, which takes seconds. Raises InputError."""
        check_device(getattr(self, "device", None))


class LazyGroup(TyperGroup):
    """Commands by name, each loaded when it is asked for."""

    homes: ClassVar[Mapping[str, str]]
    """Where a name's class is, as MODULE:CLASS."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = cast(Any, _Loaded({**self.homes, **self.commands}))
        self.params.append(_quiet())


class _Loaded(UserDict[str, Any]):
    def __getitem__(self, name: str) -> Any:
        found = super().__getitem__(name)
        if isinstance(found, str):
            found = self[name] = _from_class(name, load(found))
        return found


def load(home: str) -> Any:
    """What MODULE:NAME says."""
    module, _, name = home.partition(":")
    return getattr(import_module(module), name)


def _from_class(name: str, options: type[Command]) -> Any:
    """The command line's own kind of command."""

    def run(**given: Any) -> None:
        command = options(**given)
        command.refuse()
        load(command.home())(command)

    run.__doc__ = options.__doc__
    run.__annotations__ = get_type_hints(options, include_extras=True)
    run.__signature__ = inspect.signature(options)  # type: ignore[attr-defined]
    app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    app.command(name)(run)
    command = typer.main.get_command(app)
    command.params.append(_quiet())
    return command


def _hush(quiet: bool) -> None:
    if quiet:
        console.quiet = True


def _only_quiet(
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", callback=_hush, help="No progress: results and errors only.")
    ] = False,
) -> None:
    """Its option is what the others get: Typer itself has none for all commands."""


def _quiet() -> Any:
    app = typer.Typer(add_completion=False)
    app.command()(_only_quiet)
    option = next(one for one in typer.main.get_command(app).params if one.name == "quiet")
    option.expose_value = False
    return option
