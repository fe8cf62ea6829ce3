"""Images beside their truth, the models' answers, and where the models are unsure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from segshift.evaluation.items import LabelledItems
from segshift.losses.entropy import self_information
from segshift.models.batch_norm import evaluating
from segshift.models.inference_config import Inference
from segshift.models.segmenter import Segmenter
from segshift.pictures import Pixels
from segshift.sizes import height_width


@dataclass(frozen=True)
class Shown:
    """One image, its truth and every model's answer.

    Attributes:
        name: of the image.
        image: (H, W, 3) uint8 RGB.
        label: (H, W) uint8 train ids; None without a label.
        predicted: by model, (H, W) uint8 train ids.
        entropy: by model, (H, W) float32: entropy of the prediction over log C, in [0, 1].
    """

    name: str
    image: Pixels
    label: Pixels | None
    predicted: dict[str, Pixels]
    entropy: dict[str, NDArray[np.float32]]


def show(
    models: Mapping[str, Segmenter],
    items: LabelledItems,
    indices: Sequence[int],
    names: Sequence[str],
    *,
    inference: Inference | None = None,
) -> list[Shown]:
    """Predictions and entropy maps of some images by several models, at the images' own size.

    Args:
        models: on the device where they shall run.
        items: images with or without labels in the models' train ids.
        indices: which of them.
        names: of all items' images.
        inference: how the models see them.
    """
    shown = []
    for index in indices:
        item = items[index]
        label = None if item.label is None else item.label.numpy()
        one = Shown(names[index], item.image.permute(1, 2, 0).numpy(), label, {}, {})
        for name, segmenter in models.items():
            with evaluating(segmenter), torch.inference_mode():
                images = item.image[None].to(segmenter.device)
                size = height_width(images)
                probabilities = (inference or Inference()).probabilities([segmenter], images, size)
                information = self_information(probabilities, normalized=True).sum(dim=1)[0]
                one.predicted[name] = probabilities.argmax(dim=1)[0].to(torch.uint8).cpu().numpy()
                one.entropy[name] = information.clamp(0, 1).float().cpu().numpy()
        shown.append(one)
    return shown
