"""`segshift import-weights`: networks of the papers' public codes and other libraries become model files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.arguments import parse_size
from segshift.cli.command import Command
from segshift.cli.outputs import file_option
from segshift.errors import InputError
from segshift.files import expanded

LIBRARIES = ("transformers", "smp")
LAYOUTS = ("adaptsegnet", "advent", "clan", "fada", *LIBRARIES)
_LISTED = f"{', '.join(LAYOUTS[:-1])} or {LAYOUTS[-1]}"


@dataclass(frozen=True)
class ImportWeights(Command):
    """Turn a trained network into a model file for evaluate, predict and init_from, with the same logits.

    Example: segshift import-weights clan.pth --layout clan --classes 19 --out clan.safetensors
    """

    work = "segshift.cli.import_weights:import_weights"

    file: Annotated[
        Path, typer.Argument(help="Checkpoint (.pth, .safetensors), or a folder made by save_pretrained.")
    ]
    layout: Annotated[str, typer.Option("--layout", help=f"The code or library it comes from: {_LISTED}.")]
    out: Annotated[Path, file_option("--out", "Model file to write.")]
    classes: Annotated[
        str | None,
        typer.Option(
            help="19, 16, 13, a class set, or names: sky,road. Default: 19; of transformers, its own.",
            show_default=False,
        ),
    ] = None
    input_size: Annotated[
        str | None,
        typer.Option(
            help="WxH at which the network sees images. Default: 1024x512; of a library, the images' own.",
            show_default=False,
        ),
    ] = None
    architecture: Annotated[
        str | None, typer.Option(help="Of a file of smp's: Unet, FPN ... A folder says it itself.")
    ] = None
    encoder: Annotated[str | None, typer.Option(help="Of a file of smp's: resnet34, mit_b0 ...")] = None
    all_branches: Annotated[
        bool, typer.Option("--all-branches", help="AdaptSegNet forks that sum all four dilated branches.")
    ] = False

    def refuse(self) -> None:
        """Refuse unknown layouts, options of another one, and missing files. Raises InputError."""
        super().refuse()
        if self.out.suffix != ".safetensors":
            raise InputError(
                f"--out {self.out}: model files end in .safetensors; write --out {self.out.stem}.safetensors"
            )
        if self.layout not in LAYOUTS:
            raise InputError(f"--layout {self.layout}: unknown; choose {_LISTED}")
        if self.layout != "smp" and (self.architecture or self.encoder):
            raise InputError("--architecture and --encoder are for a file of --layout smp; leave them out")
        if self.layout in LIBRARIES and self.all_branches:
            raise InputError(f"--all-branches: is for --layout adaptsegnet, not {self.layout}; leave it out")
        if self.input_size is not None:
            parse_size(self.input_size, "--input-size")
        if not expanded(self.file).exists():
            raise InputError(
                f"{self.file}: no such file or folder; give a checkpoint or what save_pretrained wrote"
            )
