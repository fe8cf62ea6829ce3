"""The benchmark of pseudo labels: a crop around a crop, and a network that sees only where a pixel stands."""

from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.benchmarks.scripts import imported


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with imported("pseudo_labels") as module:
        yield module


@pytest.mark.parametrize(
    ("inner", "outer"), [((4, 6), (2, 4)), ((0, 0), (0, 0)), ((8, 12), (4, 8)), ((1, 11), (0, 8))]
)
def test_a_larger_crop_is_centered_on_the_smaller_one_inside_the_image(
    script: ModuleType, inner: tuple[int, int], outer: tuple[int, int]
) -> None:
    assert script.around(inner, (4, 4), (8, 8), (12, 16)) == outer


class _ByRow(nn.Module):
    """Says the row of the image it is shown: right of the whole image alone."""

    class_names = tuple("abcdefgh")

    def normalize(self, images: Tensor) -> Tensor:
        return images

    def forward(self, images: Tensor) -> Any:
        rows = torch.arange(images.shape[-2])[:, None].expand(images.shape[-2:])
        logits = nn.functional.one_hot(rows, len(self.class_names)).permute(2, 0, 1).float()
        return SimpleNamespace(logits=logits.expand(len(images), -1, -1, -1))


class _Rows(list[Any]):
    """Eight images of 8x8 px whose label is the row."""

    def __init__(self) -> None:
        label = torch.arange(8, dtype=torch.uint8)[:, None].expand(8, 8)
        super().__init__(
            SimpleNamespace(image=torch.zeros(3, 8, 8, dtype=torch.uint8), label=label) for _ in range(8)
        )


def test_the_same_pixels_are_judged_however_much_was_seen(script: ModuleType) -> None:
    torch.manual_seed(1)
    found = script.measure(_ByRow(), _Rows(), [(4, 4), (4, 8)], every=1)
    assert list(found) == [
        f"{seen} | {norm}" for norm in ("averages", "batch") for seen in ("4x4", "4x8", "whole")
    ]
    for how, counts in found.items():
        assert int(counts.sum()) == 8 * 16, how
        right = int(counts.diag().sum())
        # A crop as high as the image knows the rows as the whole image does; a low one does not.
        assert right == 8 * 16 if "4x4" not in how else right < 8 * 16, how
    assert torch.equal(found["4x4 | averages"].sum(dim=1), found["whole | averages"].sum(dim=1))
