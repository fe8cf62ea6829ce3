"""`--quiet`, which every command has."""

from typing import Annotated, Any

import typer
from typer.main import get_command

from segshift.cli.output import console


def with_quiet(app: typer.Typer) -> Any:
    """The command line of `app`, with `--quiet` for all of its commands."""
    group = get_command(app)
    _add(group)
    return group


def _hush(quiet: bool) -> None:
    if quiet:
        console.quiet = True


def _command(
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", callback=_hush, help="No progress: results and errors only.")
    ] = False,
) -> None:
    """Its option is what the others get: Typer itself has none for all commands."""


def _add(command: Any) -> None:
    for part in getattr(command, "commands", {}).values():
        _add(part)
    app = typer.Typer(add_completion=False)
    app.command()(_command)
    option = next(one for one in get_command(app).params if one.name == "quiet")
    option.expose_value = False
    command.params.append(option)
