"""Options that name an output: tried while the command line is read, so that no work is done in vain."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from segshift.cli.output import SILENT
from segshift.folders import check_file, check_folder


def folder_option(name: str, help_text: str) -> Any:
    """A typer option for a folder to write into."""
    return typer.Option(name, help=help_text, callback=_tried(check_folder, name))


def file_option(name: str, help_text: str) -> Any:
    """A typer option for a file to write."""
    return typer.Option(name, help=help_text, callback=_tried(check_file, name))


def charts_option(name: str, help_text: str) -> Any:
    """A typer option for a chart that is written as FILE.png and FILE.svg."""
    return typer.Option(
        name,
        help=help_text,
        callback=_tried(lambda file, option: check_file(file.with_name(f"{file.name}.png"), option), name),
    )


def _tried(
    check: Callable[[Path, str], None], name: str
) -> Callable[[typer.Context, Path | None], Path | None]:
    def tried(context: typer.Context, value: Path | None) -> Path | None:
        # Under a launcher one process writes; while a shell completes a line, nobody does.
        if value is not None and not SILENT and not context.resilient_parsing:
            check(value, name)
        return value

    return tried
