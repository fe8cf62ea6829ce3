"""The report in a real browser: what readers click, drag, copy, print, and what must not happen meanwhile."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from segshift.data.labels import class_set
from segshift.evaluation import format_results
from segshift.report.content import Curve, Report
from segshift.report.page import write_report
from tests.report.make import NASTY, make_report

pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install segshift[dev])")

pytestmark = pytest.mark.process

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def report() -> Report:
    full = make_report(("source only", "advent", NASTY), pictures=2, size=(120, 80))
    runs = (*full.runs[:2], replace(full.runs[2], unfair=("other start",)))
    return replace(full, runs=runs)


@pytest.fixture(scope="module")
def address(report: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, report)
    return path.as_uri()


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Open]:
    """Opens the page; at the end nothing went wrong in it, and nothing but the file was asked for."""
    contexts, problems, requests = [], [], []

    def open_page(path: str = address, script: str = "", **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda r: None if r.url.startswith("data:") else requests.append(r.url))
        if script:
            page.add_init_script(script)
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems
    assert len(requests) == len(contexts), requests


def see(page: Any, chart: str) -> Any:
    """Scrolls to a chart and waits until it is drawn."""
    place = page.locator(f"#chart-{chart}")
    place.scroll_into_view_if_needed()
    place.locator(".main-svg").first.wait_for()
    return place


def settle(page: Any) -> None:
    """Waits until the page has heard of a change and drawn itself."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_every_chart_is_drawn_when_it_comes_into_view_and_none_before(opened: Open, report: Report) -> None:
    page = opened()
    assert page.evaluate("typeof Plotly") == "undefined"
    charts = page.locator(".plot:visible")
    assert charts.count() > 15
    for index in range(charts.count()):
        see(page, charts.nth(index).get_attribute("id").removeprefix("chart-"))
    bars = page.locator("#chart-gains .bars .point path").count()
    assert bars == 2 * 11
    assert page.locator("#chart-confusion-0 .hm image, #chart-confusion-0 image").count() >= 1
    marks = len(report.evidence.embedding["advent"]["patch"].images)
    assert page.locator("#chart-embedding-1 .scatterlayer .point").count() == marks
    assert page.locator("#chart-retrieval-a .scatterlayer .js-line").count() == 4


def test_the_slider_follows_the_mouse_and_the_keyboard(opened: Open) -> None:
    page = opened()
    stage = page.locator(".stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()

    def cut() -> tuple[str, float]:
        clip = page.evaluate("getComputedStyle(document.querySelector('.stage .left')).clipPath")
        line = page.evaluate("document.querySelector('.stage .line').getBoundingClientRect().left")
        return clip, (line - box["x"]) / box["width"]

    first = cut()
    assert first[1] == pytest.approx(0.5, abs=0.01)
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.5 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.2 * box["width"], middle, steps=4)
    page.mouse.up()
    dragged = cut()
    assert dragged[1] == pytest.approx(0.2, abs=0.01) and dragged[0] != first[0]
    # Without the button it stays where it is.
    page.mouse.move(box["x"] + 0.9 * box["width"], middle)
    assert cut() == dragged
    slider = page.get_by_role("slider")
    slider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert cut()[1] == pytest.approx(0.25, abs=0.01)
    page.keyboard.press("End")
    assert cut()[1] == pytest.approx(1.0, abs=0.01) and slider.input_value() == "100"


