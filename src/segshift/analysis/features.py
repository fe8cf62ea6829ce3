"""What an analysis sees of one image: features, the classes of their cells, and the entropy."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from segshift.evaluation.items import LabelledItems
from segshift.losses.entropy import self_information
from segshift.models.batch_norm import evaluating
from segshift.models.inference_config import Inference
from segshift.models.resize import upsample
from segshift.models.segmenter import Segmenter
from segshift.models.segmenter_output import SegmenterOutput
from segshift.sizes import HeightWidth, height_width


@dataclass(frozen=True)
class FeatureMap:
    """One image as a network sees it.

    Attributes:
        features: (F, h, w) float32, the backbone's last features.
        labels: (h, w) uint8 train ids of the features' cells, 255 for none.
        mean_entropy: of the prediction at the network's input size, over log C: in [0, 1].
    """

    features: NDArray[np.float32]
    labels: NDArray[np.uint8]
    mean_entropy: float

    @property
    def descriptor(self) -> NDArray[np.float32]:
        """(F,) the features averaged over space."""
        mean: NDArray[np.float32] = self.features.mean(axis=(1, 2))
        return mean


def feature_maps(
    segmenter: Segmenter, items: LabelledItems, *, inference: Inference | None = None
) -> Iterator[FeatureMap]:
    """Every image of a data set through the network in evaluation mode, one at a time.

    A feature's class is that of the label's pixel nearest to the center of its cell. Without labels it is
    the network's own prediction there.

    Args:
        segmenter: on the device where it shall run.
        items: images with or without labels in the segmenter's train ids.
        inference: at which size the network sees images, whole and unmirrored; None: at its own.

    Raises:
        InputError: the network gives no features.
    """
    _ = segmenter.feature_channels  # which says what to do about a network without any
    for index in range(len(items)):
        item = items[index]
        with evaluating(segmenter), torch.inference_mode():
            images = (inference or Inference()).seen(segmenter, item.image[None])
            output: SegmenterOutput = segmenter(images)
            probabilities = upsample(output.logits, height_width(images)).softmax(dim=1)
            cells = height_width(output.features)
            if item.label is None:
                labels = upsample(output.logits, cells).argmax(dim=1)[0].to(torch.uint8)
            else:
                labels = label_cells(item.label, cells)
            yield FeatureMap(
                features=output.features[0].float().cpu().numpy(),
                labels=labels.cpu().numpy(),
                mean_entropy=float(self_information(probabilities, normalized=True).sum(dim=1).mean()),
            )


def label_cells(label: Tensor, cells: HeightWidth) -> Tensor:
    """A label map (H, W) uint8 at the features' resolution (h, w): the pixel nearest to each center."""
    return F.interpolate(label[None, None].float(), size=cells, mode="nearest-exact")[0, 0].to(torch.uint8)
