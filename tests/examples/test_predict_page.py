"""The Python of docs/predict.md runs as it stands."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.models.networks import tiny

PAGE = Path(__file__).parents[2] / "docs" / "predict.md"


def test_the_pages_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny(input_size=(48, 32)).save(tmp_path / "runs" / "streets" / "model.safetensors")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)).save("photo.jpg")
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), {})
