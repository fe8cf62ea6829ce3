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
_IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm"}


def predict(
    checkpoint: Checkpoint,
    paths: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    out: Annotated[Path, folder_option("--out", "Folder for the results.")],
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
    from segshift.files import atomic_path
    from segshift.pictures import legend, overlay

    segmenter = load(checkpoint)
    named = find_images(paths)
    pixels = np.zeros(256, np.int64)
    written = []
    for name, path in track(named.items(), "predicting", console=console, disable=not console.is_terminal):
        image = read_image(path)
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


def find_images(paths: list[Path]) -> dict[str, Path]:
    """Output name to image file: plain names, with the folders below a given folder kept as FOLDER/NAME.

    Raises:
        InputError: a path that does not exist, a folder without images, two images of one name.
    """
    named: dict[str, Path] = {}
    for path in paths:
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.suffix.lower() in _IMAGES)
            if not files:
                raise InputError(
                    f"{path}: holds no images ({', '.join(sorted(_IMAGES))}); give another folder"
                )
            found = {str(file.relative_to(path).with_suffix("")): file for file in files}
        elif path.is_file():
            found = {path.stem: path}
        else:
            raise InputError(f"{path}: no such file or folder; give images or folders of images")
        for name, file in found.items():
            if name in named:
                raise InputError(
                    f"{file} and {named[name]} would both be written as {name}; rename one, "
                    "or predict them into two --out folders"
                )
            named[name] = file
    return named


def parse_size(text: str, option: str) -> tuple[int, int]:
    """(width, height) from "WxH". Raises InputError."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise InputError(f"{option} {text}: write it as WIDTHxHEIGHT, for example 1024x512")
    return int(width), int(height)
