"""Align and its terms against steps written by hand as the public codes write them."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segshift.engine.step import train_step
from segshift.errors import InputError
from segshift.methods import Batch, Method
from segshift.models.segmenter import Segmenter
from tests.engine.toy import split_batch
from tests.methods.networks import align, batch, largest_difference, optimizers, parameters_of, tiny_segmenter

View = Callable[[Tensor], Tensor]
STEPS = 2


def forward(segmenter: Segmenter, images: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
    """Main and auxiliary logits at the images' size, and the features."""
    output = segmenter((images - segmenter.mean) / segmenter.std)
    size = images.shape[-2:]
    main = F.interpolate(output.logits, size=size, mode="bilinear", align_corners=True)
    if output.auxiliary_logits is None:
        return main, None, output.features
    auxiliary = F.interpolate(output.auxiliary_logits, size=size, mode="bilinear", align_corners=True)
    return main, auxiliary, output.features


def supervised(main: Tensor, auxiliary: Tensor | None, labels: Tensor) -> Tensor:
    loss = F.cross_entropy(main, labels, ignore_index=255)
    return loss if auxiliary is None else loss + 0.1 * F.cross_entropy(auxiliary, labels, ignore_index=255)


def fooled(judged: Tensor, value: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(judged, torch.full_like(judged, value))


def play_by_hand(
    segmenter: Segmenter,
    discriminators: dict[str, nn.Module],
    batches: list[Batch],
    views: dict[str, Callable[[tuple[Tensor, Tensor | None, Tensor]], Tensor]],
    weights: dict[str, float],
) -> None:
    """The loop of AdaptSegNet and AdvEnt: freeze, backward twice, unfreeze, backward twice, step."""
    networks = {
        "segmenter": [p for p in segmenter.parameters() if p.requires_grad],
        **{name: list(module.parameters()) for name, module in discriminators.items()},
    }
    movers = optimizers(networks)
    for data in batches:
        for mover in movers.values():
            mover.zero_grad()
        for module in discriminators.values():
            module.requires_grad_(False)
        source = forward(segmenter, data.source_images)
        supervised(source[0], source[1], data.source_labels).backward()
        target = forward(segmenter, data.target_images)
        loss = torch.zeros(())
        for name, module in discriminators.items():
            loss = loss + weights[name] * fooled(module(views[name](target)), 0.0)
        loss.backward()
        for name, module in discriminators.items():
            module.requires_grad_(True)
            for prediction, value in ((source, 0.0), (target, 1.0)):
                (fooled(module(views[name](prediction).detach()), value) / 2).backward()
        for mover in movers.values():
            mover.step()


def softmax_main(prediction: tuple[Tensor, Tensor | None, Tensor]) -> Tensor:
    return F.softmax(prediction[0], dim=1)


def softmax_auxiliary(prediction: tuple[Tensor, Tensor | None, Tensor]) -> Tensor:
    assert prediction[1] is not None
    return F.softmax(prediction[1], dim=1)


def information(of: View, divisor: float) -> View:
    def view(prediction: Any) -> Tensor:
        p = of(prediction)
        return -p * torch.log(p + 1e-30) / divisor

    return view


GAMES: dict[str, tuple[list[dict[str, Any]], dict[str, Any], dict[str, float]]] = {
    # Weights far above the papers', so that a term that does nothing cannot pass.
    "AdaptSegNet, multi level": (
        [
            {"term": "output_alignment", "weight": 100.0},
            {"term": "output_alignment", "weight": 40.0, "level": "auxiliary"},
        ],
        {"output_alignment": softmax_main, "output_alignment_auxiliary": softmax_auxiliary},
        {"output_alignment": 100.0, "output_alignment_auxiliary": 40.0},
    ),
    "AdvEnt, paper": (
        [{"term": "advent", "weight": 100.0}, {"term": "advent", "weight": 40.0, "level": "auxiliary"}],
        {
            "advent": information(softmax_main, 1.0),
            "advent_auxiliary": information(softmax_auxiliary, 1.0),
        },
        {"advent": 100.0, "advent_auxiliary": 40.0},
    ),
    "AdvEnt, public code": (
        [{"term": "advent", "weight": 100.0, "normalized": True, "name": "game"}],
        {"game": information(softmax_main, math.log(3))},
        {"game": 100.0},
    ),
    "features": (
        [{"term": "feature_alignment", "weight": 1.0}],
        {"feature_alignment": lambda prediction: prediction[2]},
        {"feature_alignment": 1.0},
    ),
}


@pytest.mark.parametrize("game", GAMES)
def test_adversarial_steps_equal_a_loop_written_by_hand(game: str) -> None:
    terms, views, weights = GAMES[game]
    method = align(
        *({**term, "base_channels": 4} for term in terms), segmenter=tiny_segmenter(auxiliary_head=True)
    )
    segmenter = copy.deepcopy(method.segmenter)
    discriminators = {term.name: copy.deepcopy(term.adversary) for term in method.terms}
    assert set(discriminators) == set(views)
    source_only = align(segmenter=copy.deepcopy(segmenter))
    batches = [batch(step) for step in range(STEPS)]

    movers, plain_movers = optimizers(method.networks()), optimizers(source_only.networks())
    for data in batches:
        train_step(method, [data], movers)
        train_step(source_only, [data], plain_movers)
    start = {name: parameters_of(module) for name, module in discriminators.items()}
    play_by_hand(segmenter, discriminators, batches, views, weights)

    mine = parameters_of(method.segmenter)
    assert largest_difference(mine, parameters_of(segmenter)) < 2e-6
    # The game itself moved far more than the tolerance.
    assert largest_difference(mine, parameters_of(source_only.segmenter)) > 2e-4
    for term in method.terms:
        judge = parameters_of(term.adversary)
        assert largest_difference(judge, parameters_of(discriminators[term.name])) < 2e-6
        assert largest_difference(judge, start[term.name]) > 1e-4


@pytest.mark.parametrize("auxiliary", [False, True])
def test_minent_equals_a_loop_written_by_hand(auxiliary: bool) -> None:
    terms = [{"term": "minent", "weight": 0.5}]
    terms += [{"term": "minent", "weight": 0.2, "level": "auxiliary"}] if auxiliary else []
    method = align(*terms, segmenter=tiny_segmenter(auxiliary_head=auxiliary))
    segmenter = copy.deepcopy(method.segmenter)
    movers, by_hand = optimizers(method.networks()), optimizers({"segmenter": list(segmenter.parameters())})
    for step in range(STEPS):
        data = batch(step)
        train_step(method, [data], movers)
        main, second, _ = forward(segmenter, data.source_images)
        loss = supervised(main, second, data.source_labels)
        target = forward(segmenter, data.target_images)
        for logits, weight in zip(target[:2], (0.5, 0.2), strict=True):
            if logits is not None:
                p, log_p = logits.softmax(1), logits.log_softmax(1)
                loss = loss + weight * (-(p * log_p).sum(1).mean() / math.log(3))
        by_hand["segmenter"].zero_grad()
        loss.backward()
        by_hand["segmenter"].step()
    assert largest_difference(parameters_of(method.segmenter), parameters_of(segmenter)) < 2e-6


def schedule(method: Method, step: int = 0) -> list[str]:
    return train_step(method, [batch(step)], optimizers(method.networks())).schedule


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([], ["segmenter"]),
        (["minent"], ["segmenter*", "segmenter"]),
        (["adabn"], ["segmenter*", "segmenter"]),
        (["mean_teacher"], ["segmenter*", "segmenter"]),
        (["advent"], ["segmenter*", "segmenter", "advent"]),
        (
            ["advent", "minent", "feature_alignment"],
            ["segmenter*", "segmenter", "advent", "feature_alignment"],
        ),
    ],
)
def test_the_schedule(terms: list[str], expected: list[str]) -> None:
    assert schedule(align(*({"term": term} for term in terms))) == expected


