"""`segshift evaluate`: score checkpoints, ensembles and folders of predictions on a labelled data set."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.commands.seeing import Seeing
from segshift.cli.early import check_models
from segshift.cli.options import Device
from segshift.cli.outputs import file_option
from segshift.errors import InputError


class Format(StrEnum):
    """How results are printed."""

    table = "table"
    md = "md"
    csv = "csv"
    latex = "latex"
    json = "json"


@dataclass(frozen=True)
class Evaluate(Seeing):
    """IoU per class and means, from one confusion matrix over all images of a labelled dataset.

    Example: segshift evaluate runs/advent --data camvid:CamVid:test

    Example: segshift evaluate runs/source_only runs/advent --data camvid:CamVid:test --paired
    """

    work = "segshift.cli.evaluate:evaluate"

    data: Annotated[str, typer.Option("--data", help="Labelled dataset: camvid:ROOT:test, FILE.yaml:val.")]
    checkpoints: Annotated[
        list[Path] | None, typer.Argument(help="Run folders or model.safetensors files; a row each.")
    ] = None
    predictions: Annotated[
        list[Path] | None,
        typer.Option("--predictions", help="Folder of prediction PNGs, named after the images; a row each."),
    ] = None
    prediction_ids: Annotated[
        str | None,
        typer.Option(
            help="label_ids, train_ids, or whose train ids: a class set, or classes with commas; default: "
            "what predictions.json says, else the values, if they leave no doubt."
        ),
    ] = None
    classes: Annotated[
        str | None, typer.Option(help="Means over these only: cityscapes16, or names with commas.")
    ] = None
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="One row: the mean of the checkpoints' probabilities.")
    ] = False
    paired: Annotated[
        bool, typer.Option("--paired", help="Two rows: confidence interval of their difference.")
    ] = False
    boundary: Annotated[bool, typer.Option("--boundary", help="Also boundary IoU (takes time).")] = False
    device: Device = None
    out: Annotated[Path | None, file_option("--out", "Also write everything to this JSON file.")] = None
    output_format: Annotated[Format, typer.Option("--format", help="What is printed.")] = Format.table

    @property
    def models(self) -> list[Path]:
        """The checkpoints."""
        return self.checkpoints or []

    @property
    def folders(self) -> list[Path]:
        """The folders of predictions."""
        return self.predictions or []

    def refuse(self) -> None:
        """Refuse what makes no table, and models that are not there. Raises InputError."""
        super().refuse()
        named = [*self.models, *self.folders]
        if not named:
            raise InputError("evaluate: nothing to evaluate; give a run folder, or --predictions FOLDER")
        twice = sorted({str(path) for path in named if named.count(path) > 1})
        if twice:
            raise InputError(f"evaluate: {twice[0]} stands twice; name every model once")
        if self.ensemble and len(self.models) < 2:
            raise InputError("--ensemble averages two or more checkpoints; give their run folders")
        rows = (1 if self.ensemble else len(self.models)) + len(self.folders)
        if self.paired and rows != 2:
            raise InputError(
                f"--paired compares two results, here are {rows}; give two checkpoints or folders"
            )
        if self.out is not None and self.out.suffix != ".json":
            raise InputError(f"--out {self.out}: the results are JSON; name the file something.json")
        check_models(self.models)
