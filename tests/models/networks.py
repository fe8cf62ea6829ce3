"""Small networks for the tests of models and evaluation."""

from typing import Any

import torch
from torch import Tensor, nn

from segshift.data.labels import ClassSet
from segshift.models import Segmenter, SegmenterConfig

CLASSES = ClassSet(
    "four", ("road", "car", "sky", "person"), ((128, 64, 128), (0, 0, 142), (70, 130, 180), (220, 20, 60))
)


def tiny(seed: int = 0, classes: ClassSet = CLASSES, **settings: Any) -> Segmenter:
    """A `segshift_tiny` segmenter in training mode that predicts several classes on noise.

    The running averages are not the initial ones, so that a test sees whether they are used.
    """
    torch.manual_seed(seed)
    segmenter = Segmenter(SegmenterConfig(backbone="segshift_tiny", weights="none", **settings), classes)
    for name, buffer in segmenter.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    with torch.no_grad():
        for branch in segmenter.head.branches:
            branch.get_parameter("weight").mul_(10)
        noise = segmenter.eval()(segmenter.normalize(torch.rand(4, 3, 32, 48)))
        segmenter.head.get_parameter("branches.0.bias").sub_(noise.logits.mean(dim=(0, 2, 3)))
    segmenter.train()
    return segmenter


class _Identity(nn.Module):
    def forward(self, x: Tensor) -> list[Tensor]:
        return [x, x]


def pixelwise(seed: int = 0) -> Segmenter:
    """A segmenter whose logits depend on nothing but the pixel, at full resolution: tilings cannot matter."""
    segmenter = tiny(seed)
    segmenter.backbone = _Identity()
    segmenter._modules["head"] = nn.Conv2d(3, len(segmenter.class_names), 1)
    return segmenter.eval()
