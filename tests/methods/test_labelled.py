"""Further labelled streams, and terms that replace the supervised loss."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segshift.engine.step import train_step
from segshift.errors import InputError
from segshift.methods import Align, Batch, LabelledImages, Look, Prediction, Term, TermConfig
from segshift.methods.align import AlignConfig
from segshift.models.segmenter import Segmenter
from tests.methods.networks import batch, largest_difference, optimizers, parameters_of, tiny_segmenter


def logits_of(segmenter: Segmenter, images: Tensor) -> Tensor:
    logits = segmenter((images - segmenter.mean) / segmenter.std).logits
    return F.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=True)


class Count(Term):
    """A regulariser on the labelled streams whose value is easy to write down."""

    uses_target = False

    def on_labelled(self, labelled: LabelledImages, prediction: Prediction) -> dict[str, Tensor]:
        return {labelled.name: prediction.logits.square().mean()}


class Own(Term):
    """A supervised loss of its own."""

    uses_target = False

    def supervised(self, look: Look) -> dict[str, Tensor]:
        return {"seg": 3 * F.cross_entropy(look.source.logits, look.batch.source_labels, ignore_index=255)}


def aligned(segmenter: Segmenter, *terms: type[Term], **settings: float) -> Align:
    built = [term(TermConfig(term=term.__name__.lower()), segmenter) for term in terms]
    return Align(AlignConfig(**settings), segmenter, built)


def first_losses(method: Align, data: Batch) -> dict[str, float]:
    return train_step(method.train(), [data], optimizers(method.networks())).values()


def test_each_stream_has_a_pass_and_a_cross_entropy_of_its_own() -> None:
    segmenter = tiny_segmenter()
    by_hand = copy.deepcopy(segmenter)
    data, pseudo, true = batch(0), batch(1), batch(2)
    streams = (
        LabelledImages("pseudo_labelled", pseudo.source_images, pseudo.source_labels),
        LabelledImages("target_labelled", true.source_images, true.source_labels),
    )
    method = aligned(segmenter, Count, labelled_weight=0.5).train()
    log = train_step(method, [replace(data, labelled=streams)], optimizers(method.networks()))
    assert log.schedule == ["segmenter*", "segmenter*", "segmenter"]

    by_hand.train()
    mover = optimizers({"segmenter": [p for p in by_hand.parameters() if p.requires_grad]})["segmenter"]
    mover.zero_grad()
    F.cross_entropy(logits_of(by_hand, data.source_images), data.source_labels, ignore_index=255).backward()
    for stream in streams:
        logits = logits_of(by_hand, stream.images)
        loss = 0.5 * F.cross_entropy(logits, stream.labels, ignore_index=255) + logits.square().mean()
        loss.backward()
    mover.step()
    assert largest_difference(parameters_of(segmenter), parameters_of(by_hand)) < 1e-6


def test_a_term_may_replace_the_supervised_loss_but_not_two() -> None:
    torch.manual_seed(0)
    segmenter = tiny_segmenter()
    data = batch(0)
    plain = first_losses(aligned(copy.deepcopy(segmenter)), data)
    own = first_losses(aligned(copy.deepcopy(segmenter), Own), data)
    assert own["segmenter/own_seg"] == pytest.approx(3 * plain["segmenter/supervised"])
    assert "segmenter/supervised" not in own

    class Other(Own):
        pass

    with pytest.raises(InputError, match="two terms replace"):
        first_losses(aligned(segmenter, Own, Other), data)
