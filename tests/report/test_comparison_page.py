"""The comparison page, read back with an HTML parser: what it shows, and that it needs nothing else."""

import base64
import io
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segshift.errors import InputError
from segshift.report.comparison_page import (
    ArmRow,
    ComparisonPage,
    PictureRow,
    percent,
    render,
    signed,
    write_comparison_page,
)

NAN = math.nan
COLORS = ((70, 130, 180), (128, 64, 128), (220, 20, 60))


class Page(HTMLParser):
    """Table rows by section, images, addresses and the text of the page."""

    VOID = frozenset({"meta", "img", "br", "link", "input", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: dict[str, list[tuple[dict[str, str], list[str]]]] = {}
        self.images: list[dict[str, str]] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.section = ""
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.addresses += [
            values[name] for name in ("src", "href", "srcset", "data", "action") if name in values
        ]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = values["id"]
        elif tag == "tr" and "tbody" in self.open:
            self.rows.setdefault(self.section, []).append((values, []))
        elif tag in ("td", "th") and "tbody" in self.open:
            self.rows[self.section][-1][1].append("")
        elif tag == "img":
            self.images.append(values)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text += data
        if "tbody" in self.open and ("td" in self.open or "th" in self.open):
            self.rows[self.section][-1][1][-1] += data

    def cells(self, section: str) -> list[list[str]]:
        return [[" ".join(cell.split()) for cell in cells] for _, cells in self.rows[section]]


def arm(name: str, mean: float, **changes: object) -> ArmRow:
    row = ArmRow(
        name=name,
        label=name,
        miou_mean=mean,
        miou_spread=0.012,
        gain=None,
        gap_share=None,
        class_iou=(mean, mean, NAN),
        steps=2000,
        source_images_per_step=4,
        uses_target_labels=False,
        is_control=False,
        is_best=False,
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def page() -> ComparisonPage:
    palette = np.zeros((256, 3), np.uint8)
    palette[:3] = COLORS
    truth = np.array([[0, 0, 0, 1], [1, 0, 255, 255]], np.uint8)
    return ComparisonPage(
        title="Day to dusk",
        verdict="It helped a little.",
        class_names=("sky", "road", "person"),
        arms=(
            arm("start", 0.30, steps=0, source_images_per_step=0),
            arm("control", 0.40, is_control=True),
            arm("method", 0.45, gain=0.05, gap_share=0.25, is_best=True, class_iou=(0.5, 0.35, NAN)),
            arm("longer", 0.44, gain=0.04, gap_share=0.2, steps=4000),
            arm("worse", 0.39, gain=-0.012, gap_share=-0.06, miou_spread=None),
            arm("oracle", 0.60, gain=0.2, gap_share=1.0, uses_target_labels=True, steps=9000),
        ),
        pictures=(
            PictureRow(
                caption="image one",
                image=np.random.default_rng(0).integers(0, 256, (2, 4, 3), dtype=np.uint8),
                truth=truth,
                predictions=(("before", np.full((2, 4), 2, np.uint8)), ("after", truth)),
            ),
        ),
        palette=palette,
        settings={"source": "city:day", "seeds": "0, 1"},
        command="segshift compare --seeds 0,1",
    )


def decoded(image: dict[str, str]) -> Image.Image:
    head, _, data = image["src"].partition(",")
    assert re.fullmatch(r"data:image/(png|jpeg);base64", head)
    return Image.open(io.BytesIO(base64.b64decode(data, validate=True)))


def test_every_arm_is_a_row_of_both_tables_in_order() -> None:
    parsed = Page(render(page()))
    names = ["start", "control", "method", "longer", "worse", "oracle"]
    for section in ("comparison", "class-scores"):
        assert [cells[0].split()[0] for cells in parsed.cells(section)] == names


def test_scores_are_percentages_with_spread_gain_and_share_of_the_gap() -> None:
    rows = Page(render(page())).cells("comparison")
    assert rows[1] == ["control control", "40.0 ± 1.2", "–", "–", "2 000", "4"]
    assert rows[2] == ["method best method", "45.0 ± 1.2", "+5.0", "25 %", "2 000", "4"]
    assert rows[4] == ["worse", "39.0", "−1.2", "−6 %", "2 000", "4"]


def test_classes_without_pixels_are_not_scores() -> None:
    parsed = Page(render(page()))
    assert parsed.cells("class-scores")[2] == ["method", "50.0", "35.0", "n/a"]
    assert "nan" not in parsed.text.lower()


def test_class_scores_are_tinted_by_their_difference_to_the_control() -> None:
    html = render(page())
    method = html[html.index('<th scope="row">method</th>', html.index("class-scores")) :].split("</tr>")[0]
    assert [cell.split('"')[1] for cell in method.split("<td")[1:]] == ["up", "down", "none"]
    assert "+10.0 points against the control" in method and "−5.0 points against the control" in method
    control = html[html.index('<th scope="row">control</th>', html.index("class-scores")) :].split("</tr>")[0]
    assert "tint" not in control


def test_best_row_is_highlighted_and_the_oracle_says_what_it_used() -> None:
    parsed = Page(render(page()))
    for section in ("comparison", "class-scores"):
        kinds = [values["class"].split() for values, _ in parsed.rows[section]]
        assert kinds == [[], ["control"], ["best"], [], [], ["target"]]
    assert [row[0] for row in parsed.cells("comparison") if "uses target labels" in row[0]] == [
        "oracle uses target labels"
    ]


def test_a_gain_with_another_budget_is_marked_and_explained() -> None:
    parsed = Page(render(page()))
    assert [row[0] for row in parsed.cells("comparison") if "†" in row[2]] == ["longer"]
    assert "† Another number of steps" in parsed.text
    fair = replace(page(), arms=tuple(row for row in page().arms if row.name != "longer"))
    assert "†" not in Page(render(fair)).text


def test_the_page_needs_no_network_and_no_script() -> None:
    html = render(page())
    parsed = Page(html)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r'src="data:[^"]*"', "", html))
    assert all(address.startswith("data:") for address in parsed.addresses)
    assert not {"script", "link", "iframe", "object"} & set(parsed.tags)
    assert "default-src 'none'" in html


def test_pictures_are_embedded_with_exact_label_colors() -> None:
    parsed = Page(render(page()))
    assert [image["alt"] for image in parsed.images] == [
        f"image one: {name}" for name in ("image", "truth", "before", "after")
    ]
    assert decoded(parsed.images[0]).size == (4, 2)
    truth = np.asarray(decoded(parsed.images[1]).convert("RGB"))
    sky, road, black = COLORS[0], COLORS[1], (0, 0, 0)
    np.testing.assert_array_equal(truth, np.array([[sky, sky, sky, road], [road, sky, black, black]]))


def test_large_pictures_are_scaled_down_without_new_label_colors() -> None:
    label = np.random.default_rng(0).integers(0, 3, (500, 1000), dtype=np.uint8)
    row = PictureRow("large", np.zeros((500, 1000, 3), np.uint8), None, (("after", label),))
    photo, prediction = Page(render(replace(page(), pictures=(row,)))).images
    assert decoded(photo).size == decoded(prediction).size == (640, 320)
    found = {
        tuple(int(value) for value in color)
        for color in np.unique(np.asarray(decoded(prediction).convert("RGB")).reshape(-1, 3), axis=0)
    }
    assert found == set(COLORS)


def test_the_legend_is_sorted_by_pixels_of_the_truth_then_adds_mistakes() -> None:
    html = render(page())
    legend = html[html.index('<ul class="legend">') : html.index("</ul>")]
    assert re.findall(r"</span>(\w+)</li>", legend) == ["sky", "road", "person"]


def test_names_are_escaped() -> None:
    evil = '<img src=x onerror="alert(1)">&'
    base = page()
    comparison = replace(
        base,
        title=evil,
        verdict=evil,
        class_names=(evil, "road", "person"),
        arms=tuple(replace(row, label=evil) for row in base.arms),
        pictures=(
            replace(base.pictures[0], caption=evil, predictions=((evil, base.pictures[0].image[..., 0]),)),
        ),
        settings={evil: evil},
        command=evil,
    )
    parsed = Page(render(comparison))
    assert len(parsed.images) == 3 and all("onerror" not in image for image in parsed.images)
    assert parsed.text.count(evil) >= 10


def test_a_page_of_scores_alone_has_no_empty_sections() -> None:
    parsed = Page(render(replace(page(), pictures=(), settings={})))
    assert not parsed.images and "Side by side" not in parsed.text and "Settings" not in parsed.text
    assert "segshift compare --seeds 0,1" in parsed.text


def test_scores_that_do_not_fit_the_classes_are_rejected() -> None:
    with pytest.raises(InputError, match=r"the arm short has 2 class scores for 3 classes"):
        render(replace(page(), arms=(arm("short", 0.4, class_iou=(0.1, 0.2)),)))


def test_pictures_of_different_sizes_are_rejected() -> None:
    row = replace(page().pictures[0], predictions=(("after", np.zeros((3, 4), np.uint8)),))
    with pytest.raises(InputError, match="image one: after"):
        render(replace(page(), pictures=(row,)))


def test_write_makes_folders_and_a_second_write_gives_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "new" / "comparison.html"
    write_comparison_page(path, page())
    first = path.read_bytes()
    write_comparison_page(path, page())
    assert path.read_bytes() == first and first.startswith(b"<!DOCTYPE html>")
    assert [item.name for item in path.parent.iterdir()] == ["comparison.html"]


@pytest.mark.parametrize(
    ("value", "plain", "with_sign"),
    [
        (0.4149, "41.5", "+41.5"),
        (-0.004, "−0.4", "−0.4"),
        (-0.0002, "0.0", "0.0"),
        (0.0, "0.0", "0.0"),
        (None, "–", "–"),
        (NAN, "n/a", "n/a"),
    ],
)
def test_percent_and_signed(value: float | None, plain: str, with_sign: str) -> None:
    assert (percent(value), signed(value)) == (plain, with_sign)