def test_a_term_sleeps_until_its_start_step() -> None:
    terms = [{"term": "advent", "start_step": 2, "base_channels": 4}]
    asleep = align(*terms)
    judge = parameters_of(asleep.terms[0].adversary)
    plain = align(segmenter=copy.deepcopy(asleep.segmenter))
    asleep_movers, plain_movers = optimizers(asleep.networks()), optimizers(plain.networks())
    for step in range(2):
        log = train_step(asleep, [batch(step)], asleep_movers)
        train_step(plain, [batch(step)], plain_movers)
        assert log.schedule == ["segmenter"]
    assert largest_difference(parameters_of(asleep.segmenter), parameters_of(plain.segmenter)) == 0
    assert largest_difference(parameters_of(asleep.terms[0].adversary), judge) == 0
    assert schedule(asleep, step=2) == ["segmenter*", "segmenter", "advent"]


EVERY_TERM = [
    {"term": "output_alignment"},
    {"term": "output_alignment", "level": "auxiliary"},
    {"term": "advent"},
    {"term": "feature_alignment"},
    {"term": "minent"},
    {"term": "adabn"},
    {"term": "mean_teacher"},
]


def test_networks_are_disjoint_and_hold_all_that_trains() -> None:
    method = align(*EVERY_TERM, segmenter=tiny_segmenter(auxiliary_head=True))
    networks = method.networks()
    assert list(networks) == [
        "segmenter",
        "output_alignment",
        "output_alignment_auxiliary",
        "advent",
        "feature_alignment",
    ]
    listed = [id(parameter) for group in networks.values() for parameter in group]
    assert len(set(listed)) == len(listed)
    assert set(listed) == {id(p) for p in method.parameters() if p.requires_grad}
    assert {id(p) for p in networks["segmenter"]} == {id(p) for p in method.segmenter.parameters()}