def test_the_slider_follows_a_finger(opened: Open) -> None:
    page = opened(has_touch=True, is_mobile=True, viewport={"width": 360, "height": 740})
    stage = page.locator(".stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    page.touchscreen.tap(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)
    assert float(page.get_by_role("slider").input_value()) == pytest.approx(80, abs=1)
    assert page.evaluate("getComputedStyle(document.querySelector('.stage')).touchAction") == "pan-y"


def test_images_and_layers_are_chosen_and_classes_are_told(opened: Open, report: Report) -> None:
    page = opened()
    data = page.evaluate("JSON.parse(document.getElementById('picture-data').textContent)")

    def sources() -> list[str]:
        return [page.locator(f".stage .{side}").get_attribute("src") for side in ("left", "right")]

    layers = data["images"][0]["layers"]
    # The last run is compared unfairly, so the slider begins with the one before.
    assert sources() == [layers["prediction-0"], layers["prediction-1"]]
    page.locator("[data-side=left]").select_option("truth")
    page.locator("[data-side=right]").select_option(label=f"{NASTY}: entropy")
    assert sources() == [layers["truth"], layers["entropy-2"]]
    assert page.locator(".scale").is_visible()
    page.locator(".thumbs button").nth(1).click()
    layers = data["images"][1]["layers"]
    assert sources() == [layers["truth"], layers["entropy-2"]]
    assert page.locator(".thumbs button[aria-pressed=true] img").get_attribute("alt") == report.shown[1].name
    page.locator(".stage").scroll_into_view_if_needed()
    box = page.locator(".stage").bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    label = report.shown[1].label
    assert label is not None
    name = report.classes.names[label[40, 36]]
    assert page.locator(".readout").inner_text() == f"truth: {name}"
    legend = page.locator(".compare .legend li").all_inner_texts()
    assert legend == [*(report.classes.names[i] for i in data["images"][1]["present"]), "ignored"]


def test_the_table_sorts_both_ways_and_what_has_no_number_stays_last(opened: Open, report: Report) -> None:
    page = opened()
    heads, rows = page.locator("#results-table thead th"), page.locator("#results-table tbody tr")

    def column(index: int) -> list[str]:
        return [row.locator("th, td").nth(index).inner_text() for row in rows.all()]

    mious = [f"{100 * run.result.miou:.1f}" for run in report.runs if run.result is not None]
    for expected, direction in ((sorted(mious, reverse=True), "descending"), (sorted(mious), "ascending")):
        page.get_by_role("button", name="mIoU", exact=True).click()
        assert column(1) == expected
        assert heads.nth(1).get_attribute("aria-sort") == direction
    # By keyboard; the reference has no gain.
    page.get_by_role("button", name="gain", exact=True).focus()
    for _ in range(2):
        page.keyboard.press("Enter")
        assert column(2)[-1] == "–"
    assert heads.nth(2).get_attribute("aria-sort") == "ascending"
    assert heads.nth(1).get_attribute("aria-sort") is None
    gains = [float(text.split()[0].replace("−", "-")) for text in column(2)[:-1]]
    assert gains == sorted(gains) and len(set(gains)) == 2
    page.get_by_role("button", name="Run", exact=True).click()
    assert heads.nth(0).get_attribute("aria-sort") == "ascending"
    assert [name.startswith(("<img", "advent", "source")) for name in column(0)] == [True] * 3
    assert column(0)[1].startswith("advent") and column(0)[2].startswith("source")


NO_CLIPBOARD = "Object.defineProperty(Navigator.prototype, 'clipboard', { get: () => undefined });"
REFUSED = "document.execCommand = () => false;"


@pytest.mark.parametrize("script", ["", NO_CLIPBOARD], ids=["clipboard", "without clipboard"])
def test_copies_are_exact(opened: Open, report: Report, script: str) -> None:
    page = opened(script=script, permissions=["clipboard-read", "clipboard-write"])
    results = {run.name: run.result for run in report.runs if run.result is not None}
    page.evaluate("""document.body.insertAdjacentHTML('beforeend', '<textarea id="paste"></textarea>')""")
    for name, style in (("Markdown", "md"), ("LaTeX", "latex"), ("CSV", "csv")):
        page.get_by_role("button", name=f"Copy {name}").click()
        page.get_by_text("Copied", exact=True).wait_for()
        page.locator("#paste").fill("")
        page.locator("#paste").focus()
        page.keyboard.press("Control+V")
        assert page.locator("#paste").input_value() == format_results(results, style)  # type: ignore[arg-type]
        page.evaluate("document.querySelector('.copy output').textContent = ''")
        assert page.locator(".copy textarea").count() == 0


def test_a_refused_copy_leaves_the_text_to_take(opened: Open, report: Report) -> None:
    page = opened(script=NO_CLIPBOARD + REFUSED)
    page.get_by_role("button", name="Copy LaTeX").click()
    page.get_by_text("The browser refused").wait_for()
    results = {run.name: run.result for run in report.runs if run.result is not None}
    assert page.locator(".copy textarea").input_value() == format_results(results, "latex")


def test_switches_change_scale_level_and_grouping(opened: Open) -> None:
    page = opened()
    see(page, "confusion-0")
    shares = "document.getElementById('chart-confusion-0').data[0].zmin"
    assert page.evaluate(shares) == 0
    page.get_by_role("radio", name="logarithmic").check()
    assert page.evaluate(shares) == -4
    assert (
        page.locator('[data-scale="log"]').is_visible()
        and not page.locator('[data-scale="linear"]').is_visible()
    )
    see(page, "embedding-0")
    page.get_by_role("radio", name="whole images").check()
    traces = page.evaluate("document.getElementById('chart-embedding-0').data.map(trace => trace.name)")
    assert traces == ["source", "target"]
    assert page.locator('[data-of="classes"]').first.is_hidden()
    page.get_by_role("radio", name="runs side by side").check()
    see(page, "curve-loss-0")
    assert page.locator("#chart-curves-0-loss").is_hidden()


@pytest.mark.parametrize("level", ["patches", "whole images"])
def test_a_point_of_the_embedding_says_its_class_domain_and_image(
    opened: Open, report: Report, level: str
) -> None:
    page = opened()
    see(page, "embedding-0")
    page.get_by_role("radio", name=level).check()
    settle(page)
    box = page.locator("#chart-embedding-0 .scatterlayer .trace:last-child .point").last.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("#chart-embedding-0 .hovertext").first.wait_for()
    lines = page.locator("#chart-embedding-0 .hovertext tspan.line").all_text_contents()
    domains = {"source", "target"}
    named = {f"{name}, {domain}" for name in report.classes.names for domain in domains}
    assert lines[0] in (named if level == "patches" else domains)
    assert lines[1].startswith("image_") and len(lines) == 2


def test_a_hidden_run_of_a_chart_comes_back(opened: Open) -> None:
    page = opened()
    bars = see(page, "gains").locator(".bars .point path")
    assert bars.count() == 22
    for state in ("detached", "attached"):
        page.locator("#chart-gains .legendtoggle").first.click()
        bars.nth(11).wait_for(state=state)
    assert bars.count() == 22
    # Plotly's hint about double clicks would lie over the page.
    assert page.locator(".plotly-notifier").count() == 0


def test_a_long_legend_is_seen_whole(opened: Open, tmp_path: Path) -> None:
    names = [f"score {number} of a long name" for number in range(16)]
    scores = tuple(Curve("score", name, (1, 2), (0.1, 0.2)) for name in names)
    full = make_report(("one",), pictures=0)
    write_report(tmp_path / "long.html", replace(full, runs=(replace(full.runs[0], curves=scores),)))
    page = opened((tmp_path / "long.html").as_uri(), viewport={"width": 360, "height": 740})
    chart = see(page, "curves-0-score")
    assert chart.locator(".legendtext").count() == 16
    assert chart.locator(".scrollbar").first.get_attribute("height") == "0"


def test_dark_mode_changes_the_colors_of_page_and_charts_at_once(opened: Open) -> None:
    page = opened(color_scheme="light")
    see(page, "gains")

    def colors() -> list[str]:
        fill = "getComputedStyle(document.querySelector('#chart-gains .bars .point path')).fill"
        text = "getComputedStyle(document.querySelector('#chart-gains .xtick text')).fill"
        return [
            page.evaluate(f"({one})")
            for one in ("getComputedStyle(document.body).backgroundColor", fill, text)
        ]

    light = colors()
    assert light[1] == "rgb(31, 111, 214)"
    page.emulate_media(color_scheme="dark")
    settle(page)
    dark = colors()
    assert dark[1] == "rgb(94, 162, 245)" and all(
        one != other for one, other in zip(light, dark, strict=True)
    )
    page.emulate_media(color_scheme="light")
    settle(page)
    assert colors() == light


def test_a_phone_needs_no_sideways_scrolling(opened: Open) -> None:
    page = opened(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    for chart in ("gains", "confusion-0", "entropy", "retrieval-a", "embedding-0"):
        see(page, chart)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate("innerWidth") == 360
    # The table is wider, and scrolls in its own place; mIoU and gain are seen without scrolling.
    table = page.locator("#results-table")
    assert table.bounding_box()["width"] > 360
    for column in (2, 3):
        box = table.locator(f"thead th:nth-child({column})").bounding_box()
        assert box["x"] + box["width"] < 344
    assert (
        page.evaluate("getComputedStyle(document.getElementById('results-table').parentElement).overflowX")
        == "auto"
    )


def test_print_shows_all_sections_and_charts_on_white_paper(opened: Open, report: Report) -> None:
    page = opened(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    page.locator(":root.printing").wait_for()
    for section in page.locator("main > section").all():
        assert section.is_visible() and section.bounding_box()["height"] > 40
    visible = page.locator(".plot:visible")
    assert visible.count() > 15
    for plot in visible.all():
        assert plot.locator(".main-svg").first.bounding_box()["width"] <= 680
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert (
        page.evaluate("getComputedStyle(document.querySelector('#chart-gains .xtick text')).fill")
        == "rgb(0, 0, 0)"
    )
    # Both pictures, side by side and whole.
    left, right = (page.locator(f".stage .{side}").bounding_box() for side in ("left", "right"))
    assert left["x"] + left["width"] <= right["x"] and left["width"] == pytest.approx(right["width"], abs=2)
    assert page.evaluate("getComputedStyle(document.querySelector('.stage .left')).clipPath") == "none"
    # Folded recipes are printed, too.
    assert page.locator("details pre").first.bounding_box()["height"] > 40
    page.emulate_media(media="screen", color_scheme="dark")
    page.locator(":root:not(.printing)").wait_for()
    assert (
        page.evaluate("getComputedStyle(document.querySelector('#chart-gains .xtick text')).fill")
        != "rgb(0, 0, 0)"
    )


def test_markup_in_names_is_shown_as_text(opened: Open, report: Report, tmp_path: Path) -> None:
    classes = class_set([NASTY, "sky", "road"])
    nasty = make_report((NASTY, NASTY + "2"), classes=classes, pictures=1, size=(48, 32), title=NASTY)
    nasty = replace(
        nasty,
        runs=tuple(replace(run, advice=(NASTY,), folder=NASTY, data={NASTY: NASTY}) for run in nasty.runs),
        shown=tuple(replace(one, name=NASTY) for one in nasty.shown),
    )
    write_report(tmp_path / "nasty.html", nasty)
    page = opened((tmp_path / "nasty.html").as_uri())
    assert page.locator("h1").inner_text() == NASTY and page.title() == NASTY
    assert page.locator(".summary h3").first.inner_text() == NASTY
    assert page.locator("[data-side=left] option").nth(2).inner_text() == f"{NASTY}: prediction"
    assert NASTY in page.locator(".compare .legend").inner_text()
    for chart in ("gains", "confusion-0", "embedding-0"):
        see(page, chart)
    # The end of a long name stays; its markup is letters, not bold.
    ticks = page.locator("#chart-gains .xtick text").all_text_contents()
    assert ticks[0].endswith("%{x} <b>") and page.locator("#chart-gains .xtick tspan").count() == 0
    assert page.locator("#chart-gains .legendtext").first.text_content().endswith("%{x} <b>2")
    see(page, "gains")
    box = page.locator("#chart-gains .bars .point path").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("#chart-gains .hovertext").first.wait_for()
    assert "%{x} <b>" in page.locator("#chart-gains .hovertext").first.text_content()
    assert page.locator("img[onerror]").count() == 0


def test_the_picture_for_the_docs(chromium: str, address: str, tmp_path: Path) -> None:
    tool = Path(__file__).resolve().parents[2] / "tools" / "report_picture.py"
    report = address.removeprefix("file://")
    choice = ["--image", "1", "--left", "truth", "--right", "advent: prediction"]
    subprocess.run([sys.executable, tool, report, tmp_path / "report.png", *choice], check=True)
    with Image.open(tmp_path / "report.png") as picture:
        assert picture.width == 1280 and picture.height > 700
        # More than paper: the table and the pictures are on it.
        assert len(picture.convert("RGB").getcolors(2**24) or []) > 200
