"""Supervised training on the source plus terms: the shape that most adaptation papers have."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import Field
from torch import Tensor, nn

from segshift.config import Strict
from segshift.errors import InputError
from segshift.losses import cross_entropy
from segshift.methods.base import Batch, Method, PreparationData, Update
from segshift.methods.roles import Network
from segshift.methods.term import Look, Prediction, Term
from segshift.models.normalization import train_normalization_only
from segshift.models.segmenter import Segmenter
from segshift.sizes import height_width


class AlignConfig(Strict):
    """Configuration of `Align`.

    Attributes:
        name: "align".
        auxiliary_weight: weight of the auxiliary head's cross-entropy (AdaptSegNet: 0.1); unused without
            an auxiliary head.
        labelled_weight: weight of the cross-entropy on each further labelled stream (pseudo labels).
        trained: which of the segmenter's parameters move; `normalization` leaves all but the scales and
            offsets of its normalisation layers as they are.
        terms: the terms' configurations, each with its kind under `term`.
    """

    name: Literal["align"] = "align"
    auxiliary_weight: float = Field(0.1, ge=0)
    labelled_weight: float = Field(1.0, ge=0)
    trained: Literal["all", "normalization"] = "all"
    terms: list[dict[str, Any]] = Field(default_factory=list)


class Align(Method):
    """The supervised loss on the source, and any number of terms.

    Without terms this is the source-only baseline, which never shows a target image to the network: batch
    normalisation would leak the target's statistics.

    Schedule: `segmenter` alone without a target; else `segmenter* segmenter` and one update per adversary.
    Each further labelled stream adds a `segmenter*`. Without source images the first `segmenter*` is missing.
    """

    Config = AlignConfig

    def __init__(self, config: AlignConfig, segmenter: Segmenter, terms: Sequence[Term]) -> None:
        super().__init__()
        names = [term.name for term in terms]
        for name in names:
            if names.count(name) > 1 or name == "segmenter":
                raise InputError(f"method.terms: the name {name!r} is taken twice; give each term a `name:`")
        self.segmenter = segmenter
        self.terms = nn.ModuleList(terms)
        for term in terms:
            term.join(terms)
        self.auxiliary_weight = config.auxiliary_weight
        self.labelled_weight = config.labelled_weight
        self.uses_target = any(term.uses_target for term in terms)
        self.needs_source = any(term.needs_source for term in terms)
        if config.trained == "normalization":
            train_normalization_only(segmenter)
        reasons = {term.name: term.why_splits_differ for term in terms if term.why_splits_differ}
        if segmenter.multi_resolution is not None:
            reasons["multi_resolution"] = "the detail's place is drawn at random"
        self.why_splits_differ = "; ".join(f"{name}: {why}" for name, why in reasons.items())

    def networks(self) -> dict[str, list[nn.Parameter]]:
        """The segmenter (with the terms' cooperating modules) and one network per adversary."""
        adversaries = {
            term.name: Network(term.adversary.parameters(), "adversary")
            for term in self._terms()
            if term.adversary is not None
        }
        playing_against = {id(parameter) for group in adversaries.values() for parameter in group}
        together = [
            parameter
            for parameter in self.parameters()
            if parameter.requires_grad and id(parameter) not in playing_against
        ]
        return {"segmenter": Network(together), **adversaries}

    def prepare(self, data: PreparationData) -> None:
        """Every term's own preparation, in order."""
        for term in self._terms():
            term.prepare(data)

    def step(self, batch: Batch) -> Iterator[Update]:
        """The segmenter on the source, then on the target, then the adversaries on what they saw."""
        terms = [term for term in self._terms() if batch.step >= term.start_step]
        look, losses = self._on_source(batch, terms)
        for labelled in batch.labelled:
            if losses:
                yield Update("segmenter", losses, step=False)
            prediction = self._predict(labelled.images)
            losses = self._cross_entropies(prediction, labelled.labels, labelled.name, self.labelled_weight)
            for term in terms:
                losses |= _named(term, term.on_labelled(labelled, prediction))
            del prediction
        if any(term.uses_target for term in terms):
            if losses:
                yield Update("segmenter", losses, step=False)
            if any(term.uses_target_prediction for term in terms):
                look = look.with_target(self._predict(batch.target_images))
            losses = {}
            for term in terms:
                losses |= _named(term, term.on_target(look))
        if not losses:  # without a source, while every term sleeps
            losses = {"nothing": batch.target_images.new_zeros(())}
        yield Update("segmenter", losses, observed=look.observed)
        # The discriminators train on what the segmenter predicted before it moved, as in the public codes.
        look = look.detached()
        del losses
        for term in terms:
            if term.adversary is not None:
                yield Update(term.name, term.on_adversary(look))
        if batch.last_micro_batch:
            for term in terms:
                term.after(look)

    def deployed(self) -> Segmenter:
        """The segmenter, or the network that a term puts in its place."""
        for term in self._terms():
            replacement = term.deployed()
            if replacement is not None:
                return replacement
        return self.segmenter

    def _on_source(self, batch: Batch, terms: Sequence[Term]) -> tuple[Look, dict[str, Tensor]]:
        """The look at the source with its losses; none where there are no source images."""
        if len(batch.source_images) == 0:
            return Look(batch, self.segmenter, Prediction.nothing(batch)), {}
        look = Look(batch, self.segmenter, self._predict(batch.source_images))
        losses = self._supervised(look, terms)
        for term in terms:
            losses |= _named(term, term.on_source(look))
        return look, losses

    def _terms(self) -> list[Term]:
        return [term for term in self.terms if isinstance(term, Term)]

    def _predict(self, images: Tensor) -> Prediction:
        size = height_width(images)
        return Prediction.of(self.segmenter(self.segmenter.normalize(images)), size)

    def _supervised(self, look: Look, terms: Sequence[Term]) -> dict[str, Tensor]:
        """The source's losses: a term's own where one has them, else cross-entropy."""
        answers = [_named(term, losses) for term in terms if (losses := term.supervised(look)) is not None]
        if len(answers) > 1:
            raise InputError("method.terms: two terms replace the supervised loss; keep one of them")
        if answers:
            return answers[0]
        return self._cross_entropies(look.source, look.batch.source_labels, "supervised", 1.0)

    def _cross_entropies(
        self, prediction: Prediction, labels: Tensor, name: str, weight: float
    ) -> dict[str, Tensor]:
        losses = {name: weight * prediction.cross_entropy(labels)}
        if prediction.auxiliary_logits is not None:
            auxiliary = cross_entropy(prediction.auxiliary_logits, labels)
            losses[f"{name}_auxiliary"] = weight * self.auxiliary_weight * auxiliary
        return losses


def _named(term: Term, losses: dict[str, Tensor]) -> dict[str, Tensor]:
    """The losses under the term's name, so that two terms of one kind stay apart in the log."""
    return {f"{term.name}_{key}": value for key, value in losses.items()}
