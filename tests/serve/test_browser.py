"""The page in a real browser, and the API through its client: what people do, and what must not happen."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segshift.models import Segmenter
from segshift.serve.limits import Limits
from tests.conftest import Open
from tests.serve.conftest import CLASSES

pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install segshift[dev])")
gradio_client = pytest.importorskip("gradio_client", reason="needs Gradio (pip install segshift[serve])")

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture(scope="module")
def address(networks: dict[str, Segmenter]) -> Iterator[str]:
    from segshift.serve.server import Service, serving

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    service = Service(port=port, limits=Limits(upload_mb=1, megapixels=1), examples=())
    with serving(networks, service) as running:
        yield running.address
        folder = running.folder
    assert not folder.exists()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def opened_page(opened: Open, address: str) -> Open:
    """Opens the page and waits until photos can be given."""

    def open_page(width: int = 1280) -> Any:
        page = opened(address, width)
        page.locator("#photo input[type=file]").first.wait_for(state="attached")
        return page

    return open_page


def upload(page: Any, file: Path) -> None:
    page.locator("#photo input[type=file]").first.set_input_files(file)


def test_upload_slider_pixel_entropy_and_files(
    opened_page: Open, photo: Path, networks: dict[str, Segmenter]
) -> None:
    page = opened_page()
    upload(page, photo)
    page.locator("#legend table").nth(1).wait_for()
    assert page.locator("#legend caption").all_inner_texts() == ["source only", "adapted"]
    handle = page.locator("#compare .inner")
    before = handle.bounding_box()
    page.mouse.move(before["x"] + before["width"] / 2, before["y"] + before["height"] / 2)
    page.mouse.down()
    page.mouse.move(before["x"] + 150, before["y"] + before["height"] / 2, steps=5)
    page.mouse.up()
    assert handle.bounding_box()["x"] > before["x"] + 100
    page.get_by_role("tab", name="Pixel").click()
    picture = page.locator("#point img")
    box = picture.bounding_box()
    picture.click(position={"x": box["width"] * 0.75, "y": box["height"] * 0.25})
    page.locator("#pixel table").wait_for()
    said = page.locator("#pixel p").inner_text()
    x, y = map(int, said.partition("(")[2].partition(")")[0].split(", "))
    assert abs(x - 108) <= 2 and abs(y - 24) <= 2 and said.endswith("of 144 x 96")
    own = networks["adapted"].predict(photo, probabilities=True).probabilities[:, y, x]
    row = page.locator("#pixel tbody tr", has_text="sky").inner_text()
    assert f"{100 * own[0]:.1f} %" in row
    page.get_by_role("tab", name="Entropy").click()
    page.locator("#entropy-1 img").wait_for()
    page.get_by_role("tab", name="Download").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="KB").or_(page.locator("a[download]")).first.click()
    assert download.value.suggested_filename == "photo_source_only_label.png"
    label = np.asarray(Image.open(download.value.path()))
    np.testing.assert_array_equal(label, networks["source only"].predict(photo))


def test_a_wrong_file_is_one_line_and_the_next_works(opened_page: Open, photo: Path) -> None:
    page = opened_page()
    wrong = photo.with_name("wrong.png")
    wrong.write_bytes(photo.read_bytes()[:200])
    upload(page, wrong)
    page.locator("#status .problem").wait_for()
    said = page.locator("#status").inner_text()
    assert said.startswith("wrong.png: truncated or broken") and "\n" not in said.strip() and "/" not in said
    page.locator("#photo").get_by_role("button", name="Clear").or_(
        page.locator("#photo button[aria-label='Remove Image']")
    ).first.click()
    upload(page, photo)
    page.locator("#legend table").first.wait_for()
    assert page.locator("#status .problem").count() == 0


def test_nothing_is_cut_off_on_a_phone(opened_page: Open, photo: Path) -> None:
    page = opened_page(390)
    upload(page, photo)
    page.locator("#legend table").first.wait_for()
    for tab in ("Pixel", "Entropy", "Download", "Batch", "Video"):
        page.get_by_role("tab", name=tab).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, tab


def test_the_api_answers_and_refuses_in_one_line(
    address: str, photo: Path, networks: dict[str, Segmenter], tmp_path: Path
) -> None:
    client = gradio_client.Client(address, verbose=False, download_files=str(tmp_path / "got"))
    assert client.predict(api_name="/models")["models"]["adapted"]["classes"] == list(CLASSES)
    file = gradio_client.handle_file(str(photo))
    label, overlay, shares = client.predict(file, "adapted", 0.5, api_name="/predict")
    np.testing.assert_array_equal(np.asarray(Image.open(label)), networks["adapted"].predict(photo))
    assert Image.open(overlay).size == (144, 96) and sum(map(float, shares.values())) == pytest.approx(1)
    archive, left_out = client.predict([file, file], "adapted", api_name="/batch")
    assert Path(archive).suffix == ".zip" and left_out == []
    for arguments, said in (
        (("gone", 0.5), "model 'gone': is not served"),
        (("adapted", 2), "opacity"),
        (("adapted", "x"), "opacity"),
    ):
        with pytest.raises(Exception, match=said):
            client.predict(file, *arguments, api_name="/predict")
    with pytest.raises(Exception, match="lies outside the image of 144 x 96"):
        client.predict(file, 144, 0, "adapted", api_name="/pixel")
    with pytest.raises(Exception):  # noqa: B017 - the client's own error, of the guard's refusal
        client.predict({"path": "http://127.0.0.1:1/a.png", **_KIND}, "adapted", 0.5, api_name="/predict")


_KIND = {"meta": {"_type": "gradio.FileData"}}
