"""What is installed and what is pinned fit together."""

import re
from importlib.metadata import requires
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from segshift.version import __version__

PINS = Path(__file__).resolve().parents[1] / "constraints.txt"
PINNED_EXTRAS = ("", "analysis", "dev", "docs", "export", "opencv", "report", "track", "weights")


def pins() -> dict[str, str]:
    lines = [line for line in PINS.read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9a-z.]+", line) for line in lines), "a pin is name==version"
    return dict(line.split("==") for line in lines)


@pytest.mark.parametrize("extra", PINNED_EXTRAS)
def test_every_dependency_is_pinned_within_its_bounds(extra: str) -> None:
    pinned = pins()
    found = [Requirement(text) for text in requires("segshift") or []]
    wanted = [
        item
        for item in found
        if (item.marker is None) == (not extra)
        and (item.marker is None or item.marker.evaluate({"extra": extra}))
    ]
    assert wanted
    for requirement in wanted:
        assert requirement.specifier, f"{requirement.name} has no lower bound"
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} is pinned to {version}"


def test_the_package_carries_its_type_marker_and_templates() -> None:
    assert files("segshift").joinpath("py.typed").is_file()
    assert files("segshift.report").joinpath("report.html.j2").is_file()


def test_version_citation_and_changelog_agree() -> None:
    root = PINS.parent
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    heading = re.search(r"^## \[(\d.*?)\] - (\S+)$", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert heading is not None, "the changelog has no section of a release"
    assert heading[1] == __version__ == citation["version"]
    assert heading[2] == str(citation["date-released"])
