"""The doctor finds what is wrong with a method, and nothing wrong with a sound one."""

from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from segshift.config import parse
from segshift.engine.doctor import Examination, examine
from segshift.engine.doctor.toy import plain_optimizers, toy_batch, toy_method
from segshift.engine.recipe import Recipe
from segshift.engine.step import train_step

# One sound method, and one sick variant of it per question that the doctor asks.
METHODS = """
import torch
from torch import nn
from segshift.config import Strict
from segshift.losses import cross_entropy
from segshift.methods import Method, Update
from segshift.models import upsample

class Config(Strict):
    name: str

class Sound(Method):
    Config = Config
    uses_target = False

    def __init__(self, config, segmenter):
        super().__init__()
        self.segmenter = segmenter
        self.extra = nn.Linear(1, 1)
        self.count = 0

    def networks(self):
        return {"segmenter": list(self.segmenter.parameters()), "extra": list(self.extra.parameters())}

    def logits(self, images):
        return upsample(self.segmenter(self.segmenter.normalize(images)).logits, images.shape[-2:])

    def step(self, batch):
        logits = self.logits(batch.source_images)
        yield Update("segmenter", {"seg": cross_entropy(logits, batch.source_labels)})
        yield Update("extra", {"fit": self.extra(torch.ones(1, 1)).square().sum()})

    def predict(self, images):
        return self.logits(images)

    def deployed(self):
        return self.segmenter

class Shared(Sound):
    def networks(self):
        return {**super().networks(), "again": [next(self.extra.parameters())]}

class Orphan(Sound):
    def networks(self):
        return {"segmenter": list(self.segmenter.parameters())}

class Idle(Sound):
    def step(self, batch):
        yield next(super().step(batch))

class Thief(Sound):
    def step(self, batch):
        for update in super().step(batch):
            yield Update(update.nets, {"more": Grab.apply(self, sum(update.losses.values()))})

class Grab(torch.autograd.Function):
    @staticmethod
    def forward(ctx, method, x):
        ctx.method = method
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        with torch.no_grad():
            ctx.method.extra.weight.add_(1)
        return None, grad

class Mover(Sound):
    def step(self, batch):
        for update in super().step(batch):
            yield update
            with torch.no_grad():
                self.extra.weight.mul_(0.5)

class Counter(Sound):
    def step(self, batch):
        self.count += 1
        for update in super().step(batch):
            yield Update(update.nets, {name: loss * self.count for name, loss in update.losses.items()})

class Summed(Sound):
    def step(self, batch):
        for update in super().step(batch):
            yield Update(update.nets, {k: v * len(batch.source_images) for k, v in update.losses.items()})

class Declared(Summed):
    why_splits_differ = "its loss is a sum over the images"

class Burst(Sound):
    def step(self, batch):
        for update in super().step(batch):
            yield Update(update.nets, {k: v / 0 for k, v in update.losses.items()})

class Masked(Sound):
    def predict(self, images):
        return -self.logits(images)
"""


@pytest.fixture
def examined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "methods.py").write_text(METHODS)

    def trained_alone(recipe: Recipe, steps: int, folder: Path) -> list[dict[str, Tensor]]:
        """Real processes have a test of their own; here one process stands for both."""
        method = toy_method(recipe)
        for step in range(steps):
            train_step(method, [toy_batch(recipe, step)], plain_optimizers(method))
        return [method.state_dict()] * 2

    monkeypatch.setattr("segshift.engine.doctor.questions.train_in_processes", trained_alone)

    def ask(name: str, method: dict[str, Any] | None = None) -> Examination:
        recipe = {"name": name, "method": method or {"name": f"{tmp_path / 'methods.py'}:{name}"}}
        (examination,) = examine(parse(Recipe, recipe, "recipe"))
        return examination

    return ask


def failed(examination: Examination) -> dict[str, str]:
    return {one.check: one.detail for one in examination.findings if one.verdict == "failed"}


def test_a_sound_method_is_healthy(examined: Any) -> None:
    examination = examined("Sound")
    assert examination.healthy, failed(examination)
    assert set(examination.schedules) == {("segmenter", "extra")}
    assert examination.to_dict()["healthy"] is True


def test_terms_with_frozen_copies_and_averages_are_healthy(examined: Any) -> None:
    terms = [{"term": "masked_consistency"}, {"term": "feature_distance", "classes": [0, 1]}]
    examination = examined("today", {"name": "align", "terms": [{"term": "mean_teacher"}, *terms]})
    assert examination.healthy, failed(examination)
    assert examined("distance", {"name": "align", "terms": terms[1:]}).healthy


@pytest.mark.parametrize(
    ("name", "check", "detail"),
    [
        ("Shared", "networks", "extra.weight is in extra and again"),
        ("Orphan", "networks", "in no network: extra.weight, extra.bias"),
        ("Idle", "training", "no gradient ever reached extra.weight, extra.bias"),
        ("Counter", "resume", "keep all that the method remembers in buffers"),
        ("Summed", "micro-batches", "not 2 micro-batches = 1 batch"),
        ("Burst", "updates", "seg"),
        ("Masked", "deployment", "predicts something else"),
    ],
)
def test_every_illness_is_found(examined: Any, name: str, check: str, detail: str) -> None:
    examination = examined(name)
    assert not examination.healthy
    assert detail in failed(examination)[check]


def test_a_declared_exception_is_no_illness(examined: Any) -> None:
    examination = examined("Declared")
    assert examination.healthy, failed(examination)
    (finding,) = [one for one in examination.findings if one.check == "micro-batches"]
    assert finding.verdict == "declared" and "a sum over the images" in finding.detail


def test_what_moves_outside_its_update_is_told(examined: Any) -> None:
    details = failed(examined("Thief"))
    assert "extra moved at the update of segmenter" in details["updates"]
    details = failed(examined("Mover"))
    assert "extra moved by hand before the update of extra" in details["updates"]
    assert "extra moved by hand after the last update" in details["updates"]


@pytest.mark.process
def test_two_real_processes_equal_one() -> None:
    recipe = {"name": "game", "method": {"terms": [{"term": "advent", "base_channels": 4}]}}
    (examination,) = examine(parse(Recipe, recipe, "recipe"))
    assert examination.healthy, failed(examination)
    assert "2 processes = 1" in {one.check: one.detail for one in examination.findings}["processes"]
    assert examination.schedules[0] == ("segmenter*", "segmenter", "advent")
