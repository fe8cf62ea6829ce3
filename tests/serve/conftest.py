"""A folder of uploads and two small networks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segshift.data.labels import ClassSet
from segshift.models import Segmenter
from segshift.models.segmenter_config import SegmenterConfig
from segshift.serve.answers import Answers
from segshift.serve.limits import Limits
from segshift.serve.seeing import Viewer

CLASSES = ("sky", "<b>ground</b>", "box")


def small_network(seed: int) -> Segmenter:
    torch.manual_seed(seed)
    config = SegmenterConfig(backbone="segshift_tiny", weights="none", output_stride=8)
    return Segmenter(config, ClassSet("toy", CLASSES, ((70, 130, 180), (200, 0, 0), (0, 200, 0)))).eval()


@pytest.fixture(scope="session")
def networks() -> dict[str, Segmenter]:
    return {"source only": small_network(0), "adapted": small_network(1)}


@pytest.fixture
def answers(networks: dict[str, Segmenter], tmp_path: Path) -> Answers:
    folder = tmp_path / "uploads"
    folder.mkdir()
    return Answers(Viewer(networks, folder, limits=Limits(megapixels=1, files=3, frames=4)))


Upload = Callable[..., str]


@pytest.fixture
def upload(answers: Answers) -> Upload:
    """Puts an image, or bytes, where uploads lie; gives its path."""

    def put(name: str = "photo.png", content: bytes | None = None, size: tuple[int, int] = (48, 32)) -> str:
        folder = answers.viewer.folder / f"{len(list(answers.viewer.folder.iterdir())):08x}"
        folder.mkdir()
        if content is None:
            blocks = np.random.default_rng(0).integers(0, 256, (size[1] // 16, size[0] // 16, 3), np.uint8)
            pixels = blocks.repeat(16, 0).repeat(16, 1)
            Image.fromarray(pixels).save(folder / name, format="PNG")
        else:
            (folder / name).write_bytes(content)
        return str(folder / name)

    return put
