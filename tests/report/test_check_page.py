"""The page of `data check`: what it says is what the files hold, and nothing comes from outside."""

import base64
import io
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segshift.data.check import CheckReport, check
from segshift.data.check_sample import MAP_SIZE
from segshift.report.check_page import THUMBNAIL_PX, heat_map, render, write_check_page
from tests.data.files import dataset, description, pixels, save, truncated, write_yaml

WIDTH, HEIGHT = 64, 48
NAMES = ["floor", "rack", "person", "forklift"]


def label(index: int) -> NDArray[np.uint8]:
    """Rack above, floor below, a person at the left of every second label, a strip of 255."""
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    ids[:24] = 1
    if index % 2:
        ids[24:36, :8] = 2
    ids[:4, 60:] = 255
    return ids


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    """YAML of four labelled training images, two for validation, three without labels."""
    for split, count in (("train", 4), ("val", 2)):
        for index in range(count):
            save(tmp_path / f"rgb/{split}/{index}.png", pixels(index + count, WIDTH, HEIGHT))
            save(tmp_path / f"mask/{split}/{index}.png", label(index))
    for index in range(3):
        save(tmp_path / f"rgb/night/{index}.png", pixels(index, 2 * WIDTH, HEIGHT))
    splits = {name: {"images": f"rgb/{name}/*.png"} for name in ("train", "val", "night")}
    for name in ("train", "val"):
        splits[name]["labels"] = f"mask/{name}/{{stem}}.png"
    return write_yaml(tmp_path / "warehouse.yaml", description(splits=splits, classes=NAMES))


