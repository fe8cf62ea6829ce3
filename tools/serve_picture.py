"""Photograph `segshift serve`: `python tools/serve_picture.py RUN RUN PHOTO docs/images/serve.png`.

Shows a photo and what two networks see of it, in a Chromium that is on the PATH. The photo goes into the
documentation: take a rendered one, not one of a data set that may not be passed on.
"""

import argparse
import shutil
import socket
from pathlib import Path

from playwright.sync_api import sync_playwright

from segshift.models import load
from segshift.serve.server import Service, serving

_COMMANDS = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Read the arguments and take the picture."""
    parser = argparse.ArgumentParser(description="A picture of the page that shows networks on photos.")
    parser.add_argument("left", type=Path, help="a run")
    parser.add_argument("right", type=Path, help="a run")
    parser.add_argument("photo", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--tab", default="Classes", help="Classes, Pixel, Entropy or Download")
    settings = parser.parse_args()
    browser_path = next(filter(None, map(shutil.which, _COMMANDS)), None)
    if browser_path is None:
        parser.error(f"needs one of {', '.join(_COMMANDS)} on the PATH")
    networks = {run.name: load(run) for run in (settings.left, settings.right)}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with serving(networks, Service(port=port)) as running, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": settings.width, "height": 900})
        page.set_default_timeout(300_000)
        page.goto(running.address)
        photo = page.locator("#photo input[type=file]").first
        photo.wait_for(state="attached")
        photo.set_input_files(settings.photo)
        page.locator("#legend table").nth(1).wait_for()
        page.get_by_role("tab", name=settings.tab).click()
        page.locator("#compare img").last.wait_for()
        page.screenshot(path=settings.picture, full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
