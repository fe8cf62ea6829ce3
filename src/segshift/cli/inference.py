"""What the options about networks say: how they see images, and where they run."""

from typing import TYPE_CHECKING

from segshift.cli.arguments import parse_size
from segshift.config import parse
from segshift.errors import InputError
from segshift.sizes import WidthHeight

if TYPE_CHECKING:
    from segshift.models.inference import Inference


def parse_inference(
    size: str | None, window: str | None, stride: str | None, scales: str, flip: bool, fit: str | None
) -> "Inference":
    """The settings that the options say. Raises InputError."""
    from segshift.models.inference import Inference

    if stride is not None and window is None:
        raise InputError("--stride is the step of a sliding window; give --window as well")
    native = size is not None and size.strip().lower() == "native"
    settings = {
        "input_size": "native" if native else _size(size, "--size", " or native"),
        "window": _size(window, "--window"),
        "stride": _size(stride, "--stride"),
        "scales": _parse_scales(scales),
        "flip": flip,
        "fit": fit,
    }
    return parse(Inference, settings, "inference")


def _size(text: str | None, option: str, more: str = "") -> WidthHeight | None:
    return None if text is None else parse_size(text, option, more)


def usable_device(device: str | None) -> str:
    """The device that was asked for, or a GPU if there is one. Raises InputError for one that is missing."""
    import torch

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
        from segshift.engine.processes import choose_device

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
