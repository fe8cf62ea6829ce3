import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from segshift.errors import InputError
from segshift.folders import lock_folder

_HOLD = """
import os, sys
from segshift.folders import lock_folder
with lock_folder(sys.argv[1]):
    # Like a loader's worker, which outlives a killed parent for a while.
    if os.fork() == 0:
        print("held", flush=True)
        sys.stdin.read()
        os._exit(0)
    sys.stdin.read()
"""


@contextmanager
def holder(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds the folder."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(folder)], stdin=pipe, stdout=pipe, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        assert process.stdin is not None
        process.stdin.close()


def test_a_second_process_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    with (
        holder(tmp_path / "run") as process,
        pytest.raises(InputError, match=rf"run: process {process.pid} on .* \(since 20.*\) is writing there"),
        lock_folder(tmp_path / "run"),
    ):
        pass
    with lock_folder(tmp_path / "run"):
        pass


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_holder_frees_the_folder_though_its_worker_lives(
    tmp_path: Path, number: signal.Signals
) -> None:
    with holder(tmp_path) as process:
        process.send_signal(number)
        process.wait()
        with lock_folder(tmp_path):
            pass


def test_one_process_cannot_hold_a_folder_twice_and_leaves_no_file(tmp_path: Path) -> None:
    with (
        lock_folder(tmp_path),
        pytest.raises(InputError, match=f"process {os.getpid()}"),
        lock_folder(tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file" / "run", Path("/proc/run")):
        with pytest.raises(InputError, match=f"{folder}: cannot be written"), lock_folder(folder):
            pass