def test_frozen_affine_parameters_are_in_no_network() -> None:
    method = align(segmenter=tiny_segmenter(batch_norm_affine="frozen"))
    names = {id(p): name for name, p in method.segmenter.named_parameters()}
    listed = {names[id(p)] for p in method.networks()["segmenter"]}
    assert not [name for name in listed if ".bn" in name]
    assert set(names.values()) - listed


@pytest.mark.parametrize(
    "terms",
    [
        [{"term": "minent"}, {"term": "minent"}],
        [{"term": "minent"}, {"term": "advent", "name": "minent"}],
        [{"term": "minent", "name": "segmenter"}],
    ],
)
def test_two_terms_of_one_name_are_refused(terms: list[dict[str, Any]]) -> None:
    with pytest.raises(InputError, match="taken twice; give each term a `name:`"):
        align(*terms)


def test_a_name_makes_two_terms_of_one_kind_possible() -> None:
    method = align({"term": "minent"}, {"term": "minent", "name": "again", "weight": 0.5})
    log = train_step(method, [batch()], optimizers(method.networks()))
    assert {"segmenter/minent_entropy", "segmenter/again_entropy"} <= set(log.losses)
    values = log.values()
    assert values["segmenter/again_entropy"] == pytest.approx(500 * values["segmenter/minent_entropy"])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "algin"}, r"method\.name = 'algin'.*did you mean `align`"),
        ({"name": "align", "terms": [{"weight": 1}]}, r"method\.terms\.0\.term = None"),
        ({"name": "align", "terms": [{"term": "advnt"}]}, "did you mean `advent`"),
        ({"name": "align", "terms": [{"term": "minent", "weight": -1}]}, r"terms\.0: `weight` = -1"),
        ({"name": "align", "wieght": 1}, "unknown key `wieght`"),
        ({"name": "adabn", "image": 1}, "did you mean `images`"),
    ],
)
def test_bad_method_sections_are_one_line(config: dict[str, Any], message: str) -> None:
    from segshift.methods import build_method

    with pytest.raises(InputError, match=message) as error:
        build_method(config, tiny_segmenter())
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("term", ["output_alignment", "advent", "feature_alignment", "minent"])
def test_micro_batches_equal_the_whole_batch(term: str) -> None:
    whole = align({"term": term, "weight": 0.5})
    split = copy.deepcopy(whole)
    whole_movers, split_movers = optimizers(whole.networks()), optimizers(split.networks())
    for step in range(STEPS):
        data = batch(step, images=4, ignored=False)
        one = train_step(whole, [data], whole_movers)
        two = train_step(split, split_batch(data, 2), split_movers)
        assert one.schedule == two.schedule
        assert one.values() == pytest.approx(two.values(), rel=1e-4)
    # Adam divides by the gradient's size, which turns rounding into steps: hence the looser bound.
    assert largest_difference(parameters_of(whole), parameters_of(split)) < 2e-4
    assert largest_difference(parameters_of(whole.segmenter), parameters_of(split.segmenter)) < 1e-5


def test_source_only_shows_no_target_to_batch_norm() -> None:
    method = align(segmenter=tiny_segmenter(batch_norm="batch"))
    assert not method.uses_target
    other = copy.deepcopy(method)
    data = batch()
    train_step(method, [data], optimizers(method.networks()))
    changed = Batch(data.source_images, data.source_labels, 1 - data.target_images, 0, 0.0)
    train_step(other, [changed], optimizers(other.networks()))
    for (name, mine), theirs in zip(method.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs), name


def test_predict_gives_logits_of_the_deployed_network_at_the_images_size() -> None:
    method = align({"term": "mean_teacher", "deploy": "teacher"}).eval()
    teacher = method.terms[0].teacher
    assert method.deployed() is teacher
    with torch.no_grad():
        for parameter in method.segmenter.parameters():
            parameter.zero_()
        images = batch().target_images
        logits = method.predict(images)
        assert torch.equal(logits, forward(teacher, images)[0]) and logits.abs().max() > 0
    assert align().deployed().__class__ is Segmenter
