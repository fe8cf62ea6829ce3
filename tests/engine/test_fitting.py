"""What is said when memory runs out: its numbers fit, and the next larger ones do not."""

import mmap
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from segshift.engine import fitting
from segshift.engine.cost import measure_cost
from segshift.engine.doctor.toy import ToyData, toy_batch, toy_method, toy_recipe
from segshift.engine.fitting import too_large
from segshift.engine.memory import Peak, taken, there_is, watched
from segshift.engine.presets import load_recipe
from segshift.engine.step import StepSettings
from segshift.errors import InputError, is_out_of_memory
from segshift.methods import Batch, Method
from tests.engine.recipes import MEAN_TEACHER
from tests.engine.recipes import toy_recipe as small_recipe
from tests.engine.runs import run

CPU = torch.device("cpu")
TAKEN, PER_PIXEL = 10**8, 1000


class FakeMachine:
    """One on which a step takes so much per pixel, and more than `limit` cannot be had."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
        self.limit, self.peak = limit, 0
        monkeypatch.setattr(fitting, "taken", lambda _: TAKEN)
        monkeypatch.setattr(fitting, "there_is", lambda _: limit)
        monkeypatch.setattr(fitting, "watched", self.watched)
        monkeypatch.setattr(fitting, "train_step", self.step)

    def step(self, method: Method, batches: Sequence[Batch], *_: Any) -> None:
        self.peak = TAKEN + max(PER_PIXEL * batch.source_images[:, 0].numel() for batch in batches)
        if self.peak > self.limit:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    @contextmanager
    def watched(self, device: torch.device) -> Iterator[Peak]:
        peak = Peak()
        yield peak
        peak.bytes = self.peak

    def fits(self, images: int, width: int, height: int) -> bool:
        return TAKEN + PER_PIXEL * images * width * height <= self.limit


def batch(images: int, side: int) -> Batch:
    pixels = torch.zeros(images, 3, side, side)
    return Batch(pixels, pixels[:, 0].long(), pixels, 0, 0.0)


def message(batches: Sequence[Batch]) -> str:
    nothing: Mapping[str, Any] = {}
    return str(too_large(torch.nn.Module(), nothing, batches, StepSettings()))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "room"),
    [(count, room) for count in (2, 3, 4, 6, 7) for room in (1.2, 2.4, 3.5, 5.8) if room < count],
)
def test_the_advised_number_of_images_fits_and_divides(
    monkeypatch: pytest.MonkeyPatch, count: int, room: float
) -> None:
    machine = FakeMachine(monkeypatch, TAKEN + int(room * PER_PIXEL * 64 * 64))
    said = message([batch(count, 64)])
    found = re.search(r"(\d+) images? at once would fit: training.micro_batches: (\d+)", said)
    assert found, said
    images, parts = map(int, found.groups())
    assert machine.fits(images, 64, 64) and count % parts == 0 and machine.fits(count // parts, 64, 64)
    # A tenth of the room is left alone.
    assert not machine.fits(int((images + 1) / 0.9) + 1, 64, 64)
    assert f"training.batch_size: {images}" in said


def test_micro_batches_that_there_are_stay_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeMachine(monkeypatch, TAKEN + int(2.5 * PER_PIXEL * 64 * 64))
    said = message([batch(4, 64), batch(4, 64)])
    assert "training.batch_size 8, training.micro_batches 2" in said
    assert "training.micro_batches: 4 for the same batch" in said and "training.batch_size: 4" in said


@pytest.mark.parametrize("share", [0.1, 0.3, 0.7])
def test_where_one_image_is_too_large_the_advised_crop_fits(
    monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    machine = FakeMachine(monkeypatch, TAKEN + int(share * PER_PIXEL * 512 * 512))
    said = message([batch(2, 512)])
    found = re.search(r"crops of (\d+)x(\d+) would fit", said)
    assert found, said
    width, height = map(int, found.groups())
    assert machine.fits(1, width, height) and not machine.fits(1, width + 64, height + 64)
    assert f"source.augmentation.crop and target.augmentation.crop [{width}, {height}]" in said
    assert "training.micro_batches: 2" in said


def test_where_nothing_can_be_measured_the_settings_are_named_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fitting, "taken", lambda _: None)
    said = message([batch(4, 64)])
    assert "training.micro_batches to 4" in said and "augmentation.crop" in said and "bf16" in said


def test_a_run_without_memory_ends_with_the_advice(
    tmp_path: Path, toy_source: Path, toy_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr("segshift.engine.trainer.train_step", full)
    with pytest.raises(InputError, match=r"ran out on cpu in step 0, with 2 images of 40x32 px.*batch_size"):
        run(small_recipe(toy_source, toy_target, method=MEAN_TEACHER), tmp_path / "run")


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
            True,
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes."), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_of_memory_are_told_from_others(error: BaseException, is_it: bool) -> None:
    assert is_out_of_memory(error) == is_it


def test_a_large_tensor_is_seen_in_the_peak_and_what_is_taken_is_less_than_there_is() -> None:
    before, there = taken(CPU), there_is(CPU)
    if before is None or there is None:
        pytest.skip("this system does not say how much memory a process has")
    assert 0 < before < there
    with watched(CPU) as peak, mmap.mmap(-1, 200_000_000) as fresh:
        # Not a tensor's memory, which an earlier test may have left to the process.
        for page in range(0, len(fresh), mmap.PAGESIZE):
            fresh[page] = 1
    if peak.bytes is None:
        pytest.skip("this system does not let a process reset its peak")
    assert 190e6 < peak.bytes - before < 400e6


def test_a_measured_step_says_how_much_memory_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segshift.engine.cost._seconds_per_image", lambda *_: [0.01])
    recipe = toy_recipe(load_recipe("source_only"), tmp_path)
    method = toy_method(recipe)
    cost = measure_cost(recipe, method, ToyData(), [toy_batch(recipe, 0)], StepSettings(), tmp_path)  # type: ignore[arg-type]
    assert cost.parameters == sum(parameter.numel() for parameter in method.parameters())
    if cost.memory_bytes is not None:
        assert 0 < cost.memory_bytes < 8 * 2**30
