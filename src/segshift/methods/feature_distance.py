"""Features of things kept near those that the network started with (DAFormer's ImageNet feature distance)."""

import copy
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from segshift.config import did_you_mean
from segshift.errors import InputError
from segshift.losses import feature_distance
from segshift.methods.term import Look, Term, TermConfig, trained_feature_channels
from segshift.models.batch_norm import evaluating
from segshift.models.segmenter import Segmenter
from segshift.ranges import Byte, Share

THINGS = (
    "traffic light",
    "traffic sign",
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
)
"""Cityscapes' countable classes in DAFormer's code, train ids 6, 7 and 11 to 18 of its 19."""


class FeatureDistanceConfig(TermConfig):
    """Configuration of the feature distance.

    Attributes:
        weight: of the distance (lambda_FD).
        classes: names or train ids of the classes whose features are kept, those that ImageNet has too; null
            takes those of `THINGS` that the network tells apart.
        min_share: a cell of the features counts if at least this share of its pixels is of one of them.
    """

    term: Literal["feature_distance"] = "feature_distance"
    weight: float = Field(0.005, ge=0)
    classes: list[str | Byte] | None = None
    min_share: Share = 0.75


class FeatureDistance(Term):
    r"""What the network knew of things from ImageNet is not forgotten on the source.

    .. math:: L = \frac{\lambda}{\sum M} \sum_{ij} M_{ij} \lVert F_{start}(x_S)_{ij} - F(x_S)_{ij} \rVert_2

    over the cells of the last features, with M the cells of which one thing class covers the given share. The
    reference is a frozen copy of the backbone as the run starts, in evaluation mode: ImageNet's for
    `weights: imagenet`, the start's for `init_from`. It costs a forward pass without gradient.

    Source: Hoyer et al., DAFormer, CVPR 2022, section 3.3, equations 5 to 7; weight and share from its
    section 4.1.
    """

    Config = FeatureDistanceConfig
    uses_target = False
    uses_target_prediction = False
    why_splits_differ = "the mean is over the cells that count, of which each part has its own number"

    def __init__(self, config: FeatureDistanceConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        self.weight, self.min_share = config.weight, config.min_share
        self.things = thing_ids(config.classes, segmenter.class_names)
        trained_feature_channels(segmenter)  # without any, it is refused before the first step
        self.start = copy.deepcopy(segmenter.backbone).requires_grad_(False)

    def on_source(self, look: Look) -> dict[str, Tensor]:
        """The weighted distance of the source's last features from those of the start."""
        features = look.source.features
        with evaluating(self.start), torch.no_grad():
            seen = look.segmenter.context(look.segmenter.normalize(look.batch.source_images))
            reference = self.start(seen)[-1]
        counted = self._counted(look.batch.source_labels, (features.shape[-2], features.shape[-1]))
        return {"distance": self.weight * feature_distance(features, reference, counted)}

    def _counted(self, labels: Tensor, size: tuple[int, int]) -> Tensor:
        """(N, h, w) bool: cells of which one of the things covers `min_share`."""
        shares = torch.stack([(labels == thing).float() for thing in self.things], dim=1)
        return F.adaptive_avg_pool2d(shares, size).amax(dim=1) >= self.min_share


def thing_ids(classes: Sequence[str | int] | None, names: tuple[str, ...]) -> list[int]:
    """The train ids of classes given by name or id; of None, those of `THINGS` among the names.

    Raises:
        InputError: a class that there is not, or none at all.
    """
    if classes is None:
        classes = [name for name in THINGS if name in names]
    if not classes:
        raise InputError(
            f"classes: none is a thing as Cityscapes calls them; name some of {', '.join(names)} as `classes`"
        )
    for one in classes:
        if one not in (names if isinstance(one, str) else range(len(names))):
            hint = did_you_mean(one, list(names)) if isinstance(one, str) else ""
            raise InputError(f"classes: {one!r} is none of {', '.join(names)} (ids from 0){hint}")
    return [names.index(one) if isinstance(one, str) else one for one in classes]
