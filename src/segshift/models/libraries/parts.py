"""A network of any origin, taken apart into a backbone and heads.

A segmenter is a backbone that gives a pyramid of features and a head that turns it into logits. With that
every method works on every network: what a term needs is asked of the pyramid, not of the library.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from segshift.errors import InputError
from segshift.models.backbones import PixelStatistics


@dataclass(frozen=True)
class Parts:
    """A foreign network in the shape of a segmenter.

    Attributes:
        backbone: (N, 3, H, W) to a list of features, shallow to deep; the last are its `features`.
        heads: the classifiers, one or two; each takes the list.
        channels: of the features; 0 for a network of one's own that gives logits alone.
        pixel_statistics: that its weights were trained with.
        settings: that build the same network again, without weights.
    """

    backbone: nn.Module
    heads: tuple[nn.Module, ...]
    channels: tuple[int, ...]
    pixel_statistics: PixelStatistics
    settings: dict[str, Any]


def library(module: str, extra: str) -> Any:
    """An optional library. Raises InputError where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(
            f"model.library: {module} is not installed; run `pip install segshift[{extra}]`"
        ) from None


def built(build: Callable[[], Any], where: str) -> Any:
    """What `build` gives; whatever another's code raises becomes one line."""
    try:
        return build()
    except InputError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{where}: cannot be built ({reason[:200]})") from None


def pixel_statistics(
    mean: Any, std: Any, scale: float = 1.0, order: Literal["rgb", "bgr"] = "rgb"
) -> PixelStatistics:
    """The statistics that a library states; ImageNet's where it states none for three channels."""
    if mean is None or std is None or len(mean) != 3 or len(std) != 3:
        return PixelStatistics()
    red, green, blue = (float(value) for value in mean)
    first, second, third = (float(value) for value in std)
    return PixelStatistics((red, green, blue), (first, second, third), scale, order)
