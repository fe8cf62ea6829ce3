"""The preset smoke run, with a stand-in for the command line: all presets run, one failure fails all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "preset_smoke.py"
pytestmark = pytest.mark.process

STAND_IN = """#!{python}
import json, pathlib, sys
if sys.argv[1:] == ["presets", "list", "--json"]:
    print(json.dumps([{{"name": name}} for name in {names}]))
else:
    train, name, smoke, out, folder = sys.argv[1:]
    assert (train, smoke, out) == ("train", "--smoke", "--out")
    with open(pathlib.Path(__file__).with_name("ran"), "a") as log:
        log.write(json.dumps([name, folder]) + "\\n")
    if name == "broken":
        print("the reason")
        sys.exit(7)
"""


def run(folder: Path, names: list[str]) -> subprocess.CompletedProcess[str]:
    command = folder / "segshift"
    command.write_text(STAND_IN.format(python=sys.executable, names=names))
    command.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, str(TOOL)], capture_output=True, text=True, env={**os.environ, "PATH": path}
    )


def test_every_preset_runs_in_a_folder_of_its_own(tmp_path: Path) -> None:
    result = run(tmp_path, ["one", "two", "three"])
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 of 3 presets ran" in result.stdout
    ran = [json.loads(line) for line in (tmp_path / "ran").read_text().splitlines()]
    assert sorted(name for name, _ in ran) == ["one", "three", "two"]
    assert len({folder for _, folder in ran}) == 3


def test_a_failing_preset_fails_the_run_but_the_others_still_run(tmp_path: Path) -> None:
    result = run(tmp_path, ["broken", "sound"])
    assert result.returncode == 1
    assert "FAILED with exit status 7" in result.stdout and "the reason" in result.stdout
    assert "1 of 2 presets ran" in result.stdout


def test_no_presets_is_a_failure(tmp_path: Path) -> None:
    assert run(tmp_path, []).returncode == 1
