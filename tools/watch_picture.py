"""Photograph `segshift watch`: `python tools/watch_picture.py runs docs/images/watch.png --run NAME`.

Shows the list of runs and one of them, in a Chromium that is on the PATH.
"""

import argparse
import shutil
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import sync_playwright

from segshift.watch.server import serving

_COMMANDS = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Read the arguments and take the picture."""
    parser = argparse.ArgumentParser(description="A picture of the page that follows runs.")
    parser.add_argument("folder", type=Path, help="what `segshift watch` gets")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--run", action="append", required=True, help="below the folder; several: compared")
    parser.add_argument("--width", type=int, default=1360)
    parser.add_argument("--height", type=int, default=1000)
    settings = parser.parse_args()
    browser_path = next(filter(None, map(shutil.which, _COMMANDS)), None)
    if browser_path is None:
        parser.error(f"needs one of {', '.join(_COMMANDS)} on the PATH")
    with serving(settings.folder, "127.0.0.1", 0) as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": settings.width, "height": settings.height})
        page.goto(f"{address}#{urlencode([('run', run) for run in settings.run])}")
        page.locator("#charts .main-svg").last.wait_for(timeout=120_000)
        page.screenshot(path=settings.picture)
        browser.close()


if __name__ == "__main__":
    main()
