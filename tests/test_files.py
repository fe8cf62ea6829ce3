"""Outputs appear whole or not at all."""

import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from segshift.files import atomic_path, json_ready, write_json, write_text


@pytest.fixture(params=[0o022, 0o027, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_the_file_appears_whole_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "picture.png"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent and temporary.suffix == ".png"
        temporary.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert [file.name for file in path.parent.iterdir()] == ["picture.png"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "file.json"
    path.write_text("old")
    with pytest.raises(error), atomic_path(path) as temporary:
        temporary.write_text("half of the n")
        raise error
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["file.json"]


def test_the_mode_follows_the_umask(tmp_path: Path, umask: int) -> None:
    write_text(tmp_path / "atomic.txt", "x")
    (tmp_path / "plain.txt").write_text("x")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("atomic.txt", "plain.txt")]
    assert modes == [0o666 & ~umask] * 2


def test_the_umask_itself_stays(tmp_path: Path, umask: int) -> None:
    write_text(tmp_path / "file.txt", "x")
    now = os.umask(umask)
    assert now == umask


def test_text_is_utf_8(tmp_path: Path) -> None:
    write_text(tmp_path / "file.txt", "Straße → ±")
    assert (tmp_path / "file.txt").read_bytes() == "Straße → ±".encode()


def test_json_has_null_for_what_json_lacks(tmp_path: Path) -> None:
    value = {"nan": math.nan, "inf": [math.inf, (-math.inf, 1.5)], "path": Path("a") / "b", 3: "key"}
    write_json(tmp_path / "file.json", value)
    text = (tmp_path / "file.json").read_text()

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    expected = {"nan": None, "inf": [None, [None, 1.5]], "path": "a/b", "3": "key"}
    assert json.loads(text, parse_constant=refuse) == expected
    assert text.endswith("}\n")


def test_json_ready_leaves_the_original_alone() -> None:
    value = {"a": [math.nan]}
    assert json_ready(value) == {"a": [None]}
    assert math.isnan(value["a"][0])


def test_what_json_cannot_hold_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "file.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "file.json", {"a": object()})
    assert (tmp_path / "file.json").read_text() == "1\n"
    assert len(list(tmp_path.iterdir())) == 1
