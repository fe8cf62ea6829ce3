"""`segshift data translate`: a translated copy of a data set that keeps its labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from segshift.cli.arguments import parse_size
from segshift.cli.command import Command
from segshift.cli.early import check_data
from segshift.cli.outputs import folder_option


@dataclass(frozen=True)
class Translate(Command):
    """Make images look like another domain's, with their labels kept; goes on if interrupted.

    Example: segshift data translate runs/cyclegan --data city:game --out game_as_target --size 480x360
    """

    work = "segshift.cli.translate:translate_dataset"

    translator: Annotated[
        Path, typer.Argument(help="A run folder of `segshift train cyclegan`, or its translator.safetensors.")
    ]
    data: Annotated[str, typer.Option("--data", help="What to translate: city:game, FILE.yaml:train.")]
    out: Annotated[Path, folder_option("--out", "Folder for images, labels and dataset.yaml.")]
    size: Annotated[str | None, typer.Option(help="WxH in px of the results; default each image's.")] = None
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many images, evenly spread.")] = None
    image_format: Annotated[
        Literal["jpeg", "png"], typer.Option("--format", help="Of the images; JPEG has quality 95.")
    ] = "jpeg"
    workers: Annotated[int, typer.Option(min=0, help="Processes that read images.")] = 2

    def refuse(self) -> None:
        """Refuse a data set that is not there, and a size that is none. Raises InputError."""
        super().refuse()
        check_data(self.data)
        if self.size is not None:
            parse_size(self.size, "--size")
