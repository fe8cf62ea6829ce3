"""The options of all commands that show images to a network."""

from dataclasses import dataclass, field

from segshift.cli.arguments import parse_size
from segshift.cli.command import Command
from segshift.cli.options import Fit, Flip, Scales, Size, Stride, Window
from segshift.config import parse
from segshift.errors import InputError
from segshift.models.inference_config import Inference
from segshift.sizes import WidthHeight


@dataclass(frozen=True)
class Seeing(Command):
    """How networks see images: what `parse_inference` makes an `Inference` of."""

    scales: Scales = field(default="1", kw_only=True)
    flip: Flip = field(default=False, kw_only=True)
    window: Window = field(default=None, kw_only=True)
    stride: Stride = field(default=None, kw_only=True)
    size: Size = field(default=None, kw_only=True)
    fit: Fit = field(default=None, kw_only=True)

    def refuse(self) -> None:
        """Refuse sizes and scales that are none. Raises InputError."""
        super().refuse()
        parse_inference(self)


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


def _parse_scales(text: str) -> tuple[float, ...]:
    """Positive numbers from "0.7,1,1.3". Raises InputError."""
    try:
        scales = tuple(float(part) for part in text.split(","))
    except ValueError:
        scales = ()
    if not scales or not all(0 < scale < float("inf") for scale in scales):
        raise InputError(f"--scales {text}: write positive numbers with commas, for example 0.7,1,1.3")
    return scales
