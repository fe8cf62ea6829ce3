"""`segshift analyze`: the papers' analyses of trained models, as pictures and one JSON file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.arguments import parse_size
from segshift.cli.command import Command
from segshift.cli.early import check_data, check_models
from segshift.cli.options import Device, Images, OneSize, Pictures, Points, Seed
from segshift.cli.outputs import folder_option


@dataclass(frozen=True)
class Analyze(Command):
    """See what adaptation did: center distances, retrieval, t-SNE, entropy, confusion, strips, gains.

    Example: segshift analyze runs/source_only runs/advent --source city:game --target camvid:CamVid:test
    --out analysis

    Over training: segshift analyze centers runs/advent --over-training --source city:game
    --target camvid:CamVid:test --out analysis
    """

    work = "segshift.cli.analyze:analyze"

    checkpoints: Annotated[
        list[Path],
        typer.Argument(
            metavar="[ANALYSIS] CKPT...",
            help="Run folders, RUN@STEP or model files; the reference first. ANALYSIS: as one of --only.",
        ),
    ]
    source: Annotated[str, typer.Option("--source", help="Labelled: city:game, camvid:ROOT; or :SPLIT.")]
    target: Annotated[str, typer.Option("--target", help="Data adapted to; split val unless named.")]
    out: Annotated[Path, folder_option("--out", "Folder for the pictures and analysis.json.")]
    images: Images = 200
    only: Annotated[
        str | None,
        typer.Option(help="With commas: gains,confusion,centers,retrieval,embedding,entropy,strips,unseen."),
    ] = None
    unseen: Annotated[
        str | None, typer.Option(help="A labelled third domain for the same models; split val unless named.")
    ] = None
    pictures: Pictures = 4
    points: Points = 40
    classes: Annotated[
        str | None, typer.Option(help="With commas: road,car. Those that the t-SNE or the curves show.")
    ] = None
    over_training: Annotated[
        bool, typer.Option("--over-training", help="Center distances of all kept networks of runs: a curve.")
    ] = False
    perplexity: Annotated[float, typer.Option(min=1, help="Of the t-SNE.")] = 30
    size: OneSize = None
    seed: Seed = 0
    device: Device = None

    def refuse(self) -> None:
        """Refuse models and data sets that are not there. Raises InputError."""
        super().refuse()
        # The first of several may be an analysis's name, which is known with the analyses.
        check_models(self.checkpoints[1:] or self.checkpoints)
        check_data(self.source, self.target, self.unseen)
        if self.size is not None:
            parse_size(self.size, "--size")
