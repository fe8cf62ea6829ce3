"""`segshift predict`: label images with a trained model."""

from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.output import console, print_json, results
from segshift.cli.outputs import folder_option
from segshift.errors import InputError
from segshift.plain import say

Checkpoint = Annotated[Path, typer.Argument(help="A run folder or its model.safetensors.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def predict(
    checkpoint: Checkpoint,
    paths: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    out: Annotated[Path, folder_option("--out", "Folder for the results.")],
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out images that cannot be read, and name them.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Label images: NAME_label.png (train ids), NAME_overlay.png (colors on the image), and legend.png.

    Example: segshift predict runs/advent photos/ --out predictions
    """
    import numpy as np
    from PIL import Image
    from rich.progress import track

    from segshift import load
    from segshift.data.images import read_image
    from segshift.evaluation.sidecar import train_id_sidecar
    from segshift.files import atomic_path
    from segshift.pictures import legend, overlay

    segmenter = load(checkpoint)
    named = _usable(paths, skip_bad)
    train_id_sidecar(str(checkpoint), segmenter.classes, upright=True).claim(out)
    pixels = np.zeros(256, np.int64)
    written = []
    broken = []
    for name, path in track(named.items(), "predicting", console=console, disable=not console.is_terminal):
        try:
            image = read_image(path, upright=True)
        except InputError as error:
            # Damage behind a sound header; the other images are still wanted.
            broken.append(str(error))
            say(console, f"left out: {error}")
            continue
        label = segmenter.predict(image)
        pixels += np.bincount(label.ravel(), minlength=256)
        pictures = {
            "label": Image.fromarray(label),
            "overlay": Image.fromarray(overlay(image, label, segmenter.classes)),
        }
        files = {kind: out / f"{name}_{kind}.png" for kind in pictures}
        for kind, picture in pictures.items():
            with atomic_path(files[kind]) as temporary:
                picture.save(temporary)
        written.append({"image": str(path), **{kind: str(file) for kind, file in files.items()}})
    present = [index for index in np.argsort(-pixels).tolist() if pixels[index] > 0]
    with atomic_path(out / "legend.png") as temporary:
        legend(segmenter.classes, present).save(temporary)
    if as_json:
        print_json({"checkpoint": str(checkpoint), "legend": str(out / "legend.png"), "predictions": written})
    else:
        say(results, f"{len(written)} images labelled in {out}")
    if broken and not skip_bad:
        raise InputError(f"{len(broken)} of {len(named)} images are left out, first {broken[0]}")


def _usable(paths: list[Path], skip_bad: bool) -> dict[str, Path]:
    """The images by the names of their results; all are looked at before the first is predicted.

    Raises:
        InputError: as `find_photos`, or an image that cannot be read, unless those are to be skipped.
    """
    from segshift.data.photos import find_photos
    from segshift.data.survey import survey_images

    photos = find_photos(paths)
    for note in photos.notes:
        say(console, note)
    looked = survey_images(photos.named.values())
    if looked.errors and not skip_bad:
        more = f", and {len(looked.errors) - 1} more images" if len(looked.errors) > 1 else ""
        raise InputError(f"{looked.errors[0]}{more} (or leave such images out: --skip-bad)")
    for line in looked.errors:
        say(console, f"left out: {line}")
    if looked.conversions:
        say(console, looked.conversions)
    if looked.turned:
        say(console, f"{looked.turned} image(s) are turned upright, as their EXIF orientation says")
    return {
        name: path
        for (name, path), one in zip(photos.named.items(), looked.facts, strict=True)
        if not one.error
    }
