"""CLAN against a step written by hand, and its refusals."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segshift.engine.step import train_step
from segshift.errors import InputError
from segshift.methods import Batch, Method
from tests.engine.toy import split_batch
from tests.methods.networks import align, batch, largest_difference, optimizers, parameters_of, tiny_segmenter

STEPS = 3
# Weights far above the paper's, so that a loss that does nothing cannot pass.
SETTINGS: dict[str, Any] = {"term": "clan", "weight": 0.5, "similarity_weight": 3.0, "base_channels": 4}
VARIANTS: dict[str, dict[str, Any]] = {
    "paper": {},
    "detached": {"detach_weight_map": True},
    "focal ensemble": {"focal_gamma": 2.0, "local_weight": 10.0, "epsilon": 0.2},
    "public code": {
        "supervision": "each",
        "focal_gamma": 2.0,
        "include_biases": True,
        "preheat": 0.1,
        "damping": True,
    },
}


def clan(**settings: Any) -> Method:
    segmenter = tiny_segmenter(classifiers=2)
    # Biases start at 0, where their cosine has no slope, and small weights hardly disagree.
    with torch.no_grad():
        for head in (segmenter.head, segmenter.second_head):
            assert head is not None
            for parameter in head.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return align({**SETTINGS, **settings}, segmenter=segmenter)


def bce(judged: Tensor, value: float) -> Tensor:
    """Binary cross-entropy, pixel by pixel, in its textbook form."""
    p = torch.sigmoid(judged)
    return -(value * torch.log(p) + (1 - value) * torch.log(1 - p))


def focal(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    valid = labels != 255
    p = logits.softmax(dim=1).gather(1, labels.where(valid, 0).unsqueeze(1)).squeeze(1)[valid]
    return ((1 - p) ** gamma * -torch.log(p)).mean()


def play_by_hand(
    method: Method, batches: list[Batch], options: dict[str, Any]
) -> tuple[nn.Module, nn.Module]:
    """CLAN's loop on copies of the method's networks: G on both domains, D on what G showed, both step."""
    segmenter, judge = copy.deepcopy(method.segmenter), copy.deepcopy(method.terms[0].adversary)
    movers = optimizers({"segmenter": list(segmenter.parameters()), "clan": list(judge.parameters())})

    def heads(images: Tensor) -> tuple[Tensor, Tensor]:
        (features,) = segmenter.backbone((images - segmenter.mean) / segmenter.std)[-1:]
        both = (head(features) for head in (segmenter.head, segmenter.second_head))
        size = images.shape[-2:]
        first, second = (F.interpolate(z, size=size, mode="bilinear", align_corners=True) for z in both)
        return first, second

    def judged(probs: Tensor) -> Tensor:
        return F.interpolate(judge(probs), size=probs.shape[-2:], mode="bilinear", align_corners=True)

    for data in batches:
        plain = data.progress < options.get("preheat", 0.0)
        fading = 1 - data.progress if options.get("damping") else 1.0
        gamma = options.get("focal_gamma", 0.0)

        def weights(first: Tensor, second: Tensor, plain: bool = plain) -> Tensor | float:
            if plain:
                return 1.0
            a, b = first.softmax(1), second.softmax(1)
            cosine = (a * b).sum(1, keepdim=True) / (a.norm(dim=1) * b.norm(dim=1)).unsqueeze(1)
            return options.get("local_weight", 40.0) * (1 - cosine) + options.get("epsilon", 0.4)

        for mover in movers.values():
            mover.zero_grad()
        s1, s2 = heads(data.source_images)
        shown = (s1, s2) if options.get("supervision") == "each" else (s1 + s2,)
        loss = sum(focal(z, data.source_labels, gamma) for z in shown)
        w1, w2 = (
            torch.cat(
                [p.flatten() for p in head.parameters() if p.ndim == 4 or options.get("include_biases")]
            )
            for head in (segmenter.head, segmenter.second_head)
        )
        loss = loss + 3.0 * fading * (w1 @ w2) / (w1.norm() * w2.norm())
        t1, t2 = heads(data.target_images)
        map_ = weights(t1, t2)
        if options.get("detach_weight_map") and isinstance(map_, Tensor):
            map_ = map_.detach()
        loss = loss + 0.5 * fading * (map_ * bce(judged((t1 + t2).softmax(1)), 0.0)).mean()
        loss.backward()
        movers["clan"].zero_grad()
        with torch.no_grad():
            map_, source, target = weights(t1, t2), (s1 + s2).softmax(1), (t1 + t2).softmax(1)
        (bce(judged(source), 0.0).mean() + (map_ * bce(judged(target), 1.0)).mean()).backward()
        for mover in movers.values():
            mover.step()
    return segmenter, judge


@pytest.mark.parametrize("variant", VARIANTS)
def test_steps_equal_a_loop_written_by_hand(variant: str) -> None:
    method = clan(**VARIANTS[variant])
    batches = [batch(step) for step in range(STEPS)]
    segmenter, judge = play_by_hand(method, batches, VARIANTS[variant])
    before = parameters_of(method)
    movers = optimizers(method.networks())
    for data in batches:
        assert train_step(method, [data], movers).schedule == ["segmenter*", "segmenter", "clan"]
    assert largest_difference(parameters_of(method.segmenter), parameters_of(segmenter)) < 5e-6
    assert largest_difference(parameters_of(method.terms[0].adversary), parameters_of(judge)) < 5e-6
    after = parameters_of(method)
    assert all(not torch.equal(before[name], after[name]) for name in before), "everything trains"


def test_the_variants_differ() -> None:
    ends = []
    for settings in VARIANTS.values():
        method = clan(**settings)
        movers = optimizers(method.networks())
        for step in range(STEPS):
            train_step(method, [batch(step)], movers)
        ends.append(parameters_of(method))
    for i, end in enumerate(ends):
        assert all(largest_difference(end, other) > 1e-4 for other in ends[:i])


def test_losses_by_name() -> None:
    values = train_step(clan(), [batch()], optimizers(clan().networks())).losses
    assert set(values) == {
        "segmenter/supervised",
        "segmenter/clan_similarity",
        "segmenter/clan_adversarial",
        "clan/source",
        "clan/target",
    }
    method = clan(supervision="each")
    values = train_step(method, [batch()], optimizers(method.networks())).losses
    assert {"segmenter/clan_supervised_first", "segmenter/clan_supervised_second"} < set(values)


def test_micro_batches_equal_the_whole_batch_of_any_size() -> None:
    whole = clan(**VARIANTS["public code"])
    split = copy.deepcopy(whole)
    whole_movers, split_movers = optimizers(whole.networks()), optimizers(split.networks())
    for step in range(STEPS):
        data = batch(step, images=3, ignored=False)
        one = train_step(whole, [data], whole_movers)
        three = train_step(split, split_batch(data, 3), split_movers)
        assert one.values() == pytest.approx(three.values(), rel=1e-4)
    assert largest_difference(parameters_of(whole.segmenter), parameters_of(split.segmenter)) < 2e-5


def test_preheat_and_damping_follow_the_share_of_the_run() -> None:
    method = clan(preheat=0.25, damping=True, epsilon=0.0, local_weight=0.0)
    zero_later = [
        train_step(method, [batch(step)], optimizers(method.networks())).values()["clan/target"]
        for step in (0, 2, 3)
    ]
    assert zero_later[0] > 0 and zero_later[1] > 0 and zero_later[2] == 0


def test_one_classifier_is_refused_with_the_remedy() -> None:
    with pytest.raises(InputError, match=r"clan: CLAN compares two .* set model\.classifiers: 2"):
        align({"term": "clan"})


def test_an_auxiliary_head_needs_the_supervised_loss_of_align() -> None:
    both = {"classifiers": 2, "auxiliary_head": True}
    with pytest.raises(InputError, match=r"set model\.auxiliary_head: false"):
        align({"term": "clan", "focal_gamma": 2}, segmenter=tiny_segmenter(**both))
    method = align({"term": "clan"}, segmenter=tiny_segmenter(**both))
    losses = train_step(method, [batch()], optimizers(method.networks())).losses
    assert {"segmenter/supervised", "segmenter/supervised_auxiliary"} < set(losses)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preheat": 1.5}, "`preheat` = 1.5"),
        ({"supervision": "both"}, "`supervision` = 'both'"),
        ({"focal": 2}, "did you mean `focal_gamma`"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        clan(**settings)
