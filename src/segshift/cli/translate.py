"""`segshift data translate`: a translated copy of a data set that keeps its labels."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from segshift.cli.arguments import parse_size
from segshift.cli.options import Json
from segshift.cli.output import console, print_json, results
from segshift.cli.outputs import folder_option
from segshift.plain import counted, say


def translate_dataset(
    translator: Annotated[
        Path, typer.Argument(help="A run folder of `segshift train cyclegan`, or its translator.safetensors.")
    ],
    data: Annotated[str, typer.Option("--data", help="What to translate: city:game, FILE.yaml:train.")],
    out: Annotated[Path, folder_option("--out", "Folder for images, labels and dataset.yaml.")],
    size: Annotated[str | None, typer.Option(help="WxH in px of the results; default each image's.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many images, evenly spread.")] = None,
    image_format: Annotated[
        Literal["jpeg", "png"], typer.Option("--format", help="Of the images; JPEG has quality 95.")
    ] = "jpeg",
    workers: Annotated[int, typer.Option(min=0, help="Processes that read images.")] = 2,
    as_json: Json = False,
) -> None:
    """Make images look like another domain's, with their labels kept; goes on if interrupted.

    Example: segshift data translate runs/cyclegan --data city:game --out game_as_target --size 480x360
    """
    from segshift.data.resolve import resolve
    from segshift.engine.translation import translate_split

    outcome = translate_split(
        translator,
        resolve(data, "train", labels="optional"),
        out,
        size=None if size is None else parse_size(size, "--size"),
        image_format=image_format,
        limit=limit,
        workers=workers,
        progress=console.is_terminal and not as_json,
    )
    if as_json:
        print_json(
            {
                "dataset": str(outcome.dataset),
                "split": outcome.split,
                "images": outcome.images,
                "translated_now": outcome.made,
                "contact_strip": str(outcome.contact_strip),
            }
        )
    else:
        say(results, f"{counted(outcome.images, 'image')}, {outcome.made} of them translated now")
        say(results, f"use them as {outcome.dataset}; look at {outcome.contact_strip}")
