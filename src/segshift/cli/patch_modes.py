"""`segshift data patch-modes`: how the patches of a data set's labels look."""

from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.arguments import parse_size
from segshift.cli.options import Json
from segshift.cli.output import print_json, results, working
from segshift.cli.outputs import file_option
from segshift.errors import InputError
from segshift.plain import say


def patch_modes(
    data: Annotated[str, typer.Argument(help="Labelled data: camvid:ROOT, FILE.yaml, city:game; or :SPLIT.")],
    out: Annotated[Path, file_option("--out", "The picture (PNG).")],
    modes: Annotated[int, typer.Option(min=2, help="Number of clusters.")] = 50,
    patch: Annotated[str, typer.Option(help="WxH of a patch in px.")] = "64x32",
    size: Annotated[
        str | None, typer.Option(help="WxH to which label maps are resized; default their own.")
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Label maps to sample, spread evenly.")] = 2000,
    show: Annotated[int, typer.Option(min=1, help="Modes in the picture, the largest first.")] = 24,
    as_json: Json = False,
) -> None:
    """Cluster the label patches of a data set as AdaptPatch does, and draw the largest clusters.

    Example: segshift data patch-modes camvid:CamVid --out modes.png --modes 50 --patch 64x32
    """
    from segshift.analysis.patch_modes import report_modes
    from segshift.data.resolve import resolve
    from segshift.methods.patch_modes import Patches, Sampling
    from segshift.report.drawings.patch_modes import draw_modes

    width, height = parse_size(patch, "--patch")
    if width % 2 or height % 2:
        raise InputError(f"--patch {patch}: a patch is cut into 2 x 2 cells; give even numbers")
    split = resolve(data, "train")
    with working("clustering patches"):
        report = report_modes(
            split,
            Patches(height, width, split.classes.count),
            Sampling(modes=modes, images=images),
            None if size is None else parse_size(size, "--size"),
        )
        draw_modes(report, out, show)
    if as_json:
        print_json({**report.to_dict(), "picture": str(out)})
    else:
        say(results, f"{modes} modes of {report.sampled} patches, drawn in {out}")
