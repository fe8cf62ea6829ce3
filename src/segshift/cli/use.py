"""`segshift evaluate` and `segshift predict`: what one does with a trained model."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from segshift.cli.output import console, print_json, results
from segshift.errors import InputError
from segshift.plain import say

Checkpoint = Annotated[Path, typer.Argument(help="A run folder or its model.safetensors.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
_IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm"}


def evaluate_model(
    checkpoint: Checkpoint,
    data: Annotated[str, typer.Option("--data", help="Labelled dataset: camvid:ROOT:test, FILE.yaml:val.")],
    scales: Annotated[str, typer.Option(help="Multi-scale testing, e.g. 0.7,1,1.3.")] = "1",
    flip: Annotated[bool, typer.Option("--flip", help="Average with the mirrored image.")] = False,
    window: Annotated[str | None, typer.Option(help="Sliding window WxH in px; default whole image.")] = None,
    size: Annotated[str | None, typer.Option(help="WxH at which the network sees images.")] = None,
    as_json: Json = False,
) -> None:
    """IoU per class on a labelled dataset, from one confusion matrix over all its images.

    Example: segshift evaluate runs/advent --data camvid:CamVid:test
    """
    from segshift import load
    from segshift.data.dataset import SegmentationDataset
    from segshift.data.resolve import resolve
    from segshift.evaluation import evaluate, iou_table

    segmenter = load(checkpoint)
    split = resolve(data, "val")
    with console.status(f"evaluating on {len(split.samples)} images"):
        result = evaluate(
            segmenter,
            SegmentationDataset(split, segmenter.classes, None, with_labels=True),
            mode="whole" if window is None else "sliding",
            window=None if window is None else parse_size(window, "--window"),
            input_size=segmenter.config.input_size if size is None else parse_size(size, "--size"),
            scales=parse_scales(scales),
            flip=flip,
        )
    if as_json:
        described = {"checkpoint": str(checkpoint), "data": data, "images": len(split.samples)}
        print_json({**described, **result.to_dict()})
    else:
        title = f"{checkpoint} on {split.dataset} {split.name} ({len(split.samples)} images)"
        results.print(iou_table({"IoU in %": result}, escape(title)))


def predict(
    checkpoint: Checkpoint,
    paths: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")],
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


def parse_scales(text: str) -> tuple[float, ...]:
    """Positive numbers from "0.7,1,1.3". Raises InputError."""
    try:
        scales = tuple(float(part) for part in text.split(","))
    except ValueError:
        scales = ()
    if not scales or min(scales) <= 0:
        raise InputError(f"--scales {text}: write positive numbers with commas, for example 0.7,1,1.3")
    return scales
