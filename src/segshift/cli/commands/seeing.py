"""The options of all commands that show images to a network."""

from dataclasses import dataclass, field

from segshift.cli.command import Command
from segshift.cli.options import Fit, Flip, Scales, Size, Stride, Window


@dataclass(frozen=True)
class Seeing(Command):
    """How networks see images: what `segshift.cli.inference.parse_inference` makes an `Inference` of."""

    scales: Scales = field(default="1", kw_only=True)
    flip: Flip = field(default=False, kw_only=True)
    window: Window = field(default=None, kw_only=True)
    stride: Stride = field(default=None, kw_only=True)
    size: Size = field(default=None, kw_only=True)
    fit: Fit = field(default=None, kw_only=True)
