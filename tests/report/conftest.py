"""A small script in place of plotly."""

import pytest

from segshift.report import page


@pytest.fixture
def small_plotly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five megabytes of script would only make the tests slow; one test looks at the real one."""
    monkeypatch.setattr(page.plotly.offline, "get_plotlyjs", lambda: "PLOTLY('</script>')")
