"""`segshift health`: does a run show one of the well-known sick curves?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.command import Command
from segshift.cli.early import check_runs
from segshift.cli.outputs import charts_option


@dataclass(frozen=True)
class Health(Command):
    """Read the curves of runs and say in one line each what looks sick, and what to try.

    Training prints the same advice by itself; this looks at a run afterwards, or while it is going on.

    Example: segshift health runs/advent --chart curves
    """

    work = "segshift.cli.health:health"

    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders; their stages, too.")]
    chart: Annotated[
        Path | None, charts_option("--chart", "Also draw the curves, as FILE.png and FILE.svg.")
    ] = None

    def refuse(self) -> None:
        """Refuse a run folder that is not there. Raises InputError."""
        super().refuse()
        check_runs(self.runs)
