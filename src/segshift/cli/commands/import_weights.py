"""`segshift import-weights`: checkpoints of the papers' public codes become model files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.command import Command
from segshift.cli.outputs import file_option

_LAYOUTS = "adaptsegnet, advent, clan or fada"
_BY_COUNT = {"19": "cityscapes19", "16": "cityscapes16", "13": "cityscapes13"}


@dataclass(frozen=True)
class ImportWeights(Command):
    """Turn a public checkpoint into a model file for evaluate, predict and init_from, with the same logits.

    Example: segshift import-weights clan.pth --layout clan --classes 19 --out clan.safetensors
    """

    work = "segshift.cli.import_weights:import_weights"

    file: Annotated[Path, typer.Argument(help="Checkpoint of the public code: .pth or .safetensors.")]
    layout: Annotated[str, typer.Option("--layout", help=f"The code it comes from: {_LAYOUTS}.")]
    out: Annotated[Path, file_option("--out", "Model file to write.")]
    classes: Annotated[str, typer.Option(help="19, 16, 13, or the name of a class set.")] = "19"
    input_size: Annotated[str, typer.Option(help="WxH at which the network sees images.")] = "1024x512"
    all_branches: Annotated[
        bool, typer.Option("--all-branches", help="AdaptSegNet forks that sum all four dilated branches.")
    ] = False
