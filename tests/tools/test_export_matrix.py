"""A few cheap cells of the matrix of networks and export formats; the whole is in docs/export.md."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tools.export_matrix import Cell, export_cell

from segshift.export.settings import Format


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype=np.uint8)
    for name, size in (("a", (150, 90)), ("b", (90, 70))):
        Image.fromarray(noise).resize(size).save(folder / f"{name}.png")
    return str(folder)


@pytest.mark.parametrize(
    ("network", "chosen"),
    [
        ("HRDA around segshift_tiny", "torchscript"),
        ("own module", "torchscript"),
        ("own module", "torch-export"),
        ("transformers Segformer", "safetensors"),
    ],
)
def test_cells(network: str, chosen: Format, photos: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSHIFT_TRUST_CODE", "1")
    cell = export_cell(network, chosen, photos)
    assert cell.refusal is None and cell.agreement is not None
    assert cell.agreement.sizes == 5 and cell.agreement.pixels > 0.9999
    assert cell.agreement.difference < 1e-4 * cell.agreement.largest
    assert cell.row().startswith(f"| {network} | {chosen} | 100.000 | ")


def test_a_refusal_is_a_row(photos: str) -> None:
    cell = export_cell("own module", "torchscript", f"{photos}/gone")
    assert cell.agreement is None and cell.row().startswith("| own module | torchscript | refused | |")
    assert isinstance(cell, Cell) and "gone" in cell.row()
