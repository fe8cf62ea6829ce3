"""A method is made ready to train: layout and arithmetic by the recipe, memory kept."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from segshift.engine.settling import keep_freed_memory, settle
from segshift.engine.training_config import TrainingConfig
from segshift.methods import Align
from segshift.methods.align import AlignConfig
from segshift.models import Segmenter
from segshift.models.matrix_convolutions import MatrixConvolution

CPU = torch.device("cpu")
# Four times 64 MiB, made anew every round; pages that the process asks the system for in the last rounds.
ROUNDS = """
import resource, sys, torch
from segshift.engine.settling import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for count in range(6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(2**24) for _ in range(4)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def method() -> Align:
    segmenter = Segmenter({"backbone": "segshift_tiny", "weights": "none"}, ["road", "sky"])
    return Align(AlignConfig(), segmenter, [])


def kinds(of: nn.Module) -> set[type[nn.Module]]:
    return {type(part) for part in of.modules() if isinstance(part, nn.Conv2d)}


@pytest.mark.parametrize(
    ("changes", "products"),
    [({}, True), ({"convolutions": "library"}, False), ({"precision": "bf16"}, False)],
)
def test_products_are_taken_where_they_may_be(changes: dict[str, str], products: bool) -> None:
    settled = settle(method(), TrainingConfig.model_validate(changes), CPU)
    assert (MatrixConvolution in kinds(settled)) == products


def test_the_layout_is_the_recipes() -> None:
    for channels_last in (True, False):
        settled = settle(method(), TrainingConfig(channels_last=channels_last), CPU)
        weight = next(part.weight for part in settled.modules() if isinstance(part, nn.Conv2d))
        assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last


@pytest.mark.skipif(not keep_freed_memory(), reason="the C library is not glibc")
def test_freed_memory_is_kept_for_what_comes_next() -> None:
    pages = {}
    for what in ("keep", "leave"):
        done = subprocess.run([sys.executable, "-c", ROUNDS, what], stdout=subprocess.PIPE, check=True)
        pages[what] = int(done.stdout)
    assert pages["keep"] < pages["leave"] / 4
