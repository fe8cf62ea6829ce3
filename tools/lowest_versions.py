"""The lowest versions that pyproject.toml allows, as a constraints file on stdout.

`make test-lowest` installs them into an environment of their own and runs the quick tests there: a bound that
nobody has run is a guess.
"""

import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
# What users install; the tools of the development need no lower bound that is proven.
EXTRAS = ("weights", "opencv", "report", "analysis")


def lowest_versions(pyproject: Path = PYPROJECT) -> list[str]:
    """One `name==version.*` for each requirement. Raises ValueError for one without a lower bound."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    extras = [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    pins = []
    for requirement in project["dependencies"] + extras:
        if requirement.startswith("segshift["):  # another extra of the list
            continue
        match = re.match(r"([A-Za-z0-9_.-]+)\s*>=\s*([0-9][0-9.]*)", requirement)
        if match is None:
            raise ValueError(f"{pyproject}: {requirement!r} has no lower bound (>=)")
        # The newest patch of that version: what `>=4.9` means where the first was 4.9.0.80.
        pins.append("==".join(match.groups()) + ".*")
    return pins


if __name__ == "__main__":
    sys.stdout.write("".join(f"{pin}\n" for pin in lowest_versions()))
