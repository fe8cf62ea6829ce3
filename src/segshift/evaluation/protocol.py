"""What a score depends on besides the network and the data, in words and numbers for the result file."""

import platform
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import torch

from segshift.config import Strict, parse
from segshift.data.labels import class_set, class_set_names
from segshift.documents import parse_yaml
from segshift.errors import InputError
from segshift.models.inference import default_stride
from segshift.models.inference_config import Inference
from segshift.plain import counted
from segshift.sizes import Fit
from segshift.train_ids import IGNORE
from segshift.version import __version__

InputSize = tuple[int, int] | None


class _Published(Strict):
    starred: tuple[str, ...]
    source: str


@lru_cache(maxsize=1)
def _published() -> dict[frozenset[str], tuple[str, ...]]:
    text = resources.files("segshift.evaluation").joinpath("published.yaml").read_text(encoding="utf-8")
    entries = {
        name: parse(_Published, entry, where=f"published.yaml: {name}")
        for name, entry in parse_yaml(text, where="published.yaml").items()
    }
    return {frozenset(class_set(name).names): entry.starred for name, entry in entries.items()}


def starred_classes(names: Sequence[str]) -> tuple[str, ...]:
    """The classes that papers mark with * when they report a mean over these; () for other class sets.

    mIoU* is the mean over the classes without a star: 13 of SYNTHIA's 16.
    """
    return _published().get(frozenset(names), ())


def scored_classes(argument: str, class_names: Sequence[str]) -> tuple[str, ...]:
    """The classes that `--classes` names, in the order of their train ids.

    Args:
        argument: a built-in class set such as `cityscapes16`, or class names with commas.
        class_names: of the network.

    Raises:
        InputError: an unknown set, or classes that the network does not have.
    """
    listed = [name.strip() for name in argument.split(",")]
    if len(listed) == 1 and listed[0] not in class_names:
        wanted = class_set(listed[0]).names
    else:
        wanted = tuple(listed)
    missing = [name for name in wanted if name not in class_names]
    if missing:
        raise InputError(
            f"--classes {argument}: the evaluated classes are {', '.join(class_names)}, without "
            f"{', '.join(missing)}; name a subset of them, or a class set ({', '.join(class_set_names())})"
        )
    return tuple(name for name in class_names if name in wanted)


def inference_protocol(
    inference: Inference, input_sizes: Sequence[InputSize], fits: Sequence[Fit], classes: int
) -> dict[str, Any]:
    """How networks were applied, for JSON. Sizes are [width, height] in px; null is the image's own size.

    Args:
        inference: the settings.
        input_sizes: at which each network sees images; several networks are an ensemble.
        fits: what becomes, for each, of images with other proportions.
        classes: of the network.
    """
    networks, window = len(input_sizes), inference.window
    averaged = [
        *(["overlapping windows"] if window else []),
        *(["scales"] if len(inference.scales) > 1 else []),
        *(["mirrored images"] if inference.flip else []),
        *([f"{networks} networks"] if networks > 1 else []),
    ]
    sizes = [None if size is None else list(size) for size in input_sizes]
    up_sampled = (
        "logits to the window, mean probabilities to the label's size"
        if window
        else "logits to the label's size"
    )
    return {
        "mode": "sliding" if window else "whole",
        "input_size": sizes[0] if networks == 1 else sizes,
        "fit": fits[0] if networks == 1 else list(fits),
        "image_resize": "bilinear with anti-aliasing",
        "window": list(window) if window else None,
        "stride": list(inference.stride or default_stride(window)) if window else None,
        "scales": list(inference.scales),
        "flip": inference.flip,
        "networks": networks,
        "mean_of_probabilities_over": averaged,
        "up_sampling": f"{up_sampled}, bilinear, align_corners=True",
        "decision": f"arg max over the network's {classes} classes",
        "ignore": IGNORE,
    }


_FITS: dict[Fit, str] = {
    "stretch": "",
    "cover": " (covered)",
    "pad": " (fitted into)",
}


def versions() -> dict[str, str]:
    """Of what computed the result."""
    return {
        "segshift": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def protocol_lines(protocol: dict[str, Any]) -> list[str]:
    """The protocol for people: short lines of words."""
    if protocol["mode"] == "predictions":
        first = f"prediction files, ids: {protocol['prediction_ids']}"
    else:
        sizes = protocol["input_size"]
        several = protocol["networks"] > 1
        # Results of older versions do not say it.
        fits = protocol.get("fit", ["stretch"] * len(sizes) if several else "stretch")
        pairs = zip(sizes, fits, strict=True) if several else [(sizes, fits)]
        shown = [_size(size) + (_FITS[fit] if size else "") for size, fit in pairs]
        first = f"network sees {', '.join(dict.fromkeys(shown))}"
        if protocol["mode"] == "sliding":
            first += f", windows {_size(protocol['window'])} every {_size(protocol['stride'])}"
        if protocol["scales"] != [1.0]:
            first += f", scales {', '.join(f'{scale:g}' for scale in protocol['scales'])}"
        if protocol["flip"]:
            first += ", mirrored too"
        if several:
            first += f", mean of {protocol['networks']} networks"
    left_out = protocol["classes_without_iou"]
    scored = len(protocol["scored_classes"]) - len(left_out)
    second = f"mean over {scored} of {len(protocol['classes'])} classes"
    if left_out:
        second += f" (in no label and no prediction: {', '.join(left_out)})"
    return [first, f"{second}, {counted(protocol['images'], 'image')}, label {protocol['ignore']} ignored"]


def _size(size: Sequence[int] | None) -> str:
    return "images at their own size" if size is None else f"{size[0]}x{size[1]} px"
