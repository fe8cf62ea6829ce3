"""Local alignment: its patches, and its step against one written by hand."""

import copy
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from segshift.engine.step import train_step
from segshift.errors import InputError
from segshift.methods.local_alignment import random_patches
from segshift.methods.term import Look, Prediction
from tests.methods.networks import (
    CLASSES,
    align,
    batch,
    largest_difference,
    optimizers,
    parameters_of,
    tiny_segmenter,
)

NAME = "local_alignment"


def test_patches_are_windows_of_their_own_maps_at_all_places() -> None:
    rows = torch.arange(6).view(1, 1, 6, 1).expand(2, 1, 6, 7)
    columns = torch.arange(7).view(1, 1, 1, 7).expand(2, 1, 6, 7)
    maps = torch.cat([torch.tensor([0, 1]).view(2, 1, 1, 1).expand(2, 1, 6, 7), rows, columns], dim=1).float()
    torch.manual_seed(0)
    found = random_patches(maps, (3, 4), 300, NAME)
    assert found.shape == (600, 3, 4, 3)
    places = found[:, :, 0, 0].long().tolist()
    assert [image for image, _, _ in places] == [0] * 300 + [1] * 300
    for patch, (image, top, left) in zip(found, places, strict=True):
        assert torch.equal(patch, maps[image, :, top : top + 4, left : left + 3])
    counts = {(top, left): 0 for top in range(3) for left in range(5)}
    for _, top, left in places:
        counts[top, left] += 1
    # 40 expected at each place; five standard deviations of a binomial are 30.
    assert all(10 < count < 70 for count in counts.values()), counts


