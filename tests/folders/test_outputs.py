import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from segshift.errors import OutputError
from segshift.files import atomic_path, remove_partials, write_text
from segshift.folders import check_file, check_folder


def places(tmp_path: Path) -> list[Path]:
    """Where nothing can be written, not even by root."""
    (tmp_path / "file").touch()
    return [tmp_path / "file" / "x", Path("/proc/nope/x"), tmp_path / ("x" * 300), tmp_path / "a\0b"]


@pytest.mark.parametrize("check", [check_file, check_folder])
def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, check: Callable[..., None]) -> None:
    for place in places(tmp_path):
        with pytest.raises(OutputError, match=r"cannot be written \(.*\); choose another --sheet$") as error:
            check(place, "--sheet")
        assert str(error.value).startswith(str(place).partition("\0")[0])


def test_what_is_there_must_be_of_the_kind(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for check, place in (
        (check_folder, "file"),
        (check_file, "."),
        (check_file, "pipe"),
        (check_folder, "pipe"),
    ):
        with pytest.raises(OutputError, match=r"is (a file|a folder|no regular file)\)"):
            check(tmp_path / place)


@pytest.mark.parametrize("check", [check_file, check_folder])
def test_what_can_be_written_stays_as_it_is(tmp_path: Path, check: Callable[..., None]) -> None:
    check(tmp_path / "new" / "deep" / "page.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.ENOSPC, "free some space"), (errno.EROFS, "another --out")]
)
def test_a_full_or_read_only_disk_is_seen_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(OutputError, match=f"{os.strerror(number)}.*{remedy}"):
        check_folder(tmp_path)


def test_a_cache_is_chosen_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSHIFT_CACHE", "/proc/nope")
    with pytest.raises(OutputError, match=r"^/proc/nope/counts\.npy: .*; set SEGSHIFT_CACHE to a folder"):
        check_file(Path("/proc/nope/counts.npy"))


def test_files_that_cannot_be_written_are_named_while_they_are(tmp_path: Path) -> None:
    for place in [*places(tmp_path)[:3], tmp_path]:
        with pytest.raises(OutputError) as error:
            write_text(place, "x")
        assert str(error.value).startswith(f"{place}: cannot be written (")


def test_an_error_about_another_file_passes(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "copy"):
        (tmp_path / "gone").read_bytes()


def test_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"/dev/null: cannot be written \(is no regular file\)"):
        write_text("/dev/null", "x")
    assert not Path("/dev/null").is_file()


def test_a_long_name_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 120 + ".json")
    write_text(path, "x")
    assert path.read_text() == "x"


def test_partial_files_of_killed_writers_are_removed_and_those_in_use_stay(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    dead = tmp_path / "deep" / ".model.abcd1234.partial.safetensors"
    other = tmp_path / ".other.abcd1234.partial.html"
    mine = [tmp_path / ".my.partial.html", tmp_path / "notes.partial"]
    dead.parent.mkdir()
    for path in (dead, other, *mine):
        path.touch()
    with atomic_path(page) as living:
        living.write_text("x")
        remove_partials(tmp_path)
        assert living.exists() and not dead.exists() and not other.exists()
    assert page.read_text() == "x" and all(path.exists() for path in mine)
    for path in (other, tmp_path / ".page.abcd1234.partial.html"):
        path.touch()
    check_file(page)
    assert other.exists() and not (tmp_path / ".page.abcd1234.partial.html").exists()
