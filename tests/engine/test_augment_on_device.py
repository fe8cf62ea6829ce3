"""Augmentation on the device gives what loader processes give; on CUDA the next step is made ahead."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from segshift.engine.ahead import ahead, tensors_of
from segshift.engine.datasets import resolve_domains
from segshift.engine.feed import TrainingData
from segshift.engine.processes import Processes
from segshift.errors import InputError
from segshift.methods import Batch, LabelledImages
from tests.engine.recipes import toy_recipe

EVERYTHING = {
    "augmentation": {
        "scale": [0.7, 1.6],
        "crop": [40, 32],
        "flip": True,
        "color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
        "blur": {"probability": 0.5},
    },
    "ignored_border": {"top": 3},
}
RARE = {"kind": "rare_class", "temperature": 0.1, "min_pixels": 20}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSHIFT_CACHE", str(tmp_path / "cache"))


def batches(source: Path, target: Path, device: str = "cpu", **training: Any) -> list[Batch]:
    mixture = {"also": [{"dataset": str(target), "split": "train", "weight": 0.5}], "sampling": RARE}
    changes = {"source": {**EVERYTHING, **mixture}, "target": EVERYTHING}
    recipe = toy_recipe(source, target, **changes, training=training)
    steps = TrainingData(recipe, resolve_domains(recipe)).steps(
        Processes(0, 1, torch.device(device)), 0, uses_target=True
    )
    return [micro_batches[0] for micro_batches in steps]


def tensors(of: Batch) -> list[Tensor]:
    return list(tensors_of([of]))


@pytest.mark.parametrize("workers", [0, 1])
def test_values_are_those_of_loader_processes(toy_source: Path, toy_target: Path, workers: int) -> None:
    loaded = batches(toy_source, toy_target, workers=0)
    deferred = batches(toy_source, toy_target, workers=workers, augment_on="device")
    assert len(loaded) == len(deferred) > 1
    for one, other in zip(loaded, deferred, strict=True):
        assert one.target_valid is not None
        assert all(torch.equal(a, b) for a, b in zip(tensors(one), tensors(other), strict=True))


def test_files_are_read_before_the_device_sees_them(toy_source: Path, toy_target: Path) -> None:
    """Samples of two sizes may travel together; a batch of two sizes is still refused."""
    odd = {"augmentation": {"scale": [0.5, 2.0], "crop": None}}
    recipe = toy_recipe(
        toy_source, toy_target, source=odd, target=odd, training={"augment_on": "device", "workers": 0}
    )
    steps = TrainingData(recipe, resolve_domains(recipe)).steps(Processes.alone("cpu"), 0, uses_target=False)
    with pytest.raises(InputError, match="the images of a batch differ in size"):
        list(steps)


def test_a_cpu_takes_nothing_ahead() -> None:
    taken = []

    def steps() -> Iterator[list[Batch]]:
        for step in range(3):
            taken.append(step)
            yield []

    prepared = ahead(steps(), torch.device("cpu"))
    next(prepared)
    assert taken == [0]


def test_every_tensor_of_a_batch_is_known() -> None:
    made = [torch.full((1, 3, 2, 2), number) for number in range(6)]
    batch = Batch(
        *made[:3], 0, 0.0, labelled=(LabelledImages("more", made[3], made[4]),), target_valid=made[5]
    )
    assert sorted(int(tensor[0, 0, 0, 0]) for tensor in tensors_of([batch])) == list(range(6))
    known = {"source_images", "source_labels", "target_images", "labelled", "target_valid"}
    plain = {"step", "progress", "last_micro_batch"}
    assert {field.name for field in fields(Batch)} == known | plain


@pytest.mark.gpu
def test_a_gpu_sees_what_a_cpu_sees_but_for_rounding(toy_source: Path, toy_target: Path) -> None:
    loaded = batches(toy_source, toy_target, workers=0)
    deferred = batches(toy_source, toy_target, "cuda", workers=1, augment_on="device")
    for one, other in zip(loaded, deferred, strict=True):
        assert torch.equal(one.source_labels, other.source_labels.cpu())
        difference = (one.source_images - other.source_images.cpu()).abs()
        # One of 255 levels of resizing, which jitter and blur may enlarge.
        assert difference.max() <= 4 / 255 and difference.mean() <= 0.5 / 255
