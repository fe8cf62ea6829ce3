"""The page in a real browser: choosing and comparing runs, following one that trains, a phone."""

from collections.abc import Iterator

import pytest

from segshift.watch.server import serving
from tests.conftest import Open
from tests.watch.conftest import Runs

pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install segshift[dev])")

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture
def address(every_state: Runs) -> Iterator[str]:
    with serving(every_state.root, "127.0.0.1", 0) as address:
        yield address


def test_a_run_is_followed_while_it_trains(opened: Open, address: str, every_state: Runs) -> None:
    page = opened(address)
    page.locator("li[data-run=live] button").click()
    page.locator("#charts .main-svg").first.wait_for()
    assert page.locator("#heading").inner_text() == "live"
    assert "10 of 40" in page.locator("#summaries").inner_text()
    assert "mIoU" in page.locator("#summaries").inner_text()
    # Names of classes are text, whatever they hold.
    assert "<b>ground</b>" in page.locator("#classes").inner_text()
    page.locator("#pictures img").scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('#pictures img').naturalWidth === 60")
    every_state.log(every_state.root / "live", 11, 25)
    page.get_by_text("25 of 40", exact=True).wait_for()
    every_state.finish(every_state.root / "live", 0.75)
    (every_state.root / "live" / ".lock").unlink()
    page.locator("#summaries .dot.finished").wait_for()
    page.locator("li[data-run=live]", has_text="mIoU 75.0").wait_for()
    # The address brings it back.
    page.reload()
    page.locator("#charts .main-svg").first.wait_for()
    assert page.locator("#heading").inner_text() == "live"


def test_runs_are_found_and_compared(opened: Open, address: str) -> None:
    page = opened(address)
    page.locator("li[data-run=stopped]").wait_for()
    assert page.locator(".group h2").all_inner_texts()[0].startswith("methods")
    page.locator("#states button[data-state=finished]").click()
    assert page.locator("li[data-run=done]").count() == 0
    page.locator("#states button[data-state=finished]").click()
    page.locator("#search").fill("stopp")
    assert page.locator(".runs li").count() == 1
    page.locator("#search").fill("")
    for run in ("live", "stopped"):
        page.locator(f"li[data-run={run}] input").check()
    page.locator("#charts figcaption", has_text="segmenter/supervised").wait_for()
    assert page.locator("#summaries tbody tr").count() == 2
    told = page.locator("#advice").inner_text()
    assert told.startswith("stopped, step 4: one <i>class</i> takes over")
    assert page.locator("#charts .legendtext").all_text_contents()[:2] == ["live", "stopped"]


def test_nothing_is_cut_off_on_a_phone(opened: Open, address: str) -> None:
    page = opened(address, 390)
    page.locator("li[data-run=live]").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("li[data-run=live] button").click()
    page.locator("#charts .main-svg").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not page.locator("#list").is_visible()
    page.locator("#back").click()
    page.locator("li[data-run=live]").wait_for()
