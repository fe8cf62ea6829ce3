"""A network of one's own: a function in a Python file that the recipe names."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segshift.errors import InputError
from segshift.external import external_function
from segshift.files import expanded
from segshift.models.libraries.parts import Parts, built, pixel_statistics
from segshift.models.weights import load_backbone_state, read_state, without_prefix

_PROBE = (1, 3, 64, 96)
# What has run in this process: loading a model of one of these runs nothing new.
_TRUSTED: set[str] = set()


class _OwnBackbone(nn.Module):
    """A network of one's own: its logits, then its features, as a pyramid."""

    def __init__(self, module: nn.Module, where: str) -> None:
        super().__init__()
        self.module = module
        self.where = where

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) to [logits, features]; features without channels where the network gives none."""
        output = self.module(images)
        logits, features = output if isinstance(output, tuple | list) and len(output) == 2 else (output, None)
        if not isinstance(logits, Tensor) or logits.ndim != 4:
            raise InputError(
                f"{self.where}: gives {type(output).__name__} instead of logits (N, C, h, w), or a pair of "
                "logits and features (N, F, h, w)"
            )
        return [logits, logits[:, :0] if features is None else features]


class _FirstOf(nn.Module):
    """The logits of `_OwnBackbone`."""

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """[logits, features] to logits."""
        return pyramid[0]


def own_network(reference: str, classes: int, count: int, weights: str, settings: dict[str, Any]) -> Parts:
    """A network of one's own: what the function (or class) in `FILE.py:NAME` makes of the number of classes.

    The module maps normalised (N, 3, H, W) images to logits (N, C, h, w), or to logits and features. Its
    attributes `mean` and `std`, if it has them, are its pixel statistics; else ImageNet's are.

    Args:
        reference: `FILE.py:NAME`. Building the network runs that code.
        classes: C, its first argument.
        count: how many classifiers: 1.
        weights: none, or the path of a state dict.
        settings: further arguments.

    Raises:
        InputError: no such function, a function that fails, output of another form, weights that do not fit.
    """
    where = f"model.module = {reference}"
    if count > 1:
        raise InputError(f"model.classifiers = {count}: {where} has one; set classifiers: 1")
    build = external_function(reference, "model.module")
    module = built(lambda: build(classes, **settings), where)
    _TRUSTED.add(reference)
    if not isinstance(module, nn.Module):
        raise InputError(f"{where}: returns {type(module).__name__}, not a torch.nn.Module")
    if weights not in ("none", "imagenet"):
        path = expanded(weights)
        load_backbone_state(module, set(), without_prefix(read_state(path)), str(path))
    backbone = _OwnBackbone(module, where)
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    trained = module.training
    with torch.no_grad():
        logits, features = built(lambda: backbone.eval()(torch.zeros(_PROBE, device=device)), where)
    backbone.train(trained)
    if logits.shape[1] != classes:
        raise InputError(f"{where}: gives {logits.shape[1]} classes instead of {classes}")
    statistics = pixel_statistics(getattr(module, "mean", None), getattr(module, "std", None))
    return Parts(backbone, (_FirstOf(),), (classes, features.shape[1]), statistics, settings)


def check_trusted(reference: str, file: Path, trust_code: bool) -> None:
    """Refuse a model file that names code, unless that code has run in this process or may run.

    Raises:
        InputError: loading would run code that nobody has asked for.
    """
    if not (trust_code or reference in _TRUSTED or os.environ.get("SEGSHIFT_TRUST_CODE") == "1"):
        raise InputError(
            f"{file}: its network is code in {reference}, which loading would run; if you trust it, use "
            "segshift.load(..., trust_code=True), or set SEGSHIFT_TRUST_CODE=1 for a command"
        )
