"""CLAN: two classifiers whose disagreement says where the adversarial game is worth playing."""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from segshift.errors import InputError
from segshift.losses import (
    Domain,
    cosine_discrepancy,
    domain_loss,
    focal_cross_entropy,
    weight_similarity,
    weighted_domain_loss,
)
from segshift.methods.adversarial import AdversarialConfig, AdversarialTerm
from segshift.methods.term import Look, Prediction
from segshift.models.discriminators import FullyConvolutionalDiscriminator
from segshift.models.resize import upsample
from segshift.models.segmenter import Segmenter
from segshift.sizes import height_width


class ClanConfig(AdversarialConfig):
    """Configuration of CLAN; the defaults are the paper's.

    The public code differs: supervision each, focal_gamma 2, similarity_weight 0.02, include_biases, preheat
    0.05, damping (preset `clan_public_code`).

    Attributes:
        weight: of the segmenter's adversarial loss (lambda_adv).
        similarity_weight: of the cosine between the two classifiers' weights (lambda_weight).
        local_weight: of their disagreement in the adversarial loss's weights (lambda_local); 10 in the
            public code for SYNTHIA.
        epsilon: weight of the adversarial loss where they agree.
        supervision: cross-entropy of the ensemble (the summed logits), or the sum of each classifier's own.
        focal_gamma: of the focal loss that takes cross-entropy's place; 0 is cross-entropy.
        include_biases: whether biases belong to the weights that are kept apart.
        preheat: share of the run's steps, from the first on, with a plain adversarial loss.
        damping: whether the adversarial and the similarity loss of the segmenter fade to 0 over the run.
        detach_weight_map: whether the weights of the segmenter's adversarial loss are constants. The paper
            does not say. It minimises the whole of equation 5 over the network and expects the two
            classifiers to be "punished by large adversarial losses" for disagreeing (section 3.4), which
            needs a gradient through the weights; so does the public code. Hence false. For the
            discriminator they always are constants.
    """

    term: Literal["clan"] = "clan"
    similarity_weight: float = Field(0.01, ge=0)
    local_weight: float = Field(40.0, ge=0)
    epsilon: float = Field(0.4, ge=0)
    supervision: Literal["ensemble", "each"] = "ensemble"
    focal_gamma: float = Field(0.0, ge=0)
    include_biases: bool = False
    preheat: float = Field(0.0, ge=0, le=1)
    damping: bool = False
    detach_weight_map: bool = False


class Clan(AdversarialTerm):
    """Category-level adversarial network: needs a segmenter with two classifiers.

    The discriminator sees the ensemble's probabilities; its logits are up-sampled to the crop, so that the
    classifiers' disagreement can weight the target's loss pixel by pixel. Works with any batch size.

    Source: Luo et al., Taking a closer look at domain shift: category-level adversaries for semantics
    consistent domain adaptation, CVPR 2019, equations 3 to 6.

    Raises:
        InputError: the segmenter has one classifier, or an auxiliary head that would stay untrained.
    """

    Config = ClanConfig
    one_pass = True

    def __init__(self, config: ClanConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        if segmenter.second_head is None:
            raise InputError(
                f"method.terms, {self.name}: CLAN compares two classifiers and the network has one; "
                "set model.classifiers: 2"
            )
        self.config = config
        self.weight = config.weight
        self.replaces_supervision = config.supervision == "each" or config.focal_gamma > 0
        if self.replaces_supervision and segmenter.auxiliary_head is not None:
            raise InputError(
                f"method.terms, {self.name}: supervision: each and focal_gamma leave an auxiliary head "
                "untrained; set model.auxiliary_head: false"
            )
        self.adversary = FullyConvolutionalDiscriminator(len(segmenter.class_names), config.base_channels)

    def view(self, prediction: Prediction) -> Tensor:
        """(N, C, H, W) probabilities of the ensemble: softmax of the summed logits."""
        return prediction.probs()

    def supervised(self, look: Look) -> dict[str, Tensor] | None:
        """The ensemble's focal loss or each classifier's own; None for the ensemble's cross-entropy."""
        if not self.replaces_supervision:
            return None
        logits = {"supervised": look.source.logits}
        if self.config.supervision == "each":
            first, second = look.source.head_logits
            logits = {"supervised_first": first, "supervised_second": second}
        labels = look.batch.source_labels
        return {
            name: look.source.with_detail(
                focal_cross_entropy(scores, labels, self.config.focal_gamma), labels
            )
            for name, scores in logits.items()
        }

    def on_source(self, look: Look) -> dict[str, Tensor]:
        """The similarity of the two classifiers' weights."""
        assert look.segmenter.second_head is not None
        similarity = weight_similarity(
            self._filters(look.segmenter.head), self._filters(look.segmenter.second_head)
        )
        return {"similarity": self.config.similarity_weight * self._damping(look) * similarity}

    def on_target(self, look: Look) -> dict[str, Tensor]:
        """The segmenter's adversarial loss: the target's map called source, weighted by disagreement."""
        judged = self._judge_target(look)
        loss = self._target_loss(look, judged, "source", detach=self.config.detach_weight_map)
        return {"adversarial": self.weight * self._damping(look) * loss}

    def on_adversary(self, look: Look) -> dict[str, Tensor]:
        """The discriminator's two losses: plain on the source, weighted on the target.

        They are not halved, unlike in the other terms: neither equation 5 nor the public code does it.
        """
        return {
            "source": domain_loss(self._at_size(self._judge(look.source), look.source), "source"),
            "target": self._target_loss(look, self._judge_target_again(look), "target", detach=True),
        }

    def _target_loss(self, look: Look, judged: Tensor, domain: Domain, detach: bool) -> Tensor:
        prediction = look.target_prediction()
        judged = self._at_size(judged, prediction)
        if look.batch.progress < self.config.preheat:
            return domain_loss(judged, domain)
        first, second = (logits.float().softmax(dim=1) for logits in prediction.head_logits)
        disagreement = cosine_discrepancy(first, second)
        if detach:
            disagreement = disagreement.detach()
        return weighted_domain_loss(
            judged, domain, disagreement, self.config.local_weight, self.config.epsilon
        )

    def _at_size(self, judged: Tensor, prediction: Prediction) -> Tensor:
        """(N, 1, H, W) logits at the size of the crop."""
        return upsample(judged, height_width(prediction.logits))

    def _damping(self, look: Look) -> float:
        return 1.0 - look.batch.progress if self.config.damping else 1.0

    def _filters(self, head: nn.Module) -> list[Tensor]:
        """The weights of a classifier's convolutions, its biases too if asked for."""
        return [
            parameter
            for name, parameter in head.named_parameters()
            if self.config.include_biases or name.endswith("weight")
        ]
