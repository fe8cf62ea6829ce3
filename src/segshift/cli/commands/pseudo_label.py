"""`segshift data pseudo-label`: a trained network labels images, for self-training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.commands.seeing import Seeing
from segshift.cli.early import check_data, check_models
from segshift.cli.options import Checkpoint, Device
from segshift.cli.outputs import folder_option
from segshift.config import did_you_mean
from segshift.errors import InputError

RULES = ("class_balanced", "class_threshold", "confidence", "none")


@dataclass(frozen=True)
class PseudoLabel(Seeing):
    """Write a network's confident predictions as a labelled data set; goes on if interrupted.

    Example: segshift data pseudo-label runs/advent --data camvid:CamVid --out pseudo --portion 0.2 --flip
    """

    work = "segshift.cli.pseudo_label:pseudo_label"

    checkpoint: Checkpoint
    data: Annotated[
        str, typer.Option("--data", help="Images: FILE.yaml, camvid:ROOT; split train or :SPLIT.")
    ]
    out: Annotated[Path, folder_option("--out", "Folder for labels and dataset.yaml.")]
    rule: Annotated[
        str, typer.Option(help="Which pixels are kept: class_balanced, class_threshold, confidence or none.")
    ] = "class_balanced"
    portion: Annotated[
        float | None,
        typer.Option(help="Share of each class's pixels; default 0.2, for class_threshold 0.5."),
    ] = None
    threshold: Annotated[
        float, typer.Option(help="Probability from which confidence and class_threshold keep all.")
    ] = 0.9
    weigh: Annotated[
        bool,
        typer.Option(
            help="class_balanced: favor classes that are never sure, as CBST does; or keep classes."
        ),
    ] = True
    min_class_share: Annotated[
        float, typer.Option(help="Classes predicted on a smaller share of all pixels keep none.")
    ] = 1e-4
    device: Device = None
    copy_images: Annotated[
        bool, typer.Option("--copy-images", help="Copy the images, so that the folder can be moved.")
    ] = False
    check: Annotated[
        bool, typer.Option("--check", help="Compare with true labels, if there are some: for information.")
    ] = False

    def refuse(self) -> None:
        """Refuse a model and a data set that are not there, and an unknown rule. Raises InputError."""
        super().refuse()
        if self.rule not in RULES:
            raise InputError(f"--rule {self.rule}: is no rule{did_you_mean(self.rule, RULES)}")
        check_models([self.checkpoint])
        check_data(self.data)
