"""Every kind of term around a network that looks twice (HRDA): steps written by hand, and what they share."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segshift.engine.step import train_step
from segshift.methods import Batch, Method
from segshift.methods.term import Prediction
from segshift.models.multi_resolution import seeing_all_details
from segshift.models.segmenter import Segmenter
from segshift.sizes import height_width
from tests.methods.networks import align, batch, largest_difference, optimizers, parameters_of, tiny_segmenter

DETAIL_WEIGHT = 0.3
PLAIN = {"color_jitter": 0, "blur": 0, "confidence": 0.4}


def hrda(**settings: Any) -> Segmenter:
    return tiny_segmenter(
        multi_resolution={"detail": (16, 16), "loss_weight": DETAIL_WEIGHT, "attention": "shared"}, **settings
    )


def enlarged(logits: Tensor, size: Any) -> Tensor:
    return F.interpolate(logits, tuple(size), mode="bilinear", align_corners=True)


def both_losses(network: Segmenter, images: Tensor, labels: Tensor, weights: Any = None) -> Tensor:
    """The fused prediction's and the detail's cross-entropies, written out; `images` are normalised."""
    output = network(images)
    rows, columns = output.detail.window
    parts = []
    for logits, truth, weight in (
        (enlarged(output.logits, labels.shape[-2:]), labels, weights),
        (
            enlarged(output.detail.logits, (rows.stop - rows.start, columns.stop - columns.start)),
            labels[:, rows, columns],
            None if weights is None else weights[:, rows, columns],
        ),
    ):
        losses = F.cross_entropy(logits, truth, ignore_index=255, reduction="none")
        valid = (truth != 255).sum()
        parts.append((losses if weight is None else losses * weight).sum() / valid)
    return (1 - DETAIL_WEIGHT) * parts[0] + DETAIL_WEIGHT * parts[1]


def pseudo_labels(teacher: Segmenter, images: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        logits = copy.deepcopy(teacher).eval()(teacher.normalize(images)).logits
        confidence, labels = enlarged(logits, images.shape[-2:]).softmax(1).max(1)
    share = (confidence > 0.4).float().mean(dim=(1, 2), keepdim=True)
    return labels, share.expand_as(confidence)


def source_only(network: Segmenter, data: Batch, _: Method) -> Tensor:
    return both_losses(network, network.normalize(data.source_images), data.source_labels)


def mean_teacher(network: Segmenter, data: Batch, method: Method) -> Tensor:
    loss = source_only(network, data, method)
    labels, weights = pseudo_labels(method.terms[0].teacher, data.target_images)
    return loss + both_losses(network, network.normalize(data.target_images), labels, weights)


def masked(network: Segmenter, data: Batch, method: Method) -> Tensor:
    loss = source_only(network, data, method)
    images = data.target_images
    labels, weights = pseudo_labels(method.terms[0].teacher, images)
    kept = (torch.rand(2, 1, images.shape[-2] // 8, images.shape[-1] // 8) > 0.7).float()
    mask = kept.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    return loss + both_losses(network, network.normalize(images) * mask, labels, weights)


def minent(network: Segmenter, data: Batch, method: Method) -> Tensor:
    loss = source_only(network, data, method)
    images = data.target_images
    logits = enlarged(network(network.normalize(images)).logits, images.shape[-2:])
    entropy = -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean() / torch.log(torch.tensor(3.0))
    return loss + 0.5 * entropy


STEPS: dict[str, tuple[list[dict[str, Any]], Any]] = {
    "source only": ([], source_only),
    "entropy": ([{"term": "minent", "weight": 0.5}], minent),
    "mean teacher": ([{"term": "mean_teacher", "class_mix": False, **PLAIN}], mean_teacher),
    "masks": ([{"term": "masked_consistency", "block_px": 8, **PLAIN}], masked),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_equals_one_written_by_hand(name: str) -> None:
    terms, by_hand = STEPS[name]
    method = align(*terms, segmenter=hrda())
    with torch.no_grad():  # a teacher that is not the student, and an attention that is not a half
        for parameter in method.segmenter.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    data, network = batch(5), copy.deepcopy(method.segmenter)
    mover = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
    torch.manual_seed(7)
    loss = by_hand(network, data, copy.deepcopy(method))
    loss.backward()
    mover.step()
    torch.manual_seed(7)
    log = train_step(method, [data], optimizers(method.networks()))
    assert sum(log.values().values()) == pytest.approx(loss.item(), rel=1e-5)
    assert largest_difference(parameters_of(method.segmenter), parameters_of(network)) < 2e-6


def test_the_teacher_labels_by_all_details_and_needs_no_draw() -> None:
    method = align({"term": "mean_teacher", **PLAIN}, segmenter=hrda())
    term, images = method.terms[0], batch(1).target_images
    before = torch.random.get_rng_state()
    labels, weights = term._pseudo_label(images)
    assert torch.equal(torch.random.get_rng_state(), before)
    expected, shares = pseudo_labels(term.teacher, images)
    assert torch.equal(labels, expected) and torch.equal(weights, shares)
    assert term.teacher.training


def test_a_detail_joins_the_loss_where_its_labels_are() -> None:
    """A loop over the pixels of both parts, with ignored pixels and weights."""
    torch.manual_seed(0)
    output = hrda()(torch.rand(2, 3, 32, 48))
    labels = torch.randint(0, 3, (2, 32, 48))
    labels[:, :9] = 255
    weights = torch.rand(2, 32, 48)
    prediction = Prediction.of(output, height_width(labels))
    rows, columns = output.detail.window
    total, count = torch.zeros(2), torch.zeros(2)
    small = prediction.detail.logits.log_softmax(1)
    large = prediction.logits.log_softmax(1)
    for n in range(2):
        for y in range(32):
            for x in range(48):
                label = int(labels[n, y, x])
                if label == 255:
                    continue
                total[0] -= large[n, label, y, x].detach() * weights[n, y, x]
                count[0] += 1
                if rows.start <= y < rows.stop and columns.start <= x < columns.stop:
                    total[1] -= small[n, label, y - rows.start, x - columns.start].detach() * weights[n, y, x]
                    count[1] += 1
    assert count.min() > 0
    expected = 0.7 * total[0] / count[0] + 0.3 * total[1] / count[1]
    assert prediction.cross_entropy(labels, weights).item() == pytest.approx(expected.item(), rel=1e-5)
    assert prediction.detached().detail.logits.grad_fn is None


ON_TOP: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "output": ([{"term": "advent", "base_channels": 4}], {}),
    "auxiliary": (
        [{"term": "output_alignment", "level": "auxiliary", "base_channels": 4}],
        {"auxiliary_head": True},
    ),
    "features": ([{"term": "feature_alignment", "base_channels": 4}], {}),
    "classes": ([{"term": "fada", "tempered_supervision": True}], {}),
    "two heads": ([{"term": "clan", "base_channels": 4, "supervision": "each"}], {"classifiers": 2}),
    "distance": ([{"term": "feature_distance", "classes": ["box"], "min_share": 0.0}], {}),
    "adabn": ([{"term": "adabn"}], {"batch_norm": "batch"}),
    "all": (
        [
            {"term": "mean_teacher"},
            {"term": "feature_distance", "classes": ["box"], "min_share": 0.0},
            {"term": "masked_consistency", "block_px": 8},
            {"term": "advent", "base_channels": 4},
        ],
        {},
    ),
}


@pytest.mark.parametrize("name", ON_TOP)
def test_terms_of_every_kind_work_on_it(name: str) -> None:
    terms, settings = ON_TOP[name]
    method = align(*terms, segmenter=hrda(**settings))
    before = parameters_of(method.segmenter)
    movers = optimizers(method.networks())
    for step in range(2):
        log = train_step(method, [batch(step)], movers)
    assert all(torch.isfinite(torch.tensor(list(log.values().values()))))
    after = parameters_of(method.segmenter)
    moved = {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}
    assert {"backbone", "head", "multi_resolution"} <= moved


def test_the_feature_distance_compares_contexts() -> None:
    """At the start nothing has moved, so the distance is 0, which it is of equal images alone."""
    method = align({"term": "feature_distance", "classes": ["box"], "min_share": 0.0}, segmenter=hrda())
    term = method.terms[0]
    term.start.train()
    data = batch(0)
    look_at = Prediction.of(
        method.segmenter(method.segmenter.normalize(data.source_images)), height_width(data.source_labels)
    )
    seen = method.segmenter.context(method.segmenter.normalize(data.source_images))
    torch.testing.assert_close(term.start(seen)[-1], look_at.features)
    log = train_step(method, [data], optimizers(method.networks()))
    assert log.values()["segmenter/feature_distance_distance"] == pytest.approx(0, abs=1e-5)


def test_splitting_a_batch_is_said_to_draw_places_anew() -> None:
    assert "detail's place is drawn at random" in align(segmenter=hrda()).why_splits_differ
    assert align().why_splits_differ == ""


def test_lsd_works_on_contexts() -> None:
    from segshift.methods import build_method

    config = {"name": "lsd", "generator_channels": 8, "discriminator_channels": 8, "discriminator_blocks": 1}
    method = build_method(config, hrda()).train()
    data = batch(0)
    square = Batch(
        data.source_images[..., :32], data.source_labels[..., :32], data.target_images[..., :32, :], 0, 0
    )
    log = train_step(method, [square], optimizers(method.networks()))
    assert all(torch.isfinite(torch.tensor(list(log.values().values()))))
    with torch.no_grad(), seeing_all_details(method):
        assert method.deployed()(square.source_images).detail is None
