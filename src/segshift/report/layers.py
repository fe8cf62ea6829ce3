"""The pictures of the report's slider: every image, its truth, predictions and entropy maps, packed small."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segshift.analysis.strips import Shown
from segshift.errors import InputError
from segshift.pictures import Pixels, hex_color, present_ids
from segshift.report.base_page import at_most, data_uri, script_json
from segshift.report.content import Report
from segshift.report.drawings.strips import entropy_colors

PICTURE_PX = 960
"""Wider pictures are scaled down to this width: about what the slider fills on a wide screen."""

_QUALITY = 85


def picture_data(report: Report) -> str:
    """JSON for the slider: by image its name, size, classes in order of their pixels, and layers.

    Raises:
        InputError: a map of another size than its image.
    """
    palette = report.classes.palette
    data = {
        "classes": [
            {"name": name, "color": hex_color(palette[index])}
            for index, name in enumerate(report.classes.names)
        ],
        "images": [_image(shown, report) for shown in report.shown],
    }
    return script_json(data)


def layer_choices(report: Report) -> list[dict[str, str]]:
    """Key and caption of every layer, in the order of the menus."""
    first = report.shown[0]
    choices = [{"key": "image", "caption": "image"}]
    if any(shown.label is not None for shown in report.shown):
        choices.append({"key": "truth", "caption": "truth"})
    for index, run in enumerate(report.runs):
        if run.name in first.predicted:
            choices.append({"key": f"prediction-{index}", "caption": f"{run.name}: prediction"})
    for index, run in enumerate(report.runs):
        if run.name in first.entropy:
            choices.append({"key": f"entropy-{index}", "caption": f"{run.name}: entropy"})
    return choices


def first_layers(report: Report) -> tuple[str, str]:
    """The layers that the slider begins with: before and after adaptation, as far as there are any."""
    keys = [choice["key"] for choice in layer_choices(report)]
    predictions = [key for key in keys if key.startswith("prediction")]
    if len(predictions) < 2:
        return "image", predictions[0] if predictions else keys[-1]
    gains = {
        f"prediction-{index}": run.gain.difference
        for index, run in enumerate(report.runs)
        if run.gain is not None and run.is_fair
    }
    best = max(predictions[1:], key=lambda key: gains.get(key, -np.inf))
    return predictions[0], best


def _image(shown: Shown, report: Report) -> dict[str, Any]:
    height, width = shown.image.shape[:2]
    layers = {"image": _photo(shown.image)}
    labels = []
    if shown.label is not None:
        labels.append(shown.label)
        layers["truth"] = _label_map(shown.label, report)
    for index, run in enumerate(report.runs):
        if run.name in shown.predicted:
            labels.append(shown.predicted[run.name])
            layers[f"prediction-{index}"] = _label_map(shown.predicted[run.name], report)
        if run.name in shown.entropy:
            layers[f"entropy-{index}"] = _entropy_map(shown.entropy[run.name])
    shapes = {map_.shape for map_ in labels} | {map_.shape for map_ in shown.entropy.values()}
    for shape in sorted(shapes):
        if shape != (height, width):
            raise InputError(
                f"report: a map of {shown.name} is {shape}, the image {(height, width)}; give equal sizes"
            )
    return {
        "name": shown.name,
        "width": width,
        "height": height,
        "present": list(present_ids(labels, report.classes)),
        "ignored": any(bool((label >= report.classes.count).any()) for label in labels),
        "means": {
            f"entropy-{index}": round(float(shown.entropy[run.name].mean()), 3)
            for index, run in enumerate(report.runs)
            if run.name in shown.entropy
        },
        "layers": layers,
    }


def _photo(image: Pixels) -> str:
    picture = at_most(Image.fromarray(image), PICTURE_PX, Image.Resampling.LANCZOS)
    return data_uri(picture, "JPEG", quality=_QUALITY)


def _label_map(label: Pixels, report: Report) -> str:
    picture = at_most(Image.fromarray(label), PICTURE_PX, Image.Resampling.NEAREST)
    # An indexed PNG is a few kilobytes and keeps the colors exact.
    picture.putpalette(report.classes.palette.tobytes())
    return data_uri(picture, "PNG", optimize=True)


def _entropy_map(entropy: NDArray[np.float32]) -> str:
    picture = Image.fromarray(entropy_colors(entropy))
    return data_uri(at_most(picture, PICTURE_PX, Image.Resampling.BOX), "JPEG", quality=_QUALITY)
