"""One rule for names that become folders, wherever they come from."""

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from segshift.config import parse
from segshift.engine.comparison import Comparison
from segshift.engine.recipe import Recipe
from segshift.engine.sweep import folder_name
from segshift.errors import InputError
from segshift.folders import check_name, check_names, check_stem
from segshift.folders.names import LONGEST_NAME_BYTES

BAD = {
    "": "is empty",
    "  ": "is empty",
    "..": "begins with `.`|ends with a dot",
    ".": "ends with a dot",
    "../outside": "holds `/`",
    "/tmp/outside": "holds `/`",
    "a/b": "holds `/`",
    "a\\b": r"holds `\\`",
    "C:": "holds `:`",
    ".hidden": "begins with `.`",
    "~": "begins with `~`",
    "-rf": "begins with `-`",
    "#x": "begins with `#`",
    " a": "begins or ends with a space",
    "a ": "begins or ends with a space",
    "a.": "ends with a dot",
    "a\nb": "cannot be seen",
    "a\0b": "cannot be seen",
    "a\x1b[31m": "cannot be seen",
    "a\u202eb": "cannot be seen",
    "caf\udce9": "cannot be seen",
    "what?": r"holds `\?`",
    "all*": r"holds `\*`",
    "{stem}": "holds `{`",
    "x" * (LONGEST_NAME_BYTES + 1): "longer than 128 bytes",
    "ä" * 65: "longer than 128 bytes",
    "NUL": "device",
    "com1.txt": "device",
    "train.partial": "partial",
}
GOOD = [
    "train",
    "Train 2",
    "day.night",
    "größe",
    "日本",
    "नमस्ते",
    "a=1,b=2",
    "x" * LONGEST_NAME_BYTES,
    "console",
]


@pytest.mark.parametrize(("name", "reason"), BAD.items(), ids=map(ascii, BAD))
def test_a_bad_name_is_refused_wherever_it_becomes_a_folder(name: str, reason: str) -> None:
    def refused(match: str = reason) -> AbstractContextManager[object]:
        return pytest.raises(InputError, match=match)

    with refused():
        check_name(name, "split")
    arms = {"control": {"label": "c"}, name: {"label": "x"}}
    with refused():
        parse(Comparison, {"name": "n", "recipe": {}, "arms": arms}, "comparison")
    with refused("name"):  # stages have a rule of their own besides
        parse(Recipe, {"name": "n", "stages": [{"name": name}]}, "recipe")
    # What a sweep makes of any value is a good name.
    check_name(folder_name({"key": name}), "sweep point")


@pytest.mark.parametrize("name", GOOD)
def test_a_good_name_stays(name: str, tmp_path: Path) -> None:
    assert check_name(name, "arm") == name
    (tmp_path / name).mkdir()


def test_names_that_differ_in_capitals_alone_are_refused() -> None:
    check_names(["a", "b"], "arm")
    with pytest.raises(InputError, match=r"arm 'Day': .* that of 'day'"):
        check_names(["day", "Day"], "arm")
    with pytest.raises(InputError, match="capitals"):
        check_names(["é", "e\u0301"], "arm")


@pytest.mark.parametrize(
    "stem",
    ["", "../x", "/x", "a/../../x", "#x", " x", "a\nb", "a\x85b", "a\0", "x" * 240, "ä" * 120],
)
def test_stems_stay_below_their_folder(stem: str) -> None:
    with pytest.raises(InputError, match="set: the stem"):
        check_stem(stem, "set")


@pytest.mark.parametrize("stem", ["a", "day/1/frame 3", "a..b", "caf\udce9", "größe", "x" * 200, "{1}*"])
def test_other_stems_are_taken(stem: str) -> None:
    check_stem(stem, "set")
