"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", help="Change a key: --set training.steps=500.")
]
Source = Annotated[
    str | None, typer.Option("--source", help="Labelled dataset: camvid:ROOT, city:game, FILE.yaml.")
]
Target = Annotated[
    str | None, typer.Option("--target", help="Dataset to adapt to; its labels are not opened.")
]
Checkpoint = Annotated[Path, typer.Argument(help="A run folder or its model.safetensors.")]

# How networks see images, and where they run: `segshift.models.inference.Inference`.
Scales = Annotated[str, typer.Option(help="Multi-scale testing, e.g. 0.7,1,1.3.")]
Flip = Annotated[bool, typer.Option("--flip", help="Average with the mirrored image.")]
Window = Annotated[str | None, typer.Option(help="Sliding window WxH in px; default whole image.")]
Stride = Annotated[str | None, typer.Option(help="Of the window, XxY in px; default 2/3 of it.")]
Size = Annotated[str | None, typer.Option(help="WxH at which the network sees images, or native.")]
Fit = Annotated[
    str | None,
    typer.Option(help="Of images with other proportions: stretch, cover or pad; default: as trained."),
]
OneSize = Annotated[
    str | None, typer.Option(help="WxH at which all networks see images; default: each one's own.")
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1; default: a GPU if any.")]

# `segshift.report.evidence.ReportSettings`.
Images = Annotated[
    int, typer.Option(min=2, help="Of each domain in the analyses, spread evenly; scores are those of all.")
]
Pictures = Annotated[int, typer.Option(min=1, help="Images that are shown.")]
Points = Annotated[int, typer.Option(min=1, help="Of each class and domain in the t-SNE.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything random.")]
