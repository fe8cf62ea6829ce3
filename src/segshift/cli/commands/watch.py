"""`segshift watch`: the runs below a folder while they train."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.command import Command
from segshift.errors import InputError
from segshift.serve.address import check_port


@dataclass(frozen=True)
class Watch(Command):
    """Watch the runs below a folder: a page on this machine that follows them (docs/watch.md).

    It shows which run is running, finished, stopped or failed, how far it is and when it will end, curves,
    scores by class, the pictures it drew and what looks sick; several runs side by side. It only reads.
    --json prints the state of all runs once and ends.

    Example: segshift watch runs
    """

    work = "segshift.cli.watch:watch"

    folder: Annotated[Path, typer.Argument(help="Runs are looked for in it and below it.")] = Path("runs")
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0: other machines, too.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, typer.Option(min=1, max=65535)] = 7870

    def refuse(self) -> None:
        """Refuse a folder that is not there, and a port that is taken. Raises InputError."""
        super().refuse()
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: no such folder; give one with runs in it or below it")
        if not self.as_json:
            check_port(self.host, self.port)
