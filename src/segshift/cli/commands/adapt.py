"""`segshift adapt`: a trained network and unlabelled images, no others."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.command import Command
from segshift.cli.early import check_models
from segshift.cli.options import Assignments, Device
from segshift.cli.outputs import folder_option


@dataclass(frozen=True)
class Adapt(Command):
    """Adapt a trained network to unlabelled images, without the images that it was trained on.

    Label-free scores are taken before and after; where adapting did not help, the original network is kept,
    and that is said. What each method does, and when it hurts: docs/adapt.md.

    Example: segshift adapt runs/streets photos/ --out runs/adapted
    """

    work = "segshift.cli.adapt:adapt"

    model: Annotated[str, typer.Argument(help="A run folder, RUN@STEP or a model.safetensors.")]
    photos: Annotated[
        list[str], typer.Argument(help="Images, folders of images, or a data set (FILE.yaml:SPLIT).")
    ]
    out: Annotated[Path, folder_option("--out", "Run folder.")]
    method: Annotated[
        str, typer.Option(help="self_training, tent, adabn, or a recipe's YAML with source.dataset: none.")
    ] = "self_training"
    steps: Annotated[int | None, typer.Option(min=1, help="Default: the method's own number.")] = None
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0
    size: Annotated[
        str | None, typer.Option(help="WxH at which the network sees images; default: its own.")
    ] = None
    assignments: Assignments = None
    resume: Annotated[bool, typer.Option("--resume", help="Continue the unfinished run in --out.")] = False
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out images that cannot be used, and name them.")
    ] = False
    device: Device = None

    def refuse(self) -> None:
        """A network that is not there."""
        super().refuse()
        check_models([self.model])
