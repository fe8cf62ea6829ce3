"""`segshift data init`: propose the YAML of a folder of images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.command import Command
from segshift.cli.outputs import file_option


@dataclass(frozen=True)
class InitData(Command):
    """Look at a folder tree and write the YAML that describes it, with all findings as comments.

    Example: segshift data init ~/data/warehouse --classes floor,rack,person
    """

    work = "segshift.cli.data_init:init_dataset"

    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with the images and labels.")]
    out: Annotated[Path | None, file_option("--out", "YAML to write; default: the folder's name, here.")] = (
        None
    )
    classes: Annotated[
        str | None,
        typer.Option(help="A class set, names in the order of the values, or 7=road,11=car (#804080=road)."),
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Overwrite the YAML.")] = False
