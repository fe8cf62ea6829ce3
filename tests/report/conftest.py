"""The browser for the report's tests, and a small script in place of plotly."""

import importlib
import os
import shutil

import pytest

from segshift.report import page

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


@pytest.fixture
def small_plotly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five megabytes of script would only make the tests slow; one test looks at the real one."""
    monkeypatch.setattr(page.plotly.offline, "get_plotlyjs", lambda: "PLOTLY('</script>')")
