"""LSD: features are aligned through the images that a generator makes of them."""

from collections.abc import Iterator
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from segshift.config import Strict
from segshift.losses import GanClass, cross_entropy, domain_loss, gan_class_loss, valid_pixels
from segshift.methods.base import Batch, Method, Update
from segshift.methods.roles import Network
from segshift.methods.term import Prediction, trained_feature_channels
from segshift.models.discriminators import FeatureDiscriminator
from segshift.models.reconstruction import (
    EmbeddingGenerator,
    Judgement,
    LabellingDiscriminator,
    Normalization,
    pyramid_strides,
)
from segshift.models.segmenter import Segmenter
from segshift.ranges import Channels
from segshift.sizes import height_width
from segshift.train_ids import IGNORE

Pyramid = tuple[Tensor, ...]


class LSDConfig(Strict):
    """Configuration of LSD. Defaults are the paper's unless said; the public code's stand beside them.

    Attributes:
        name: "lsd".
        label_weight: alpha, of the discriminator's class loss on reconstructed source images, for the
            segmenter.
        domain_weight: beta, of the segmenter's two cross-domain losses.
        auxiliary_labels: whether the discriminator tells the classes, too; False is the ablation without
            auxiliary loss.
        auxiliary_images: which source images the discriminator learns the classes on: real, as in the public
            code (and in the discriminator's update of section 3.3); generated, as section 3.2 says ("a label
            map of the generated source image"); or both.
        generator_domain_weight: of the generator's two within-domain losses, as in the public code. The paper
            adds all of its losses with 1: with means the generator then painted noise (L1 above that of one
            color per image after 300 steps; benchmarks/RESULTS.md).
        generator_label_weight: of the class loss on reconstructed source images, for the generator (public
            code: 1).
        reconstruction_weight: of the generator's two L1 losses, on images in [0, 1].
        reduction: cross-entropies are means over pixels or cells; "sum" adds these up (and takes the mean
            over images), as the public code does, whose weights so depend on the image's size.
        space: "image"; "feature" plays a binary game on the embedding instead, without a generator.
        discriminator: "patch" judges every cell; "global" the whole image. Unused in feature space.
        skips: the generator sees the shallower features as well (the public code does).
        normalization: of generator and discriminator: group, or instance as in the public code (which then
            needs its skips: see `models.reconstruction`).
        generator_channels: channels at half the image's resolution.
        discriminator_channels: channels of the discriminator (feature space: a quarter of them is its base).
        discriminator_blocks: residual blocks of the discriminator.
        auxiliary_weight: of the auxiliary head's cross-entropy; unused without such a head.
        labelled_weight: of the cross-entropy on each further labelled stream.
    """

    former: ClassVar[dict[str, str]] = {
        "generator_width": "generator_channels",
        "discriminator_width": "discriminator_channels",
        "auxiliary_head_weight": "auxiliary_weight",
    }

    name: Literal["lsd"] = "lsd"
    label_weight: float = Field(0.1, ge=0)
    domain_weight: float = Field(0.1, ge=0)
    auxiliary_labels: bool = True
    auxiliary_images: Literal["real", "generated", "both"] = "real"
    generator_domain_weight: float = Field(0.1, ge=0)
    generator_label_weight: float = Field(0.0, ge=0)
    reconstruction_weight: float = Field(1.0, ge=0)
    reduction: Literal["mean", "sum"] = "mean"
    space: Literal["image", "feature"] = "image"
    discriminator: Literal["patch", "global"] = "patch"
    skips: bool = False
    normalization: Normalization = "group"
    generator_channels: Channels = 64
    discriminator_channels: int = Field(128, ge=4, le=2**14)
    discriminator_blocks: int = Field(9, ge=0, le=256)
    auxiliary_weight: float = Field(0.1, ge=0)
    labelled_weight: float = Field(1.0, ge=0)


