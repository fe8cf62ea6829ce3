"""What a segmenter's forward pass gives."""

from typing import NamedTuple

from torch import Tensor

Window = tuple[slice, slice]
"""Rows and columns of a map."""


class Detail(NamedTuple):
    """The prediction of a part of the images that was seen by itself, at a larger size (HRDA).

    Attributes:
        logits: (N, C, h, w), at the resolution of the features.
        window: its place in px of the images.
        weight: share of its own loss in a supervised loss.
    """

    logits: Tensor
    window: Window
    weight: float


class SegmenterOutput(NamedTuple):
    """What one forward pass gives, at the resolution of the features; a head on several levels, such as
    fcn8s, gives logits at that of the finest.

    Attributes:
        features: (N, F, h, w), of the backbone's last stage.
        logits: (N, C, h, w), the sum of `head_logits`.
        auxiliary_features: (N, F', h', w'), of the stage before the last.
        auxiliary_logits: (N, C, h', w'); None without an auxiliary head.
        head_logits: (N, C, h, w) of each classifier on the last features.
        pyramid: all of the backbone's features, shallow to deep; the last are `features`.
        detail: of a network with `multi_resolution` in training mode; its features are the context's.
    """

    features: Tensor
    logits: Tensor
    auxiliary_features: Tensor | None = None
    auxiliary_logits: Tensor | None = None
    head_logits: tuple[Tensor, ...] = ()
    pyramid: tuple[Tensor, ...] = ()
    detail: Detail | None = None
