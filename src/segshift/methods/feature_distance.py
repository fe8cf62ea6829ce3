"""Features kept near those of the start (DAFormer) or of a foundation model (VFM-UDA++)."""

import copy
from collections.abc import Sequence
from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from segshift.config import did_you_mean
from segshift.errors import InputError
from segshift.losses import feature_distance
from segshift.methods.term import Look, Prediction, Term, TermConfig, trained_feature_channels
from segshift.models.backbones import build_backbone
from segshift.models.batch_norm import evaluating
from segshift.models.resize import upsample
from segshift.models.segmenter import Segmenter
from segshift.ranges import Byte, Share
from segshift.sizes import HeightWidth, height_width

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
        weight: of the distance (lambda_FD), in each domain.
        domains: where it is taken.
        classes: names or train ids of the classes whose features are kept, those that ImageNet has too; null
            takes those of `THINGS` that the network tells apart; all takes every cell, without labels.
        min_share: a cell of the features counts if at least this share of its pixels is of one of them.
        cosine_share: null is the norm of the difference; a number is the share of the cosine distance, and
            smooth L1 is the rest (VFM-UDA++: 0.9).
        backbone: whose features are the reference, a name as in `model.backbone`; null is a copy of the
            network's own backbone as the run starts.
        weights: of that backbone, as `model.weights`.
    """

    term: Literal["feature_distance"] = "feature_distance"
    weight: float = Field(0.005, ge=0)
    domains: Literal["source", "target", "both"] = "source"
    classes: list[str | Byte] | Literal["all"] | None = None
    min_share: Share = 0.75
    cosine_share: Share | None = None
    backbone: str | None = None
    weights: str = "imagenet"

    def tiny(self) -> Self:
        """Also without weights from a model hub."""
        return super().tiny().model_copy(update={"weights": "none"})


class FeatureDistance(Term):
    r"""What the network knew from ImageNet, or what a larger one knows, is not forgotten.

    .. math:: L = \frac{\lambda}{\sum M} \sum_{ij} M_{ij} \lVert F_{start}(x_S)_{ij} - F(x_S)_{ij} \rVert_2

    over the cells of the last features, with M the cells of which one thing class covers the given share. The
    reference is a frozen copy of the backbone as the run starts, in evaluation mode: ImageNet's for
    `weights: imagenet`, the start's for `init_from`. It costs a forward pass without gradient per domain.

    The same with `classes: all` and `cosine_share` is the feature loss to a foundation model. Another
    backbone's features are resized to the network's grid, and where it has another number of channels, the
    network's own go through a trained 1x1 convolution first.

    Source: Hoyer et al., DAFormer, CVPR 2022, section 3.3, equations 5 to 7; weight and share from its
    section 4.1. Foundation model: Englert & Dubbelman, VFM-UDA++, 2025, numbers from its public code.
    """

    Config = FeatureDistanceConfig

    def __init__(self, config: FeatureDistanceConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        self.config = config
        self.uses_target = self.uses_target_prediction = config.domains != "source"
        self.needs_source = config.domains == "source"
        self.things: list[int] = []  # of none: every cell counts
        if config.classes != "all":
            if self.uses_target:
                raise InputError(
                    f"domains: {config.domains}: the target has no labels that say where a class is; set "
                    "`classes: all`, or `domains: source`"
                )
            self.things = thing_ids(config.classes, segmenter.class_names)
            self.why_splits_differ = (
                "the mean is over the cells that count, of which each part has its own number"
            )
        channels = trained_feature_channels(segmenter)  # without any, it is refused before the first step
        self.projection: nn.Module = nn.Identity()
        if config.backbone is None:
            self.start, self.statistics = copy.deepcopy(segmenter.backbone), segmenter.pixel_statistics
        else:
            other = build_backbone(config.backbone, config.weights, "native")
            self.start, self.statistics = other.network, other.pixel_statistics
            if other.channels != channels:
                self.projection = nn.Conv2d(channels, other.channels, kernel_size=1)
        self.start.requires_grad_(False)

    def on_source(self, look: Look) -> dict[str, Tensor]:
        """The weighted distance of the source's last features from the reference's."""
        if self.config.domains == "target":
            return {}
        batch = look.batch
        return {"distance": self._distance(look, look.source, batch.source_images, batch.source_labels)}

    def on_target(self, look: Look) -> dict[str, Tensor]:
        """The same of the target."""
        if self.config.domains == "source":
            return {}
        return {"target_distance": self._distance(look, look.target_prediction(), look.batch.target_images)}

    def _distance(
        self, look: Look, prediction: Prediction, images: Tensor, labels: Tensor | None = None
    ) -> Tensor:
        features: Tensor = self.projection(prediction.features)
        size = height_width(features)
        with evaluating(self.start), torch.no_grad():
            seen = look.segmenter.context(self.statistics.normalize(images))
            reference = upsample(self.start(seen)[-1], size)
        if labels is not None and self.things:
            counted = self._counted(labels, size)
        else:
            counted = torch.ones_like(features[:, 0], dtype=torch.bool)
        return self.config.weight * feature_distance(features, reference, counted, self.config.cosine_share)

    def _counted(self, labels: Tensor, size: HeightWidth) -> Tensor:
        """(N, h, w) bool: cells of which one of the things covers `min_share`."""
        shares = torch.stack([(labels == thing).float() for thing in self.things], dim=1)
        return F.adaptive_avg_pool2d(shares, size).amax(dim=1) >= self.config.min_share


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
