"""Methods on top of self-training: a list's step is the sum of its parts', and MIC and HRDA stack on it.

With plain gradient descent a step is linear in the losses, so that what a method adds to the source's
training can be told by itself: (method and teacher) = (method) + (teacher) - (source alone), parameter by
parameter. Each method by itself is held against a step written by hand in its own test.
"""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

from segshift.engine.presets import load_recipe
from segshift.engine.step import train_step
from segshift.methods import Batch, Method
from segshift.methods.averaged_teacher import AveragedTeacher
from segshift.methods.patch import PatchAlignment
from segshift.models.multi_resolution import DetailWindows
from tests.methods.networks import align, batch, largest_difference, parameters_of, tiny_segmenter

NAMES = ["clan", "fada", "advent", "local_alignment", "adaptpatch"]
RATE = 0.02
# By what the papers' weights are multiplied: against new discriminators, a term that does nothing would pass.
LOUDER = {"clan": 300.0, "fada": 1e5, "advent": 1e6, "local_alignment": 1e6, "patch": 1e7}
SMALL: dict[str, dict[str, Any]] = {
    "clan": {"base_channels": 4},
    "advent": {"base_channels": 4},
    "fada": {"hidden_channels": [8, 4]},
    "patch": {"patch_px": 16, "start_step": 0},
    "local_alignment": {"base_channels": 4, "patch_px": 32},
}
MASKED = {"term": "masked_consistency", "block_px": 8, "color_jitter": 0, "blur": 0, "confidence": 0.4}


def terms_of(preset: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The terms of the preset with the mean teacher, small and loud, and what they ask of the network."""
    recipe = load_recipe(f"{preset}_plus_mean_teacher")
    terms = []
    for term in recipe.method["terms"]:
        term = dict(term)
        if term["term"] == "mean_teacher":
            terms.append(term | {"confidence": 0.4})
            continue
        kind = term["term"]
        terms.append(term | SMALL[kind] | {"weight": LOUDER[kind] * term["weight"]})
    model = recipe.model
    return terms, {"classifiers": model.classifiers, "auxiliary_head": model.auxiliary_head}


def stepped(start: Method, keep: Any, data: Batch) -> dict[str, Tensor]:
    """How far each of the segmenter's parameters moves by those of the start's terms that `keep` takes.

    Draws are those of the part whichever others there are: the seed is set before each of its turns.
    """
    method = copy.deepcopy(start)
    kept = [term for term in method.terms if keep(term)]
    method.terms = nn.ModuleList(kept)
    method.uses_target = any(term.uses_target for term in kept)
    for term in kept:
        _seed_turns(term)
    movers = {name: SGD(group, lr=RATE) for name, group in method.networks().items()}
    before = parameters_of(method.segmenter)
    train_step(method, [data], movers)
    after = parameters_of(method.segmenter)
    adversaries = {
        f"{term.name}.{name}": value
        for term in kept
        if term.adversary is not None
        for name, value in parameters_of(term.adversary).items()
    }
    return {name: after[name] - before[name] for name in before} | adversaries


def _seed_turns(term: Any) -> None:
    for name in ("on_target", "on_adversary"):
        setattr(term, name, _seeded(getattr(term, name)))


def _seeded(turn: Any) -> Any:
    def seeded(look: Any) -> Any:
        torch.manual_seed(11)
        return turn(look)

    return seeded


def start_of(preset: str, *more: dict[str, Any], **network: Any) -> Method:
    terms, asked = terms_of(preset)
    method = align(*terms, *more, segmenter=tiny_segmenter(**asked, **network))
    for term in method.terms:
        if isinstance(term, PatchAlignment):  # as if prepared
            generator = torch.Generator().manual_seed(2)
            term.centers.copy_(torch.rand(term.centers.shape, generator=generator))
    with torch.no_grad():  # a teacher that is not the student
        for parameter in method.segmenter.parameters():
            parameter.add_(0.03 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    return method


def has_teacher(term: Any) -> bool:
    return isinstance(term, AveragedTeacher)


def check_sum(start: Method, data: Batch) -> None:
    """The whole list against its two halves and the source alone."""
    whole = stepped(start, lambda term: True, data)
    method = stepped(start, lambda term: not has_teacher(term), data)
    teacher = stepped(start, has_teacher, data)
    source = stepped(start, lambda term: False, data)
    moved = 0.0
    for name in source:
        expected = method[name] + teacher[name] - source[name]
        torch.testing.assert_close(whole[name], expected, rtol=1e-3, atol=2e-6, msg=name)
        moved = max(moved, float((method[name] - source[name]).abs().max()))
    taught = max(float((teacher[name] - source[name]).abs().max()) for name in source)
    # Both parts move the network by far more than the tolerance.
    assert moved > 1e-4 and taught > 1e-4
    # The adversaries train on what they would see without the teacher.
    judges = {name: value for name, value in method.items() if name not in source}
    assert largest_difference({name: whole[name] for name in judges}, judges) < 2e-6


@pytest.mark.parametrize("name", NAMES)
def test_a_method_on_self_training_is_the_sum_of_both(name: str) -> None:
    check_sum(start_of(name), batch(5))


@pytest.fixture
def fixed_details(monkeypatch: pytest.MonkeyPatch) -> None:
    """Details at one place, so that a list's parts see the same ones whatever has been drawn before."""

    def place(self: DetailWindows, context: Any) -> Any:
        if self.training:
            return [(slice(1, 2), slice(0, 2))]
        return list(whole(self, context))

    whole = DetailWindows.forward
    monkeypatch.setattr(DetailWindows, "forward", place)


@pytest.mark.parametrize("name", NAMES)
def test_mic_and_hrda_stack_on_it(name: str, fixed_details: None) -> None:
    start = start_of(name, MASKED, multi_resolution={"detail": (32, 16), "loss_weight": 0.2})
    assert not hasattr(start.terms[-1], "teacher")  # one teacher for both
    check_sum(start, batch(5))
    movers = {group: SGD(parameters, lr=RATE) for group, parameters in start.networks().items()}
    log = train_step(start, [batch(6)], movers)
    assert {"segmenter/mean_teacher_mixed", "segmenter/masked_consistency_masked"} < set(log.values())


def test_the_teacher_follows_the_student_that_all_parts_have_moved() -> None:
    start = start_of("advent", MASKED)
    (teacher,) = (term for term in start.terms if hasattr(term, "teacher"))
    before = parameters_of(teacher.teacher)
    train_step(start, [batch(1)], {name: SGD(group, lr=RATE) for name, group in start.networks().items()})
    after = parameters_of(start.segmenter)
    expected = {name: 0.5 * before[name] + 0.5 * after[name] for name in after}
    assert largest_difference(parameters_of(teacher.teacher), expected) < 1e-6