class LSD(Method):
    """A generator paints images from features, a discriminator tells their domain and whether they are real.

    Within a domain the generator and the discriminator play: fake against real. Across domains the segmenter
    plays against both: its source features shall paint what looks like a real target image, and the other
    way round.

    Schedule: `discriminator generator segmenter`, each on a graph of its own. (The public code sends three
    backward passes through one graph whose weights have moved in between, which PyTorch refuses today.) In
    feature space: `discriminator segmenter`. Each further labelled stream adds a `segmenter*`.

    In training mode batch norm sees every image twice a step, for the first two turns and for the third.

    Source: Sankaranarayanan et al., Learning from synthetic data, CVPR 2018, section 3.3 and table 1.
    """

    Config = LSDConfig
    why_splits_differ = "the generator has dropout in the place of noise"

    def __init__(self, config: LSDConfig, segmenter: Segmenter) -> None:
        super().__init__()
        self.config = config
        self.segmenter = segmenter
        trained_channels = trained_feature_channels(segmenter)
        self.levels = len(segmenter.pyramid_channels) if config.skips else 1
        self.generator: EmbeddingGenerator | None = None
        self.discriminator: nn.Module
        if config.space == "feature":
            width = config.discriminator_channels // 4
            self.discriminator = FeatureDiscriminator(trained_channels, width)
            return
        self.generator = EmbeddingGenerator(
            segmenter.pyramid_channels[-self.levels :],
            pyramid_strides(segmenter)[-self.levels :],
            config.generator_channels,
            config.normalization,
        )
        self.discriminator = LabellingDiscriminator(
            len(segmenter.class_names) if config.auxiliary_labels else None,
            config.discriminator_channels,
            config.discriminator_blocks,
            "patch" if config.discriminator == "patch" else "whole",
            config.normalization,
        )

    def networks(self) -> dict[str, list[nn.Parameter]]:
        """The segmenter, the generator (in image space) and the discriminator."""
        trained = [parameter for parameter in self.segmenter.parameters() if parameter.requires_grad]
        networks: dict[str, list[nn.Parameter]] = {"segmenter": Network(trained)}
        if self.generator is not None:
            networks["generator"] = Network(self.generator.parameters(), "generator")
        networks["discriminator"] = Network(self.discriminator.parameters(), "adversary")
        return networks

    def step(self, batch: Batch) -> Iterator[Update]:
        """The discriminator, the generator, the segmenter."""
        for labelled in batch.labelled:
            prediction = self._predict(labelled.images)
            losses = self._supervised(prediction, labelled.labels, labelled.name, self.config.labelled_weight)
            yield Update("segmenter", losses, step=False)
            del prediction, losses
        with torch.no_grad():
            source, target = self._features(batch.source_images), self._features(batch.target_images)
        if self.generator is None:
            yield Update("discriminator", self._feature_game(source, target))
            yield Update("segmenter", self._segmenter_in_feature_space(batch))
            return
        with torch.no_grad():
            fakes = (
                self._paint(self.generator, source, batch.source_images),
                self._paint(self.generator, target, batch.target_images),
            )
        yield Update("discriminator", self._discriminator_losses(batch, *fakes))
        yield Update("generator", self._generator_losses(self.generator, batch, source, target))
        del source, target, fakes
        yield Update("segmenter", self._segmenter_losses(self.generator, batch))

    def deployed(self) -> Segmenter:
        """The segmenter alone: nothing else is needed at test time."""
        return self.segmenter

    def pictures(self, batch: Batch) -> dict[str, Tensor]:
        """Images of both domains, each above what the generator makes of its features."""
        if self.generator is None:
            return {}
        shown = {}
        for domain, images in (("source", batch.source_images), ("target", batch.target_images)):
            shown[domain] = images
            shown[f"{domain} reconstructed"] = self._paint(self.generator, self._features(images), images)
        return shown

    def _predict(self, images: Tensor) -> Prediction:
        return Prediction.of(self.segmenter(self.segmenter.normalize(images)), height_width(images))

    def _features(self, images: Tensor) -> Pyramid:
        """All of the backbone's features, without the classifiers' work."""
        return tuple(self.segmenter.backbone(self.segmenter.context(self.segmenter.normalize(images))))

    def _paint(self, generator: EmbeddingGenerator, pyramid: Pyramid, images: Tensor) -> Tensor:
        """What the generator makes of features, at the size of the images."""
        painted: Tensor = generator(pyramid[-self.levels :], height_width(images))
        return painted

    def _discriminator_losses(
        self, batch: Batch, fake_source: Tensor, fake_target: Tensor
    ) -> dict[str, Tensor]:
        source: Judgement = self.discriminator(batch.source_images)
        painted: Judgement = self.discriminator(fake_source)
        losses = {
            "source_real": self._gan(source, "source_real"),
            "source_fake": self._gan(painted, "source_fake"),
            "target_real": self._gan(self.discriminator(batch.target_images), "target_real"),
            "target_fake": self._gan(self.discriminator(fake_target), "target_fake"),
        }
        on = self.config.auxiliary_images
        if source.labels is not None and on != "generated":
            losses["labels"] = self._labels(source.labels, batch.source_labels)
        if painted.labels is not None and on != "real":
            losses["labels_of_generated"] = self._labels(painted.labels, batch.source_labels)
        return losses

    def _generator_losses(
        self, generator: EmbeddingGenerator, batch: Batch, source: Pyramid, target: Pyramid
    ) -> dict[str, Tensor]:
        """Within the domains: reconstructions shall look real, each in its own domain."""
        config = self.config
        fake_source = self._paint(generator, source, batch.source_images)
        fake_target = self._paint(generator, target, batch.target_images)
        judged: Judgement = self.discriminator(fake_source)
        losses = {
            "source_real": config.generator_domain_weight * self._gan(judged, "source_real"),
            "target_real": config.generator_domain_weight
            * self._gan(self.discriminator(fake_target), "target_real"),
            "source_reconstruction": config.reconstruction_weight * _l1(fake_source, batch.source_images),
            "target_reconstruction": config.reconstruction_weight * _l1(fake_target, batch.target_images),
        }
        if judged.labels is not None and config.generator_label_weight > 0:
            labels = self._labels(judged.labels, batch.source_labels)
            losses["labels"] = config.generator_label_weight * labels
        return losses

    def _segmenter_losses(self, generator: EmbeddingGenerator, batch: Batch) -> dict[str, Tensor]:
        """The supervised loss, and across the domains: features shall paint the other one's real images."""
        config = self.config
        source, target = self._predict(batch.source_images), self._predict(batch.target_images)
        judged: Judgement = self.discriminator(self._paint(generator, source.pyramid, batch.source_images))
        judged_target: Judgement = self.discriminator(
            self._paint(generator, target.pyramid, batch.target_images)
        )
        losses = self._supervised(source, batch.source_labels, "supervised", 1.0)
        losses["source_as_target"] = config.domain_weight * self._gan(judged, "target_real")
        losses["target_as_source"] = config.domain_weight * self._gan(judged_target, "source_real")
        if judged.labels is not None:
            losses["labels"] = config.label_weight * self._labels(judged.labels, batch.source_labels)
        return losses

    def _feature_game(self, source: Pyramid, target: Pyramid) -> dict[str, Tensor]:
        return {
            "source": domain_loss(self.discriminator(source[-1]), "source"),
            "target": domain_loss(self.discriminator(target[-1]), "target"),
        }

    def _segmenter_in_feature_space(self, batch: Batch) -> dict[str, Tensor]:
        source, target = self._predict(batch.source_images), self._predict(batch.target_images)
        weight = self.config.domain_weight
        return {
            **self._supervised(source, batch.source_labels, "supervised", 1.0),
            "source_as_target": weight * domain_loss(self.discriminator(source.features), "target"),
            "target_as_source": weight * domain_loss(self.discriminator(target.features), "source"),
        }

    def _supervised(
        self, prediction: Prediction, labels: Tensor, name: str, weight: float
    ) -> dict[str, Tensor]:
        loss = prediction.with_detail(self._cross_entropy(prediction.logits, labels), labels)
        losses = {name: weight * loss}
        if prediction.auxiliary_logits is not None:
            auxiliary = self._cross_entropy(prediction.auxiliary_logits, labels)
            losses[f"{name}_auxiliary"] = weight * self.config.auxiliary_weight * auxiliary
        return losses

    def _labels(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of class logits against labels at their resolution."""
        resized = F.interpolate(labels[:, None].float(), height_width(logits), mode="nearest-exact")
        return self._cross_entropy(logits, resized[:, 0].long())

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        loss = cross_entropy(logits, labels)
        if self.config.reduction == "mean":
            return loss
        return loss * valid_pixels(labels, IGNORE) / len(labels)

    def _gan(self, judgement: Judgement, gan_class: GanClass) -> Tensor:
        loss = gan_class_loss(judgement.domain, gan_class)
        cells = judgement.domain[0, 0].numel()
        return loss if self.config.reduction == "mean" else loss * cells


def _l1(painted: Tensor, images: Tensor) -> Tensor:
    return F.l1_loss(painted.float(), images)