def test_places_follow_torchs_seed() -> None:
    maps = torch.rand(2, 3, 40, 40)

    def places(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return random_patches(maps, 32, 2, NAME)

    assert torch.equal(places(1), places(1))
    assert not torch.equal(places(1), places(2))


def test_a_patch_as_large_as_the_map_is_the_map_and_a_larger_one_is_refused() -> None:
    maps = torch.rand(2, 3, 32, 40)
    assert torch.equal(random_patches(maps, (40, 32), 1, NAME), maps)
    with pytest.raises(
        InputError, match=r"local_alignment: patch_px = 41x32 does not fit .* 40x32; set a smaller"
    ):
        random_patches(maps, (41, 32), 1, NAME)
    method = align({"term": NAME, "base_channels": 4})
    with pytest.raises(InputError, match="256x256 does not fit into a prediction of 32x40"):
        train_step(method, [batch()], optimizers(method.networks()))


@pytest.mark.parametrize("settings", [{"patch_px": None}, {"patch_px": None, "normalized": True}])
def test_windows_of_whole_maps_are_advent(settings: dict[str, Any]) -> None:
    local = align({"term": NAME, "weight": 100.0, "base_channels": 4, "verdict": "windows", **settings})
    advent = align(
        {
            "term": "advent",
            "weight": 100.0,
            "base_channels": 4,
            "normalized": settings.get("normalized", False),
        },
        segmenter=copy.deepcopy(local.segmenter),
    )
    advent.terms[0].load_state_dict(local.terms[0].state_dict())
    for method in (local, advent):
        movers = optimizers(method.networks())
        for step in range(2):
            train_step(method, [batch(step)], movers)
    assert largest_difference(parameters_of(local), parameters_of(advent)) == 0


def test_a_patch_gets_one_verdict_unless_windows_are_asked_for() -> None:
    patches = torch.rand(5, CLASSES.count, 96, 64)
    answers = {}
    for settings in ({}, {"verdict": "patch"}, {"verdict": "windows"}):
        judge = align({"term": NAME, "base_channels": 4, **settings}).terms[0].adversary
        answers[settings.get("verdict")] = tuple(judge(patches).shape)
    assert answers == {None: (5, 1, 1, 1), "patch": (5, 1, 1, 1), "windows": (5, 1, 3, 2)}


def test_the_target_gets_gradients_at_the_patch_and_another_place_gives_others() -> None:
    term = align({"term": NAME, "base_channels": 4, "patch_px": 32, "weight": 1.0}).terms[0]
    logits = torch.randn(1, CLASSES.count, 48, 64, generator=torch.Generator().manual_seed(0))

    def gradient(seed: int) -> torch.Tensor:
        z = logits.clone().requires_grad_()
        nothing = torch.zeros(1, 1, 1, 1)
        prediction = Prediction(nothing, z, None)
        look = Look(batch(), tiny_segmenter(), prediction, prediction)
        torch.manual_seed(seed)
        (loss,) = term.on_target(look).values()
        loss.backward()
        assert z.grad is not None
        return z.grad[0].abs().sum(dim=0)

    first, second = gradient(1), gradient(2)
    torch.manual_seed(1)
    top, left = int(torch.randint(48 - 31, (1,))), int(torch.randint(64 - 31, (1,)))
    inside = torch.zeros(48, 64, dtype=torch.bool)
    inside[top : top + 32, left : left + 32] = True
    assert torch.equal(first > 0, inside)
    assert not torch.equal(first > 0, second > 0)


@pytest.mark.parametrize("view", ["self_information", "probabilities"])
@pytest.mark.parametrize(
    ("level", "verdict"), [("main", "patch"), ("auxiliary", "patch"), ("main", "windows")]
)
def test_the_step_equals_one_written_by_hand(view: str, level: str, verdict: str) -> None:
    settings = {
        "term": NAME,
        "name": "local",
        "weight": 100.0,
        "base_channels": 4,
        "patch_px": [32, 32],
        "verdict": verdict,
    }
    method = align(
        {**settings, "patches": 2, "view": view, "level": level, "normalized": True},
        segmenter=tiny_segmenter(auxiliary_head=True),
    )
    segmenter, judge = copy.deepcopy(method.segmenter), copy.deepcopy(method.terms[0].adversary)
    before = parameters_of(judge)
    data = batch()
    torch.manual_seed(5)
    log = train_step(method, [data], optimizers(method.networks()))
    assert log.schedule == ["segmenter*", "segmenter", "local"]

    def logits(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        output = segmenter((images - segmenter.mean) / segmenter.std)
        size = images.shape[-2:]
        both = (output.logits, output.auxiliary_logits)
        main, auxiliary = (F.interpolate(z, size=size, mode="bilinear", align_corners=True) for z in both)
        return main, auxiliary

    def cut(z: torch.Tensor) -> torch.Tensor:
        """Two patches per image; the whole map is cut after the self-information was taken."""
        p = z.softmax(dim=1)
        seen = p if view == "probabilities" else -p * p.log() / math.log(3)
        tops = torch.randint(z.shape[2] - 31, (4,)).tolist()
        lefts = torch.randint(z.shape[3] - 31, (4,)).tolist()
        places = enumerate(zip(tops, lefts, strict=True))
        return torch.stack([seen[i // 2][:, t : t + 32, x : x + 32] for i, (t, x) in places])

    def bce(judged: torch.Tensor, value: float) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(judged, torch.full_like(judged, value))

    movers = optimizers({"segmenter": list(segmenter.parameters()), "local": list(judge.parameters())})
    torch.manual_seed(5)
    which = ["main", "auxiliary"].index(level)
    source, target = logits(data.source_images), logits(data.target_images)
    loss = F.cross_entropy(source[0], data.source_labels, ignore_index=255)
    loss = loss + 0.1 * F.cross_entropy(source[1], data.source_labels, ignore_index=255)
    loss = loss + 100 * bce(judge(cut(target[which])), 0.0)
    loss.backward()
    movers["segmenter"].step()
    movers["local"].zero_grad()
    loss = 0.5 * bce(judge(cut(source[which].detach())), 0.0)
    loss = loss + 0.5 * bce(judge(cut(target[which].detach())), 1.0)
    loss.backward()
    movers["local"].step()
    assert largest_difference(parameters_of(method.segmenter), parameters_of(segmenter)) < 2e-6
    assert largest_difference(parameters_of(method.terms[0].adversary), parameters_of(judge)) < 2e-6
    assert largest_difference(parameters_of(judge), before) > 1e-4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patch_px": 31}, "`patch_px` = 31: the discriminator needs at least 32"),
        ({"patch_px": [64, 16]}, "at least 32 px each way"),
        ({"patch_px": None, "patches": 2}, "patches: 2 needs a patch_px"),
        ({"patches": 0}, "`patches` = 0"),
        ({"verdict": "pixels"}, "`verdict` = 'pixels'"),
        ({"view": "logits"}, "`view` = 'logits'"),
    ],
)
def test_refusals(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        align({"term": NAME, **settings})
    assert len(str(error.value).splitlines()) == 1
