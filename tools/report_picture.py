"""Photograph a report for the docs: `python tools/report_picture.py report.html docs/images/report.png`.

Shows the results table and the slider between two layers, in a Chromium that is on the PATH.
"""

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import FloatRect, sync_playwright

_COMMANDS = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Read the arguments and take the picture."""
    parser = argparse.ArgumentParser(description="A picture of a report's results and slider.")
    parser.add_argument("report", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--image", type=int, default=0, help="which of the report's images, from 0")
    parser.add_argument("--left", default="image", help="name of the left layer, as its list shows it")
    parser.add_argument("--right", help="name of the right layer; default: what the report opens with")
    settings = parser.parse_args()
    browser_path = next(filter(None, map(shutil.which, _COMMANDS)), None)
    if browser_path is None:
        parser.error(f"needs one of {', '.join(_COMMANDS)} on the PATH")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1440})
        page.goto(settings.report.resolve().as_uri())
        page.locator(".thumbs button").nth(settings.image).click()
        page.locator("select[data-side=left]").select_option(label=settings.left)
        if settings.right:
            page.locator("select[data-side=right]").select_option(label=settings.right)
        page.locator("#results").scroll_into_view_if_needed()
        top, bottom = (page.locator(part).bounding_box() for part in ("#results", "#pictures"))
        assert top is not None and bottom is not None
        scrolled = page.evaluate("window.scrollY")
        clip = FloatRect(
            x=0,
            y=scrolled + top["y"] - 20,
            width=1280,
            height=bottom["y"] + bottom["height"] - top["y"] + 40,
        )
        page.screenshot(path=settings.picture, clip=clip, full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
