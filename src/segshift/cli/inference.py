"""What the options about networks say: how they see images, and where they run."""

import torch

from segshift.cli.arguments import parse_size
from segshift.cli.commands.seeing import Seeing
from segshift.config import parse
from segshift.engine.processes import choose_device
from segshift.errors import InputError
from segshift.models.inference import Inference
from segshift.sizes import WidthHeight


def parse_inference(options: Seeing) -> Inference:
    """The settings that the options say. Raises InputError."""

    if options.stride is not None and options.window is None:
        raise InputError("--stride is the step of a sliding window; give --window as well")
    native = options.size is not None and options.size.strip().lower() == "native"
    settings = {
        "input_size": "native" if native else _size(options.size, "--size", " or native"),
        "window": _size(options.window, "--window"),
        "stride": _size(options.stride, "--stride"),
        "scales": _parse_scales(options.scales),
        "flip": options.flip,
        "fit": options.fit,
    }
    return parse(Inference, settings, "inference")


def _size(text: str | None, option: str, more: str = "") -> WidthHeight | None:
    return None if text is None else parse_size(text, option, more)


def usable_device(device: str | None) -> str:
    """The device that was asked for, or a GPU if there is one. Raises InputError for one that is missing."""

    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"--device {place}: {str(error).splitlines()[0]}; use cpu or a GPU you have"
        ) from None
    return place


def train_on(device: str | None) -> None:
    """Let this process's runs train on `device`; None leaves the choice to Accelerate. Raises InputError."""
    if device is not None:
        choose_device(usable_device(device))


def _parse_scales(text: str) -> tuple[float, ...]:
    """Positive numbers from "0.7,1,1.3". Raises InputError."""
    try:
        scales = tuple(float(part) for part in text.split(","))
    except ValueError:
        scales = ()
    if not scales or not all(0 < scale < float("inf") for scale in scales):
        raise InputError(f"--scales {text}: write positive numbers with commas, for example 0.7,1,1.3")
    return scales
