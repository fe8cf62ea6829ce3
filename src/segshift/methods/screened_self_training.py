"""Self-training on the pixels that a discriminator takes for labels: AdaptPatch's "Ps", after Hung et al."""

from typing import Literal, Self

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from segshift.losses import Domain, cross_entropy, domain_loss, valid_pixels, weighted_domain_loss
from segshift.methods.term import ACCEPTED_SHARE, Look, Prediction, Term, TermConfig
from segshift.models.discriminators import FullyConvolutionalDiscriminator
from segshift.models.resize import upsample
from segshift.models.segmenter import Segmenter
from segshift.ranges import Channels, Steps
from segshift.sizes import height_width
from segshift.train_ids import IGNORE


class ScreenedSelfTrainingConfig(TermConfig):
    """Configuration of the screened self-training.

    Attributes:
        source_weight: of the adversarial loss on source predictions.
        weight: of the adversarial loss on target predictions.
        self_training_weight: of the cross-entropy on screened pseudo labels.
        threshold: a target pixel's label counts if the discriminator takes it for a true label with more
            than this probability.
        self_training_start_step: pseudo labels count from this step on; before, the discriminator learns.
        base_channels: the discriminator's first width.
    """

    term: Literal["screened_self_training"] = "screened_self_training"
    source_weight: float = Field(0.01, ge=0)
    weight: float = Field(0.001, ge=0)
    self_training_weight: float = Field(0.1, ge=0)
    threshold: float = Field(0.2, ge=0, le=1)
    self_training_start_step: Steps = 5000
    base_channels: Channels = 64

    def awake(self) -> Self:
        """Also with pseudo labels from the first step on."""
        return super().awake().model_copy(update={"self_training_start_step": 0})

    def tiny(self) -> Self:
        """Also with pseudo labels from the second step on."""
        start = min(self.self_training_start_step, 1)
        return super().tiny().model_copy(update={"self_training_start_step": start})


class ScreenedSelfTraining(Term):
    """A discriminator tells true label maps from predictions; where target predictions fool it, they teach.

    In the convention of the binary domain game, the source's one-hot label maps are "source" and its
    predictions are "target"; the network wants predictions of both domains to be taken for label maps. The
    discriminator's answers are up-sampled to the crop, and ignored source pixels count nowhere. Made while
    training, not as files: AdaptPatch (Tsai et al., ICCV 2019, section 4.2) re-trains this way for "Ps".

    Source: Hung et al., Adversarial learning for semi-supervised semantic segmentation, BMVC 2018: losses
    and weights, the target in the place of its unlabelled images. Each discriminator loss is halved.
    """

    Config = ScreenedSelfTrainingConfig

    def __init__(self, config: ScreenedSelfTrainingConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        self.config = config
        self.classes = len(segmenter.class_names)
        self.adversary = FullyConvolutionalDiscriminator(self.classes, config.base_channels)

    def on_source(self, look: Look) -> dict[str, Tensor]:
        """Source predictions shall look like label maps."""
        loss = self._on_valid(look.source.probs(), look.batch.source_labels, "source")
        return {"source_adversarial": self.config.source_weight * loss}

    def on_target(self, look: Look) -> dict[str, Tensor]:
        """So shall the target's; and where they do, they are labels."""
        prediction = look.target_prediction()
        judged = self._judge(prediction.probs())
        losses = {"adversarial": self.config.weight * domain_loss(judged, "source")}
        if look.batch.step >= self.config.self_training_start_step:
            labels = self._screened(prediction, judged)
            look.observe(self, ACCEPTED_SHARE, (labels != IGNORE).float().mean())
            losses["self_training"] = self.config.self_training_weight * cross_entropy(
                prediction.logits, labels
            )
        return losses

    def on_adversary(self, look: Look) -> dict[str, Tensor]:
        """True label maps against predictions, both of the source."""
        labels = look.batch.source_labels
        maps = F.one_hot(labels.where(labels != IGNORE, 0), self.classes).permute(0, 3, 1, 2).float()
        maps = maps * (labels != IGNORE)[:, None]
        return {
            "labels": 0.5 * self._on_valid(maps, labels, "source"),
            "predictions": 0.5 * self._on_valid(look.source.probs(), labels, "target"),
        }

    def _screened(self, prediction: Prediction, judged: Tensor) -> Tensor:
        """(M, H, W) labels, 255 where the discriminator sees through them."""
        taken_for_labels = (-judged.detach()).sigmoid()[:, 0] > self.config.threshold
        return prediction.logits.detach().argmax(dim=1).where(taken_for_labels, IGNORE)

    def _judge(self, maps: Tensor) -> Tensor:
        assert self.adversary is not None
        return upsample(self.adversary(maps), height_width(maps))

    def _on_valid(self, maps: Tensor, labels: Tensor, domain: Domain) -> Tensor:
        """The mean domain loss over the pixels with a label; 0 without any."""
        valid = (labels != IGNORE)[:, None].float()
        summed = weighted_domain_loss(self._judge(maps), domain, valid, 1.0, 0.0)
        # The loss is a mean over all pixels.
        return summed * (valid.numel() / valid_pixels(labels, IGNORE))
