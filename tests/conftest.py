"""Fixtures that more than one test file uses."""

import importlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

# How long an example takes says how busy the machine is, not whether it is right.
settings.register_profile("any_machine", deadline=None)
settings.load_profile("any_machine")

_REQUIRED = os.environ.get("SEGSHIFT_BROWSER_TESTS") == "required"
_COMMANDS = ("chromium", "chromium-browser", "google-chrome")

if _REQUIRED:
    # Tests skip where this is missing, which `.ci/run` must notice.
    importlib.import_module("playwright.sync_api")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of an installed Chromium; without one the test skips, or fails where `.ci/run` requires it."""
    found = next(filter(None, map(shutil.which, _COMMANDS)), None)
    if found is None:
        message = f"needs one of {', '.join(_COMMANDS)} on the PATH"
        if _REQUIRED:
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    """A running Chromium that asks nothing of the network by itself."""
    playwright = pytest.importorskip("playwright.sync_api")
    arguments = [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ]  # fmt: skip
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


Open = Callable[..., Any]


@pytest.fixture
def opened(browser: Any) -> Iterator[Open]:
    """Opens a server's page; at the end it had no error, and nothing was asked of other addresses."""
    contexts, problems = [], []

    def open_page(address: str, width: int = 1280) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        own = (address.partition("#")[0], "data:", "blob:")
        page.on("request", lambda r: None if r.url.startswith(own) else problems.append(r.url))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


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


def write_toy_dataset(
    folder: Path, count: int = 6, size: tuple[int, int] = (48, 32), seed: int = 0, ignored_px: int = 2
) -> Path:
    """A learnable data set of three classes, told apart by color: train, val, and train without labels."""
    generator = np.random.default_rng(seed)
    colors = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200]], np.uint8)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            label = np.zeros((size[1], size[0]), np.uint8)
            label[size[1] // 2 :] = 1
            x, y = generator.integers(0, size[0] - 12), generator.integers(0, size[1] - 12)
            label[y : y + 12, x : x + 12] = 2
            noise = generator.integers(-30, 30, (*label.shape, 3))
            image = np.clip(colors[label].astype(int) + noise, 0, 255).astype(np.uint8)
            label[:ignored_px, :ignored_px] = 255
            Image.fromarray(image).save(folder / "images" / split / f"{index:03d}.png")
            Image.fromarray(label).save(folder / "labels" / split / f"{index:03d}.png")
    path = folder / "dataset.yaml"
    path.write_text(
        """
name: toy
root: .
splits:
  train: {images: "images/train/*.png", labels: "labels/train/{stem}.png"}
  val: {images: "images/val/*.png", labels: "labels/val/{stem}.png"}
  unlabelled: {images: "images/train/*.png"}
classes: [sky, ground, box]
labels: {kind: train_ids}
"""
    )
    return path


@pytest.fixture(scope="session")
def toy_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dataset.yaml of a small labelled data set."""
    return write_toy_dataset(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="session")
def toy_target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dataset.yaml of another one, of other size and content."""
    return write_toy_dataset(tmp_path_factory.mktemp("target"), size=(56, 40), seed=1)
