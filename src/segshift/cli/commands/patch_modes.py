"""`segshift data patch-modes`: how the patches of a data set's labels look."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.arguments import parse_size
from segshift.cli.command import Command
from segshift.cli.early import check_data
from segshift.cli.outputs import file_option
from segshift.errors import InputError


@dataclass(frozen=True)
class PatchModes(Command):
    """Cluster the label patches of a data set as AdaptPatch does, and draw the largest clusters.

    Example: segshift data patch-modes camvid:CamVid --out modes.png --modes 50 --patch 64x32
    """

    work = "segshift.cli.patch_modes:patch_modes"

    data: Annotated[str, typer.Argument(help="Labelled data: camvid:ROOT, FILE.yaml, city:game; or :SPLIT.")]
    out: Annotated[Path, file_option("--out", "The picture (PNG).")]
    modes: Annotated[int, typer.Option(min=2, help="Number of clusters.")] = 50
    patch: Annotated[str, typer.Option(help="WxH of a patch in px.")] = "64x32"
    size: Annotated[
        str | None, typer.Option(help="WxH to which label maps are resized; default their own.")
    ] = None
    images: Annotated[int, typer.Option(min=1, help="Label maps to sample, spread evenly.")] = 2000
    show: Annotated[int, typer.Option(min=1, help="Modes in the picture, the largest first.")] = 24

    def refuse(self) -> None:
        """Refuse a data set that is not there, and a patch that cannot be cut. Raises InputError."""
        super().refuse()
        width, height = parse_size(self.patch, "--patch")
        if width % 2 or height % 2:
            raise InputError(f"--patch {self.patch}: a patch is cut into 2 x 2 cells; give even numbers")
        check_data(self.data)
        if self.size is not None:
            parse_size(self.size, "--size")
