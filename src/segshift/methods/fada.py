"""FADA: features are aligned class by class, with the classifier's own predictions as class knowledge."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from segshift.errors import InputError
from segshift.losses import Domain, EncodingKind, class_domain_loss, cross_entropy, domain_encoding
from segshift.methods.term import Look, Prediction, Term, TermConfig, trained_feature_channels
from segshift.models.discriminators import FineGrainedDiscriminator
from segshift.models.resize import upsample
from segshift.models.segmenter import Segmenter
from segshift.ranges import Channels
from segshift.sizes import height_width


class FADAConfig(TermConfig):
    """Configuration of FADA.

    Attributes:
        weight: of the segmenter's adversarial loss (lambda_adv).
        encoding: class knowledge as soft labels, or as one-hot labels of confident pixels (table 5).
        temperature: of soft labels.
        clip: largest value of a soft label (table 6); 1 does not clip.
        threshold: a hard label needs more confidence than this, others count as nothing.
        tempered_supervision: divide the logits of the supervised cross-entropy by the temperature, too, as
            the public code does. In the paper the temperature belongs to the soft labels alone (equation 8;
            the supervised loss, equation 3, is on plain probabilities), so the default is false.
        hidden_channels: of the discriminator.
    """

    former: ClassVar[dict[str, str]] = {"widths": "hidden_channels"}

    term: Literal["fada"] = "fada"
    weight: float = Field(0.001, ge=0)
    encoding: EncodingKind = "soft"
    temperature: float = Field(1.8, gt=0)
    clip: float = Field(0.9, gt=0, le=1)
    threshold: float = Field(0.9, ge=0, lt=1)
    tempered_supervision: bool = False
    hidden_channels: tuple[Channels, ...] = Field((256, 128), min_length=1, max_length=16)


class FADA(Term):
    """A fine-grained discriminator on the last features names the domain and the class of every pixel.

    Its answers are up-sampled to the crop, where the classifier's predictions are the class knowledge, on the
    source as well as on the target. The knowledge carries no gradient and the discriminator sees features, so
    the adversarial loss moves the backbone and never the classifier.

    Source: Wang et al., Classes matter: a fine-grained adversarial approach (FADA), ECCV 2020, equations 5
    to 8 and section 4.3. Each discriminator loss is halved, as in the public code.
    """

    Config = FADAConfig

    def __init__(self, config: FADAConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        if config.tempered_supervision and segmenter.auxiliary_head is not None:
            raise InputError(
                f"term {self.name}: tempered_supervision knows one classifier; set model.auxiliary_head: "
                "false, as FADA has none, or tempered_supervision: false"
            )
        self.config = config
        classes = len(segmenter.class_names)
        self.adversary = FineGrainedDiscriminator(
            trained_feature_channels(segmenter), classes, config.hidden_channels
        )

    def supervised(self, look: Look) -> dict[str, Tensor] | None:
        """The public code's cross-entropy on tempered logits, if asked for."""
        if not self.config.tempered_supervision:
            return None
        labels = look.batch.source_labels
        loss = cross_entropy(look.source.logits / self.config.temperature, labels)
        return {"supervised": look.source.with_detail(loss, labels)}

    def on_target(self, look: Look) -> dict[str, Tensor]:
        """The backbone's adversarial loss: the target's features called source, in their classes."""
        return {"adversarial": self.config.weight * self._loss(look.target_prediction(), "source")}

    def on_adversary(self, look: Look) -> dict[str, Tensor]:
        """The discriminator's two losses: each domain's features under their own name."""
        return {
            "source": 0.5 * self._loss(look.source, "source"),
            "target": 0.5 * self._loss(look.target_prediction(), "target"),
        }

    def _loss(self, prediction: Prediction, domain: Domain) -> Tensor:
        assert self.adversary is not None
        encoding = domain_encoding(
            prediction.logits,
            temperature=self.config.temperature,
            clip=self.config.clip,
            kind=self.config.encoding,
            threshold=self.config.threshold,
        )
        size = height_width(prediction.logits)
        return class_domain_loss(upsample(self.adversary(prediction.features), size), encoding, domain)
