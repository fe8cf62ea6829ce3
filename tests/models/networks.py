"""Small networks for the tests of models and evaluation."""

from typing import Any

import torch
from torch import Tensor, nn

from segshift.data.labels import ClassSet
from segshift.models import Segmenter, SegmenterConfig

CLASSES = ClassSet("four", ("road", "car", "sky", "person"), ((128, 64, 128), (0, 0, 142), (70, 130, 180), (220, 20, 60)))


def tiny(seed: int = 0, classes: ClassSet = CLASSES, **settings: Any) -> Segmenter:
    """A `segshift_tiny` segmenter in training mode, with averages that are not the initial ones."""
    torch.manual_seed(seed)
    segmenter = Segmenter(SegmenterConfig(backbone="segshift_tiny", weights="none", **settings), classes)
    for name, buffer in segmenter.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    return segmenter


class _Identity(nn.Module):
    def forward(self, x: Tensor) -> list[Tensor]:
        return [x, x]


def pixelwise(seed: int = 0) -> Segmenter:
    """A segmenter whose logits depend on nothing but the pixel, at full resolution: tilings cannot matter."""
    segmenter = tiny(seed)
    segmenter.backbone = _Identity()
    segmenter.head = nn.Conv2d(3, len(segmenter.class_names), 1)
    return segmenter.eval()
