"""The folder of uploads is private, tidy, and gone at the end."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segshift.serve import temporary
from segshift.serve.temporary import kept_tidy, remove_old, temporary_folder, without_folder


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary.tempfile, "gettempdir", lambda: str(tmp_path))


def test_it_is_private_and_removed_with_all_that_is_in_it(tmp_path: Path) -> None:
    with temporary_folder() as folder:
        assert folder.parent == tmp_path and folder.stat().st_mode & 0o777 == 0o700
        (folder / "a").mkdir()
        (folder / "a" / "b").write_text("x")
    assert not folder.exists()


def test_folders_of_killed_services_are_removed_and_those_in_use_are_not(tmp_path: Path) -> None:
    killed = tmp_path / "segshift-serve-killed"
    killed.mkdir()
    (killed / "x").write_text("x")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "segshift-serve-link").symlink_to(elsewhere)
    with temporary_folder() as first:
        assert not killed.exists() and elsewhere.exists()
        script = (
            "import tempfile; tempfile.tempdir = __import__('sys').argv[1]\n"
            "from segshift.serve.temporary import temporary_folder\n"
            "with temporary_folder(): pass"
        )
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
        assert first.exists()


def test_what_is_old_goes_and_what_is_new_or_kept_stays(tmp_path: Path) -> None:
    for name in ("old/upload.png", "old/half.partial", "examples/street.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    remove_old(tmp_path, 3600)
    assert (tmp_path / "old/upload.png").exists()
    time.sleep(0.05)
    remove_old(tmp_path, 0.01, {tmp_path / "examples/street.png"})
    assert not any((tmp_path / "old").glob("*")) and (tmp_path / "examples/street.png").exists()
    time.sleep(0.05)
    remove_old(tmp_path, 0.01, {tmp_path / "examples/street.png"})
    assert os.listdir(tmp_path) == ["examples"]


def test_tidying_goes_on_by_itself_and_ends(tmp_path: Path) -> None:
    (tmp_path / "example.png").write_text("x")
    with kept_tidy(tmp_path, age_s=0.01, every_s=0.01):
        (tmp_path / "upload.png").write_text("x")
        for _ in range(500):
            if not (tmp_path / "upload.png").exists():
                break
            time.sleep(0.01)
        assert os.listdir(tmp_path) == ["example.png"]


def test_messages_do_not_tell_where_the_folder_is(tmp_path: Path) -> None:
    text = f"{tmp_path}/results/ab12/my photo.png: broken; see {tmp_path}/x.png"
    assert without_folder(text, tmp_path) == "my photo.png: broken; see x.png"
