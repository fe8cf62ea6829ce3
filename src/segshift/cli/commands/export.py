"""`segshift export`: a trained network as a file for other programs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.arguments import split_names
from segshift.cli.command import Command
from segshift.cli.early import check_models
from segshift.cli.outputs import folder_option
from segshift.errors import InputError
from segshift.folders import ExportFolder, RunFolder, step_of

_KNOWN = {
    "--format": ("onnx", "torch-export", "safetensors", "torchscript"),
    "--precision": ("fp32", "fp16", "int8"),
}


@dataclass(frozen=True)
class Export(Command):
    """Write a trained network for other programs, compared with it on real images, with a model card.

    The file takes uint8 RGB images of any size, and gives labels and confidence of that size.

    Example: segshift export runs/advent --format onnx --precision fp32,fp16,int8
    """

    work = "segshift.cli.export:export"

    model: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder, model file or RUN@STEP.")]
    formats: Annotated[
        str, typer.Option("--format", help="onnx, torch-export, safetensors, torchscript; or several.")
    ] = "onnx"
    precision: Annotated[
        str, typer.Option(help="fp32, fp16, int8 (ONNX alone); or several: fp32,fp16,int8.")
    ] = "fp32"
    out: Annotated[Path | None, folder_option("--out", "Folder for the files; default: RUN/export.")] = None
    size: Annotated[
        str | None,
        typer.Option(help="WxH at which the program sees every image, or native; default: the run's."),
    ] = None
    images: Annotated[
        str | None,
        typer.Option(help="Unlabelled images to compare on and calibrate with; default: the run's target."),
    ] = None
    data: Annotated[
        str | None, typer.Option(help="Labelled images to score on; default: what the run is evaluated on.")
    ] = None
    compare: Annotated[int, typer.Option(min=1, help="So many images are compared.")] = 8
    calibration: Annotated[int, typer.Option(min=1, help="int8 is calibrated on so many images.")] = 32
    score: Annotated[int, typer.Option(min=0, help="At most so many labelled images are scored.")] = 50
    least_agreement: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of pixels that must get the network's class: 0.995."),
    ] = None
    push_to_hub: Annotated[
        str | None, typer.Option("--push-to-hub", metavar="OWNER/NAME", help="Upload the folder to the hub.")
    ] = None

    def refuse(self) -> None:
        """Refuse a model that is not there, and formats that nobody knows. Raises InputError."""
        super().refuse()
        chosen("--format", self.formats)
        chosen("--precision", self.precision)
        run = RunFolder.of(self.model)
        if run.is_run and not run.is_finished and not run.model.is_file() and step_of(self.model) is None:
            raise InputError(
                f"{self.model}: is not finished, so that there is no network to export; go on with "
                f"`{run.continue_command()}`, or export RUN@STEP"
            )
        check_models([self.model])
        ExportFolder(self.folder).check()

    @property
    def folder(self) -> Path:
        """Of the files."""
        return self.out or RunFolder.of(self.model).exported(step_of(self.model))


def chosen(option: str, text: str) -> tuple[str, ...]:
    """The names in "onnx,safetensors", each once. Raises InputError for others than the option's."""
    names = tuple(dict.fromkeys(split_names(text) or ()))
    for name in names:
        if name not in _KNOWN[option]:
            raise InputError(f"{option} {text}: {name!r} is unknown; choose {', '.join(_KNOWN[option])}")
    return names
