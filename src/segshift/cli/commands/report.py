"""`segshift report`: one HTML file about one or more runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.command import Command
from segshift.cli.early import check_runs
from segshift.cli.options import Device, Images, OneSize, Pictures, Points, Seed
from segshift.cli.outputs import file_option
from segshift.errors import InputError


@dataclass(frozen=True)
class Report(Command):
    """See in one HTML file whether adaptation helped, where, and how sure that is.

    Example: segshift report runs/source_only runs/advent --out report.html
    """

    work = "segshift.cli.report:report"

    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run folders, the reference first; or a comparison's folder."),
    ]
    out: Annotated[Path, file_option("--out", "The page.")] = Path("report.html")
    source: Annotated[
        str | None, typer.Option("--source", help="Labelled; default: the first run's own.")
    ] = None
    target: Annotated[
        str | None, typer.Option("--target", help="Default: what the runs were evaluated on.")
    ] = None
    images: Images = 200
    pictures: Pictures = 6
    points: Points = 40
    size: OneSize = None
    title: Annotated[str | None, typer.Option(help="Heading; default: the domains.")] = None
    only: Annotated[
        str | None, typer.Option(help="With commas: centers, retrieval, embedding, entropy, strips.")
    ] = None
    without: Annotated[str | None, typer.Option(help="The same analyses, to be left out.")] = None
    seed: Seed = 0
    device: Device = None

    def refuse(self) -> None:
        """Refuse a page that is none, and a run folder that is not there. Raises InputError."""
        super().refuse()
        if self.out.suffix.lower() not in (".html", ".htm"):
            raise InputError(f"--out {self.out}: the report is a page; name the file something.html")
        check_runs(self.runs)
