"""Fixtures that more than one test file uses."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def camvid_root() -> Path:
    """The folder of the real CamVid images (480x360, 11 classes)."""
    root = SHARED / "data" / "camvid"
    if not root.is_dir():
        pytest.skip("needs the CamVid images in ../shared/data/camvid, which users do not have")
    return root


@pytest.fixture(scope="session")
def goldens_root() -> Path:
    """The folder of the reference losses' inputs and outputs."""
    root = SHARED / "goldens"
    if not root.is_dir():
        pytest.skip("needs the reference values in ../shared/goldens, which users do not have")
    return root
