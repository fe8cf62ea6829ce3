"""The streams of images that a recipe asks for: subsets, mixtures, sampling by class, ranks and resume."""

import io
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor

from segshift.engine.datasets import resolve_domains
from segshift.engine.feed import TrainingData
from segshift.engine.processes import Processes
from segshift.engine.run import run_recipe
from segshift.errors import InputError
from segshift.methods import Batch
from segshift.terminal import TerminalProgress
from tests.engine.recipes import toy_recipe

RARE = {"kind": "rare_class", "temperature": 0.1, "min_pixels": 20}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSHIFT_CACHE", str(tmp_path / "cache"))


def training_data(source: Path, target: Path, /, **changes: Any) -> TrainingData:
    recipe = toy_recipe(source, target, **changes)
    return TrainingData(recipe, resolve_domains(recipe))


def mixed(other: Path, **more: Any) -> dict[str, Any]:
    return {"also": [{"dataset": str(other), "split": "train", "weight": 0.5}], **more}


def sources(data: TrainingData, rank: int = 0, processes: int = 1, start: int = 0) -> list[Tensor]:
    place = Processes(rank, processes, torch.device("cpu"))
    return [step[0].source_images for step in data.steps(place, start, uses_target=False)]


@pytest.mark.parametrize("kind", ["uniform", "rare_class", "class_balanced"])
def test_ranks_and_resume_with_a_mixture(toy_source: Path, toy_target: Path, kind: str) -> None:
    sampling = RARE | {"kind": kind}
    data = training_data(toy_source, toy_target, source=mixed(toy_target, sampling=sampling))
    alone = sources(data)
    halves = [sources(data, rank, 2) for rank in (0, 1)]
    for whole, first, second in zip(alone, *halves, strict=True):
        assert torch.equal(whole, torch.cat([first, second]))
    again = training_data(toy_source, toy_target, source=mixed(toy_target, sampling=sampling))
    for straight, resumed in zip(alone[3:], sources(again, start=3), strict=True):
        assert torch.equal(straight, resumed)


def test_weights_of_a_mixture(toy_source: Path, toy_target: Path) -> None:
    data = training_data(toy_source, toy_target, source=mixed(toy_target))
    loader = data._loader("source", data.source, Processes(0, 1, torch.device("cpu")), 0, 1)
    indices = torch.cat([one.indices for one in islice(loader, 6)])
    assert ((indices < 6).sum().item(), len(indices)) == (8, 12)
    described = "toy train (6 images) + toy train (6 images); mixed 66.7% toy, 33.3% toy"
    assert data.describe("source") == described


def test_subsets_of_every_stream(toy_source: Path, toy_target: Path) -> None:
    further = {"dataset": str(toy_target), "subset": {"first": 4}}
    data = training_data(
        toy_source,
        toy_target,
        source={"subset": {"fraction": 0.5}, "also": [further]},
        target={"subset": {"first": 5}},
        target_labelled={"dataset": str(toy_target), "subset": {"fraction": 0.3, "seed": 2}},
    )
    assert data.target is not None
    assert [len(part) for part in data.source.parts] == [3, 4]
    assert (len(data.target), len(data.labelled["target_labelled"])) == (5, 2)
    # Which part was taken stands with its data set, not after all of them.
    source = "toy train (3 of 6 images, drawn with seed 0) + toy train (the first 4 of 6 images)"
    assert str(data.describe("source")).startswith(f"{source}; mixed")
    assert data.describe("target") == "toy train (the first 5 of 6 images)"
    assert data.describe("target_labelled") == "toy train (2 of 6 images, drawn with seed 2)"
    chosen = data.labelled["target_labelled"].parts[0].split.samples
    again = training_data(
        toy_source,
        toy_target,
        target_labelled={"dataset": str(toy_target), "subset": {"fraction": 0.3, "seed": 2}},
    )
    assert again.labelled["target_labelled"].parts[0].split.samples == chosen
    [batch] = next(iter(data.steps(Processes(0, 1, torch.device("cpu")), 0, uses_target=True)))
    assert [(one.name, len(one.images)) for one in batch.labelled] == [("target_labelled", 2)]


def test_an_ignored_border_reaches_the_step(toy_source: Path, toy_target: Path) -> None:
    """As a map beside the target's images, of every part of a mixture; elsewhere as ignored labels."""

    def first(**changes: Any) -> Batch:
        data = training_data(toy_source, toy_target, **changes)
        return next(iter(data.steps(Processes(0, 1, torch.device("cpu")), 0, uses_target=True)))[0]

    whole = {"augmentation": {"scale": None, "crop": None, "blur": None, "color_jitter": None}}
    plain = first(source=whole, target=whole)
    assert plain.target_valid is None
    bordered = first(
        target={**whole, "ignored_border": {"top": 3}}, source={**whole, "ignored_border": {"bottom": 2}}
    )
    assert torch.equal(bordered.target_images, plain.target_images)
    valid = torch.ones_like(plain.target_images[:, 0], dtype=torch.bool)
    valid[:, :3] = False
    assert bordered.target_valid is not None and torch.equal(bordered.target_valid, valid)
    assert torch.equal(bordered.source_labels[:, :-2], plain.source_labels[:, :-2])
    assert (bordered.source_labels[:, -2:] == 255).all()
    parts = [bordered.part(k, 2).target_valid for k in range(2)]
    assert torch.equal(torch.cat([one for one in parts if one is not None]), valid)
    # One part with a border is enough for a map of all.
    further = {"dataset": str(toy_source), "ignored_border": {"top": 3}}
    mixture = first(target={"also": [further]})
    assert mixture.target_valid is not None
    assert mixture.target_valid.shape == mixture.target_images[:, 0].shape


def test_an_oracle_takes_the_targets_mixture(toy_source: Path, toy_target: Path) -> None:
    target = {"also": [{"dataset": str(toy_source), "weight": 3.0, "subset": {"first": 2}}]}
    data = training_data(toy_source, toy_target, target=target, oracle=True)
    assert [len(part) for part in data.source.parts] == [6, 2]
    assert "mixed 25.0% toy, 75.0% toy" in str(data.describe("source"))


def test_sampling_by_class_needs_labels_that_may_be_opened(toy_source: Path, toy_target: Path) -> None:
    with pytest.raises(InputError, match=r"`target`.*never opened"):
        toy_recipe(toy_source, toy_target, target={"sampling": RARE})


def test_results_say_how_images_were_drawn(tmp_path: Path, toy_source: Path, toy_target: Path) -> None:
    recipe = toy_recipe(toy_source, toy_target, source={"sampling": RARE}, training={"steps": 1})
    said = io.StringIO()
    run_recipe(recipe, tmp_path / "run", TerminalProgress(Console(file=said, width=200)))
    assert "counting the classes of toy:train (6 labels), once" in said.getvalue()
    text = (tmp_path / "run/results.json").read_text()
    assert "rare_class sampling (T = 0.1, at least 20 px; share of pixels: " in text
