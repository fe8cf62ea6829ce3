"""`segshift data`: list, check and make data sets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.command import Command
from segshift.cli.early import check_data
from segshift.cli.outputs import file_option, folder_option


@dataclass(frozen=True)
class ListData(Command):
    """The data sets that have a name, and how to write them. Example: segshift data list"""

    work = "segshift.cli.data:list_datasets"


@dataclass(frozen=True)
class ShowData(Command):
    """Everything about one data set: where to get it, its folder tree, license, splits and classes.

    Example: segshift data show gta5
    """

    work = "segshift.cli.data:show_dataset"

    data: Annotated[str, typer.Argument(metavar="NAME", help="A name of `data list`, or FILE.yaml.")]


@dataclass(frozen=True)
class CheckData(Command):
    """Read every file of a data set and say what is wrong with it; status 2 if anything is.

    Example: segshift data check my_streets.yaml --html check.html
    """

    work = "segshift.cli.check:check_dataset"

    data: Annotated[str, typer.Argument(help="camvid:ROOT, FILE.yaml, city:game; with :SPLIT for one split.")]
    sheet: Annotated[
        Path | None,
        file_option("--sheet", "Also write a contact sheet: images, labels, overlays (PNG)."),
    ] = None
    html: Annotated[
        Path | None,
        file_option("--html", "Also write a page: problems, classes, where they lie, sizes, overlays."),
    ] = None

    def refuse(self) -> None:
        """Refuse a data set that is not there. Raises InputError."""
        super().refuse()
        check_data(self.data)


@dataclass(frozen=True)
class Synthesize(Command):
    """Render labelled street scenes (Cityscapes classes) as an ordinary data set; goes on if interrupted.

    Example: segshift data synthesize city:game --count 2000 --size 480x360 --out city_game
    """

    work = "segshift.cli.synthesize:synthesize_city"

    city: Annotated[str, typer.Argument(metavar="city:STYLE", help="city:game, city:overcast, city:dusk ...")]
    out: Annotated[Path, folder_option("--out", "Folder for images, labels and dataset.yaml.")]
    count: Annotated[int, typer.Option(min=1, help="Training images.")] = 2000
    val: Annotated[int, typer.Option(min=0, help="Validation images.")] = 200
    size: Annotated[str, typer.Option(help="WxH in px.")] = "480x360"
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default one per core.")] = None
