"""What a paper usually adds to supervised training: a term, which looks at predictions and returns losses."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from segshift.config import Strict
from segshift.errors import InputError
from segshift.losses import weighted_cross_entropy
from segshift.methods.base import Batch, LabelledImages, PreparationData
from segshift.models.resize import upsample
from segshift.models.segmenter import Segmenter
from segshift.models.segmenter_output import Detail, SegmenterOutput
from segshift.ranges import Steps
from segshift.sizes import HeightWidth

Level = Literal["main", "auxiliary"]
ACCEPTED_SHARE = "accepted_share"
"""What terms that label target pixels observe: the share of the pixels whose label counts, in [0, 1]."""


def trained_feature_channels(segmenter: Segmenter) -> int:
    """F of the last features, for a method that trains them.

    Raises:
        InputError: the network gives none, or its backbone is frozen, so that the method would do nothing.
    """
    if not any(parameter.requires_grad for parameter in segmenter.backbone.parameters()):
        raise InputError(
            "model.backbone_training = frozen: no features are trained, which this method is about; set all "
            "or lora, or use a method that needs logits alone"
        )
    return segmenter.feature_channels


@dataclass(frozen=True)
class Prediction:
    """A network's output on one domain, logits already at the size of the images.

    Attributes:
        features: (N, F, h, w), the backbone's last features.
        logits: (N, C, H, W) of the main classifiers: the sum of `head_logits`.
        auxiliary_logits: (N, C, H, W) of the auxiliary head, or None.
        head_logits: (N, C, H, W) of each classifier on the last features (two in CLAN).
        pyramid: all of the backbone's features, shallow to deep; the last are `features`.
        detail: a part of the images that was seen by itself (HRDA), its logits at the window's size.
    """

    features: Tensor
    logits: Tensor
    auxiliary_logits: Tensor | None
    head_logits: tuple[Tensor, ...] = ()
    pyramid: tuple[Tensor, ...] = ()
    detail: Detail | None = None

    @classmethod
    def nothing(cls, batch: Batch) -> "Prediction":
        """What stands for the source's where there are no source images."""
        empty = batch.source_images
        return cls(empty, empty, None)

    @classmethod
    def of(cls, output: SegmenterOutput, size: HeightWidth) -> "Prediction":
        """The output with its logits up-sampled to `size` = (H, W)."""
        auxiliary = None if output.auxiliary_logits is None else upsample(output.auxiliary_logits, size)
        heads = tuple(upsample(logits, size) for logits in output.head_logits or (output.logits,))
        logits = heads[0] if len(heads) == 1 else torch.stack(heads).sum(dim=0)
        detail = output.detail
        if detail is not None:
            rows, columns = detail.window
            window_size = HeightWidth((rows.stop - rows.start, columns.stop - columns.start))
            detail = detail._replace(logits=upsample(detail.logits, window_size))
        return cls(output.features, logits, auxiliary, heads, output.pyramid, detail)

    def level_logits(self, level: Level) -> Tensor:
        """(N, C, H, W) logits of one head. Raises ValueError for the auxiliary level of a network without."""
        if level == "main":
            return self.logits
        if self.auxiliary_logits is None:
            raise ValueError("the segmenter has no auxiliary head: set model.auxiliary_head: true")
        return self.auxiliary_logits

    def cross_entropy(self, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """The main classifiers' loss, and the detail's own: every supervised loss but those of special form.

        Args:
            labels: (N, H, W) train ids.
            weights: (N, H, W) of the pixels, as in `losses.weighted_cross_entropy`; None for 1 everywhere.
        """
        loss = weighted_cross_entropy(self.logits, labels, weights)
        return self.with_detail(loss, labels, weights)

    def with_detail(self, loss: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        r"""A supervised loss L of the whole, and that of a detail: (1 - \lambda) L + \lambda CE(y_d).

        Where there is no detail it is L. Source: Hoyer et al., HRDA, ECCV 2022, section 3.3.
        """
        if self.detail is None:
            return loss
        place = (..., *self.detail.window)
        part = weighted_cross_entropy(
            self.detail.logits, labels[place], None if weights is None else weights[place]
        )
        return (1 - self.detail.weight) * loss + self.detail.weight * part

    @cached_property
    def _probs(self) -> dict[Level, Tensor]:
        return {}

    def probs(self, level: Level = "main") -> Tensor:
        """(N, C, H, W) softmax of one head, in float32, computed once however many terms ask."""
        if level not in self._probs:
            self._probs[level] = self.level_logits(level).float().softmax(dim=1)
        return self._probs[level]

    def detached(self) -> "Prediction":
        """The same values without their graph: what a discriminator is trained on."""
        auxiliary = None if self.auxiliary_logits is None else self.auxiliary_logits.detach()
        return Prediction(
            self.features.detach(),
            self.logits.detach(),
            auxiliary,
            tuple(logits.detach() for logits in self.head_logits),
            tuple(features.detach() for features in self.pyramid),
            None if self.detail is None else self.detail._replace(logits=self.detail.logits.detach()),
        )


@dataclass(frozen=True)
class Look:
    """What a term sees of one micro-batch.

    Attributes:
        batch: the images and source labels.
        segmenter: the network in training, for terms that run it on images of their own.
        source: its prediction on the source; with its graph in `on_source`, detached later.
        target: its prediction on the target; with its graph in `on_target`, detached later. None before,
            and when no active term uses it.
        observed: what `observe` has collected, for the log.
        pseudo_labels: labels and weights, both (M, H, W), that averaged teachers gave the target, by the
            names of their terms; each is asked once, however many terms use its answer.
        judgements: what adversaries said of the target in the segmenter's turn, by the names of their terms,
            for their own turn: see `models.shared_pass`.
    """

    batch: Batch
    segmenter: Segmenter
    source: Prediction
    target: Prediction | None = None
    observed: dict[str, Tensor] = field(default_factory=dict)
    pseudo_labels: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    judgements: dict[str, Tensor] = field(default_factory=dict)

    def observe(self, term: "Term", name: str, value: Tensor) -> None:
        """Log a scalar that is no loss beside the segmenter's; to be called in `on_source` or `on_target`."""
        self.observed[f"{term.name}_{name}"] = value.detach()

    def with_target(self, target: Prediction) -> "Look":
        """The look after the source's graph was freed and the target was predicted."""
        return replace(self, source=self.source.detached(), target=target)

    def detached(self) -> "Look":
        """The look after both graphs were freed."""
        target = None if self.target is None else self.target.detached()
        return replace(self, source=self.source.detached(), target=target)

    def target_prediction(self) -> Prediction:
        """The target's prediction. Raises ValueError where there is none yet."""
        if self.target is None:
            raise ValueError("the target has not been predicted: set uses_target_prediction on the term")
        return self.target


class TermConfig(Strict):
    """What every term's configuration has.

    Attributes:
        term: the kind of term: a key of `methods.TERMS`, or `FILE.py:CLASS`.
        name: name of its losses and its optimizer; None takes the kind (and the level, if auxiliary).
        start_step: the term sleeps before this step.
    """

    term: str
    name: str | None = None
    start_step: Steps = 0

    def title(self) -> str:
        """The name under which the term's losses and optimizer go."""
        if self.name is not None:
            return self.name
        # Of a term of one's own, `file.py:Class`, the class's name.
        kind = self.term.rpartition(":")[2].lower()
        return f"{kind}_auxiliary" if getattr(self, "level", "main") == "auxiliary" else kind

    def awake(self) -> Self:
        """The same term at work from the first step on: what a step costs once everything counts."""
        return self.model_copy(update={"start_step": 0})

    def tiny(self) -> Self:
        """The same term for a trial of two steps on images of 64x48 px: awake by then, and as small."""
        return self.model_copy(update={"start_step": min(self.start_step, 1)})


class Term(nn.Module):
    """One paper's addition to the supervised loss.

    `adversary`, if there is one, plays against the segmenter and has an optimizer of its own; every other
    trainable parameter of the term trains with the segmenter.
    """

    Config: ClassVar[type[TermConfig]] = TermConfig
    uses_target: bool = True
    """Whether the term reads target images at all."""
    uses_target_prediction: bool = True
    """Whether `Align` shall run the segmenter on the target images for it."""
    needs_source: bool = True
    """False promises that the term has no adversary, and reads the source in `on_source` alone, which is not
    called in a run without source images."""
    why_splits_differ: str = ""
    """As in `Method`."""

    # No class-level `adversary = None`: it would shadow the submodule of that name.
    adversary: nn.Module | None

    def __init__(self, config: TermConfig, segmenter: Segmenter) -> None:
        super().__init__()
        self.name = config.title()
        self.start_step = config.start_step
        self.adversary = None

    def join(self, terms: Sequence["Term"]) -> None:
        """Called once with all terms of the method, itself among them: a term may use another's parts."""

    def prepare(self, data: PreparationData) -> None:
        """Called once, before the first step; fills buffers. A resumed run does not call it again."""

    def supervised(self, look: Look) -> dict[str, Tensor] | None:
        """Losses on the source's labels instead of plain cross-entropy, or None to leave that to `Align`.

        At most one term of a method may answer.
        """
        return None

    def on_source(self, look: Look) -> dict[str, Tensor]:
        """Losses for the segmenter while the source's graph is alive."""
        return {}

    def on_labelled(self, labelled: LabelledImages, prediction: Prediction) -> dict[str, Tensor]:
        """Losses for the segmenter on further labelled images, beside their cross-entropy."""
        return {}

    def on_target(self, look: Look) -> dict[str, Tensor]:
        """Losses for the segmenter while the target's graph is alive."""
        return {}

    def on_adversary(self, look: Look) -> dict[str, Tensor]:
        """Losses that train `self.adversary`; the look is detached."""
        return {}

    def after(self, look: Look) -> None:
        """Called once per step after all optimizers moved."""

    def deployed(self) -> Segmenter | None:
        """A network to deploy instead of the segmenter (an averaged teacher), or None."""
        return None
