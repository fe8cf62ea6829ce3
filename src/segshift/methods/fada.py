"""FADA: features are aligned class by class, with the classifier's own predictions as class knowledge."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from segshift.errors import InputError
from segshift.losses import Domain, EncodingKind, class_domain_loss, cross_entropy, domain_encoding
from segshift.methods.term import Look, Term, TermConfig, trained_feature_channels
from segshift.models.discriminators import FineGrainedDiscriminator
from segshift.models.segmenter import Segmenter
from segshift.models.shared_pass import shared_pass
from segshift.models.upsample_rows import upsample_rows
from segshift.ranges import Channels
from segshift.sizes import height_width

# Of the discriminator's answers at the size of the crop: 16 MiB in float32.
_VALUES_AT_ONCE = 2**22


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
        assert self.adversary is not None
        target = look.target_prediction()
        judged, look.judgements[self.name] = shared_pass(self.adversary, target.features)
        return {"adversarial": self.config.weight * self._loss(judged, target.logits, "source")}

    def on_adversary(self, look: Look) -> dict[str, Tensor]:
        """The discriminator's two losses: each domain's features under their own name."""
        assert self.adversary is not None
        target = look.judgements.pop(self.name)
        return {
            "source": 0.5 * self._loss(self.adversary(look.source.features), look.source.logits, "source"),
            "target": 0.5 * self._loss(target, look.target_prediction().logits, "target"),
        }

    def _loss(self, judged: Tensor, logits: Tensor, domain: Domain) -> Tensor:
        """The loss of (N, 2K, h, w) answers at the size of (N, K, H, W) logits.

        Answers, their softmax and its gradients at that size would be the largest tensors of a step by far,
        so they are made in bands of rows, and once more for the backward pass.
        """
        size, total = height_width(logits), judged.new_zeros((), dtype=torch.float32)
        values_per_row = judged.shape[0] * judged.shape[1] * size[1]
        rows_at_once = max(1, _VALUES_AT_ONCE // values_per_row)
        for first in range(0, size[0], rows_at_once):
            rows = slice(first, min(first + rows_at_once, size[0]))
            share = (rows.stop - rows.start) / size[0]
            part = checkpoint(
                self._band_loss, judged, logits, rows, domain, use_reentrant=False, preserve_rng_state=False
            )
            total = total + share * part
        return total

    def _band_loss(self, judged: Tensor, logits: Tensor, rows: slice, domain: Domain) -> Tensor:
        encoding = domain_encoding(
            logits[..., rows, :],
            temperature=self.config.temperature,
            clip=self.config.clip,
            kind=self.config.encoding,
            threshold=self.config.threshold,
        )
        height = judged.shape[-2]
        band = upsample_rows(lambda top, end: judged[..., top:end, :], height, rows, height_width(logits))
        return class_domain_loss(band, encoding, domain)
