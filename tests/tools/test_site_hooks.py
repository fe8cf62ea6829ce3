"""What becomes of a page's links on the site."""

import pytest

hooks = pytest.importorskip("tools.site_hooks", reason="needs mkdocs (pip install segshift[dev])")


@pytest.mark.parametrize(
    ("home", "place", "link", "on_site"),
    [
        ("docs/start.md", "start.md", "[a](../README.md)", "[a](index.md)"),
        ("docs/methods/clan.md", "methods/clan.md", "[a](../health.md#b)", "[a](../health.md#b)"),
        # A notebook is saved; shown, it would be the text that it is stored as.
        (
            "README.md",
            "index.md",
            "[a](examples/quick_start.ipynb)",
            '[a](quick_start.ipynb){ download="quick_start.ipynb" }',
        ),
        (
            "docs/methods/clan.md",
            "methods/clan.md",
            "[a](../../examples/quick_start.ipynb)",
            '[a](../quick_start.ipynb){ download="quick_start.ipynb" }',
        ),
    ],
)
def test_links_lead_to_what_is_on_the_site(home: str, place: str, link: str, on_site: str) -> None:
    assert hooks._LINK.sub(lambda found: hooks._link(found, home, place), link) == on_site
