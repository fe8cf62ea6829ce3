"""`segshift diagnose`: how far apart two domains are, and which method fits, before any training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.arguments import parse_size
from segshift.cli.command import Command
from segshift.cli.early import check_data, check_models
from segshift.cli.options import Device
from segshift.cli.outputs import folder_option


@dataclass(frozen=True)
class Diagnose(Command):
    """How far apart are two domains, and which method fits? Before any training.

    Example: segshift diagnose city:game camvid:CamVid:train --out diagnosis
    """

    work = "segshift.cli.diagnose:diagnose"

    source: Annotated[str, typer.Argument(help="Domain to adapt from: city:game, camvid:ROOT; or :SPLIT.")]
    target: Annotated[str, typer.Argument(help="Domain to adapt to, with or without labels.")]
    out: Annotated[Path, folder_option("--out", "Folder for the page, pictures and diagnosis.json.")] = Path(
        "diagnosis"
    )
    only: Annotated[
        str | None,
        typer.Option(help="With commas: frequencies,spatial,colors,labels,images,features,confidence."),
    ] = None
    images: Annotated[int, typer.Option(min=1, help="Of each domain, spread evenly.")] = 300
    classes: Annotated[
        str | None, typer.Option(help="Of both: camvid11, or names with commas; default: those in common.")
    ] = None
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", help="Run folder or model file: features, confidence, and predictions for labels."
        ),
    ] = None
    size: Annotated[
        str | None, typer.Option(help="WxH in px at which networks will see images; default: the presets'.")
    ] = None
    patches: Annotated[
        str | None, typer.Option(help="Sides in px of --size: 64,128; default 1/8, 1/4, 1/2 of the shorter.")
    ] = None
    canvas: Annotated[
        str | None, typer.Option(help="WxH the classifier sees; default --size down to 128 cells.")
    ] = None
    keep_ignored: Annotated[
        bool, typer.Option("--keep-ignored", help="Ignored pixels are a class; default: filled.")
    ] = False
    network: Annotated[str, typer.Option(help="The classifier: small or resnet18.")] = "small"
    iterations: Annotated[int, typer.Option(min=1, help="Of every classifier.")] = 250
    validate_every: Annotated[int, typer.Option(min=1, help="Iterations between points of a curve.")] = 25
    lr: Annotated[float, typer.Option(help="Learning rate, constant.")] = 0.02
    batch_size: Annotated[int, typer.Option(min=2, help="Half from each domain.")] = 16
    held_out: Annotated[
        int | None, typer.Option(min=1, help="Images of each domain to test on; default a quarter.")
    ] = None
    seeds: Annotated[str, typer.Option(help="A run each, with other images held out.")] = "0,1,2"
    device: Device = None

    def refuse(self) -> None:
        """Refuse a model and data sets that are not there. Raises InputError."""
        super().refuse()
        check_models([] if self.model is None else [self.model])
        check_data(self.source, self.target)
        if self.size is not None:
            parse_size(self.size, "--size")