class Page(HTMLParser):
    """Text of the tags of interest, and all addresses."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.scripts = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.addresses += [value or "" for key, value in attrs if key in ("src", "href")]


def section(html: str, name: str) -> str:
    found = re.search(rf'<section id="{name}">(.*?)</section>', html, re.DOTALL)
    assert found is not None, f"no section {name}"
    return found[1]


def texts(fragment: str) -> list[str]:
    """The pieces of text between the tags."""
    return [text for text in (unescape(one).strip() for one in re.split(r"<[^>]*>", fragment)) if text]


def pictures(fragment: str, kind: str) -> list[Image.Image]:
    found = re.findall(rf'src="data:image/{kind};base64,([^"]+)"', fragment)
    return [Image.open(io.BytesIO(base64.b64decode(one))) for one in found]


def report_of(yaml: Path) -> CheckReport:
    return check(str(yaml), maps=True)


def test_the_page_is_one_file_without_script_or_network(warehouse: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "check.html"
    write_check_page(out, report_of(warehouse))
    html = out.read_text(encoding="utf-8")
    page = Page(html)
    assert page.scripts == 0 and "@import" not in html and "url(" not in html
    assert page.addresses and all(one.startswith(("data:image/", "#")) for one in page.addresses)
    anchors = {one[1:] for one in page.addresses if one.startswith("#")}
    assert anchors <= set(re.findall(r'id="([^"]+)"', html))
    assert "prefers-color-scheme: dark" in html and "@media print" in html and "width=device-width" in html


def test_errors_come_first_with_file_reason_and_remedy(warehouse: Path) -> None:
    folder = warehouse.parent
    stray = label(0)
    stray[:2, :3] = 77
    save(folder / "mask/train/0.png", stray)
    truncated(folder / "rgb/val/1.png")
    (folder / "mask/train/2.png").unlink()
    html = render(report_of(warehouse))
    items = re.findall(r'<li class="(error|warning)">(.*?)</li>', section(html, "problems"), re.DOTALL)
    assert [kind for kind, _ in items] == ["error"] * 2 + ["warning"] * (len(items) - 2)
    by_kind = [texts(item) for _, item in items]
    missing = next(item for item in by_kind if str(folder / "rgb/train/2.png") in item)
    assert missing[:2] == ["error", "train"]
    assert missing[3].startswith("has no label, expected") and missing[4] == "→ add it or remove the image"
    broken = next(item for item in by_kind if str(folder / "rgb/val/1.png") in item)
    assert broken[:2] == ["error", "val"] and "truncated" in broken[3] and broken[4].startswith("→")
    assert any("id 77" in " ".join(item) and "labels.map" in item for item in by_kind[2:])
    assert "2 errors and 3 warnings" in html
    share = 6 / (3 * WIDTH * HEIGHT)
    assert texts(section(html, "unmapped"))[4:7] == ["id 77", "train", f"{100 * share:.2f} %"]


def test_a_sound_set_says_so(tmp_path: Path) -> None:
    html = render(report_of(dataset(tmp_path)))
    assert "No problems found. 5 images in 2 splits." in html and 'id="problems"' not in html


def test_many_problems_are_cut_off_with_their_number(warehouse: Path) -> None:
    for index in range(205):
        save(warehouse.parent / f"rgb/train/x{index:03}.png", pixels(0, 4, 4))
    html = render(report_of(warehouse))
    assert len(re.findall('<li class="error">', html)) == 200
    # Beside the 205 images without label, all one picture, each of two splits lacks the forklift.
    assert "And 8 more" in html


def test_shares_of_pixels_and_of_images(warehouse: Path) -> None:
    html = render(report_of(warehouse))
    cards = section(html, "classes").split('<div class="card">')[1:]
    assert [texts(card)[0] for card in cards] == ["train", "val"]
    rows = re.findall(r"<tr[^>]*>(<th scope=\"row\">.*?)</tr>", cards[0], re.DOTALL)
    labels = np.stack([label(index) for index in range(4)])
    valid = labels[labels != 255]
    for index, row in enumerate(rows):
        pixels_share = 100 * float((valid == index).mean())
        images_share = 100 * float((labels == index).any(axis=(1, 2)).mean())
        assert texts(row) == [NAMES[index], f"{pixels_share:.2f} %", f"{images_share:.0f} %"]
    widths = [[float(one) for one in re.findall(r"width:([\d.]+)%", row)] for row in rows]
    largest = max((valid == index).mean() for index in range(4))
    assert widths[2] == pytest.approx([100 * (valid == 2).mean() / largest, 50], abs=0.06)
    assert 'class="absent"' in cards[0] and texts(rows[3]) == ["forklift", "0.00 %", "0 %"]


def test_sizes_and_counts_of_the_splits(warehouse: Path) -> None:
    html = render(report_of(warehouse))
    ignored = f"{100 * 16 / (WIDTH * HEIGHT):.2f} %"
    assert texts(section(html, "splits"))[6:] == [
        "night", "3", "–", "–", "128 × 48",
        "train", "4", "4", ignored, "64 × 48", "val", "2", "2", ignored, "64 × 48",
    ]  # fmt: skip
    assert texts(section(html, "sizes"))[1:4] == ["night", "128 × 48", "3"]


def test_the_maps_say_where_a_class_lies(warehouse: Path) -> None:
    train = report_of(warehouse).splits[1]
    assert train.maps is not None and train.maps.shape == (4, *MAP_SIZE[::-1])
    labels = np.stack([label(index) for index in range(4)])
    cell = (HEIGHT // MAP_SIZE[1], WIDTH // MAP_SIZE[0])
    for index in range(4):
        blocks = (labels == index).reshape(4, MAP_SIZE[1], cell[0], MAP_SIZE[0], cell[1])
        np.testing.assert_allclose(train.maps[index], blocks.mean(axis=(0, 2, 4)))
    html = render(report_of(warehouse))
    first = section(html, "where").split("<details")[1]
    found = pictures(first, "png")
    assert len(found) == 3, "a class without pixels has no map"
    person = np.asarray(found[2])
    assert (person[12:18, :4] == person.max()).all() and (person[:12] == 0).all()
    assert "50 %" in texts(first)
    assert check(str(warehouse)).splits[1].maps is None


def test_the_heat_map_goes_from_dark_to_bright() -> None:
    picture = heat_map(np.array([[0.0, 0.1], [0.2, 0.4]]))
    brightness = np.asarray(picture.convert("L")).astype(int).ravel()
    assert (np.diff(brightness) > 0).all() and brightness[0] < 40 and brightness[-1] > 200
    assert np.asarray(heat_map(np.zeros((2, 2)))).max() == 0


def test_the_contact_sheet_has_overlays_in_the_classes_colors(tmp_path: Path) -> None:
    grey = np.full((HEIGHT, 2 * THUMBNAIL_PX, 3), 100, np.uint8)
    save(tmp_path / "a.png", grey)
    save(tmp_path / "a_id.png", np.ones((HEIGHT, 2 * THUMBNAIL_PX), np.uint8))
    save(tmp_path / "b.png", grey)
    save(tmp_path / "b_id.png", np.ones((HEIGHT, 50), np.uint8))
    rule = {"images": "[ab].png", "labels": "{stem}_id.png"}
    yaml = write_yaml(
        tmp_path / "d.yaml",
        description(splits={"train": rule}, classes=["x", "y"], palette=[[0, 0, 0], [250, 40, 40]]),
    )
    sheet = section(render(report_of(yaml)), "sheet")
    image, overlay, other = pictures(sheet, "jpeg")
    assert image.size == overlay.size == other.size == (THUMBNAIL_PX, HEIGHT // 2)
    assert np.asarray(image).reshape(-1, 3).mean(0) == pytest.approx([100, 100, 100], abs=3)
    # 60 % of the class's color, 40 % of the image.
    assert np.asarray(overlay).reshape(-1, 3).mean(0) == pytest.approx([190, 64, 64], abs=4)
    assert "the label has another size" in texts(sheet)


def test_names_from_outside_are_escaped(tmp_path: Path) -> None:
    yaml = dataset(tmp_path, classes=["<script>alert(1)</script>", "b", "c"])
    truncated(tmp_path / "rgb/train/000.png")
    html = render(report_of(yaml))
    assert Page(html).scripts == 0 and "&lt;script&gt;" in html


def test_a_set_without_any_file_still_has_a_page(tmp_path: Path) -> None:
    yaml = dataset(tmp_path, train=0, val=0)
    html = render(report_of(yaml))
    assert "2 errors" in html and "No sample could be read" in html and 'id="classes"' not in html


def test_camvids_page_is_small_and_has_its_published_shares(camvid_root: Path, tmp_path: Path) -> None:
    out = tmp_path / "check.html"
    report = check(f"camvid:{camvid_root}:dusk_test", maps=True)
    write_check_page(out, report)
    assert out.stat().st_size < 3_000_000
    rows = dict(
        re.findall(r"</span>([a-z ]+)</span></th><td>([\d.]+) %", section(out.read_text(), "classes"))
    )
    # The copy's README gives shares of all pixels, void among them.
    for name, percent in {"sky": 21.368, "road": 15.951, "car": 10.954, "bicyclist": 0.5}.items():
        assert float(rows[name]) == pytest.approx(percent / (1 - 0.0687), abs=0.006)
