"""`segshift predict`: label images with a trained model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.commands.seeing import Seeing
from segshift.cli.early import check_models
from segshift.cli.options import Checkpoint, Device
from segshift.cli.outputs import folder_option


@dataclass(frozen=True)
class Predict(Seeing):
    """Label images: NAME_label.png (train ids), NAME_overlay.png (colors on the image), and legend.png.

    What the values mean stands in predictions.json. Images above 8.4 megapixels that the network sees at
    their own size (--size native) are seen in overlapping windows. Videos become NAME_label.mkv (train ids,
    without loss) and NAME_overlay.mp4. The same call goes on after a kill, and `torchrun -m segshift.cli
    predict` shares the files among its processes.

    Example: segshift predict runs/advent photos/ --out predictions

    Example: segshift predict runs/advent camvid:CamVid:test --out predictions --size native --ids camvid
    """

    work = "segshift.cli.predict:predict"

    checkpoint: Checkpoint
    paths: Annotated[
        list[str], typer.Argument(help="Images, videos, folders of them, or data sets (FILE.yaml:SPLIT).")
    ]
    out: Annotated[Path, folder_option("--out", "Folder for the results.")]
    device: Device = None
    ids: Annotated[
        str, typer.Option(help="Values in NAME_label.png: train_ids, or the data set whose label ids.")
    ] = "train_ids"
    with_overlay: Annotated[
        bool, typer.Option("--overlay/--no-overlay", help="NAME_overlay.png: colors on the image.")
    ] = True
    color: Annotated[bool, typer.Option("--color", help="NAME_color.png: the classes' colors.")] = False
    probabilities: Annotated[
        bool,
        typer.Option("--probabilities", help="NAME_probabilities.npz (H, W, classes), NAME_confidence.png."),
    ] = False
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out images that cannot be read, and name them.")
    ] = False

    def refuse(self) -> None:
        """Refuse a model that is not there. Raises InputError."""
        super().refuse()
        check_models([self.checkpoint])
