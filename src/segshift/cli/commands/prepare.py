"""`segshift data prepare`: convert a data set once, so that training reads it many times faster."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.arguments import parse_size
from segshift.cli.command import Command
from segshift.cli.early import check_data
from segshift.folders import check_folder


class OnError(StrEnum):
    """What a bad file does."""

    stop = "stop"
    skip = "skip"


class Interpolation(StrEnum):
    """How images are resized."""

    bilinear = "bilinear"
    bicubic = "bicubic"


@dataclass(frozen=True)
class Prepare(Command):
    """Convert to JPEG and PNG of one size, in parallel; a second call goes on, and mends what is damaged.

    Example: segshift data prepare gta5:/data/gta5 --size 1280x720 --out gta5_1280
    """

    work = "segshift.cli.prepare:prepare_dataset"

    data: Annotated[str, typer.Argument(help="gta5:ROOT, FILE.yaml ...; with :SPLIT for one split.")]
    out: Annotated[Path, typer.Option("--out", help="Folder for images, labels and dataset.yaml.")]
    size: Annotated[str | None, typer.Option(help="WxH in px of the converted files.")] = None
    split: Annotated[list[str] | None, typer.Option(help="Only this split; repeat for several.")] = None
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default one per core.")] = None
    on_error: Annotated[OnError, typer.Option(help="What a bad file does.", hidden=True)] = OnError.stop
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out samples that cannot be read, and list them.")
    ] = False
    interpolation: Annotated[
        Interpolation, typer.Option(help="Of images, with anti-aliasing; labels take the nearest pixel.")
    ] = Interpolation.bilinear
    verify: Annotated[
        bool, typer.Option("--verify", help="Only compare the files with their recorded hashes.")
    ] = False

    def refuse(self) -> None:
        """Refuse a place that cannot be written, a size that is none, a data set that is not there.

        Raises InputError.
        """
        super().refuse()
        if self.size is not None:
            parse_size(self.size, "--size")
        # What is only verified may lie where nobody writes.
        if not self.verify:
            check_folder(self.out, "--out")
            check_data(self.data)
