"""The preset smoke run, with a stand-in for the package: all presets run apart, one failure fails all."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.process

COMMAND_LINE = """
import json, os, pathlib, signal, sys
import segshift
def main():
    train, name, smoke, out, folder = sys.argv[1:]
    assert (train, smoke, out) == ("train", "--smoke", "--out")
    segshift.trained.append(name)
    pathlib.Path(folder).mkdir()
    record = {"name": name, "folder": folder, "trained": segshift.trained, "process": os.getpid(),
              "importer": segshift.importer, "threads": os.environ["OMP_NUM_THREADS"]}
    pathlib.Path(os.environ["RECORDS"], name).write_text(json.dumps(record))
    if name == "broken":
        print("the reason")
        sys.exit(7)
    if name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
"""


# A recipe is known by the letters of its name before the first digit: "row1" and "row2" are the same run.
LOADED = """
class Recipe:
    def __init__(self, name): self.tiny = name.rstrip("0123456789")
    def model_dump_json(self, exclude): return self.tiny
load_recipe = Recipe
"""


def run(folder: Path, names: list[str], *arguments: str) -> tuple[subprocess.CompletedProcess[str], Any]:
    """The tool on a package whose presets have these names, and what each training saw."""
    package, records = folder / "segshift", folder / "records"
    (package / "engine").mkdir(parents=True)
    records.mkdir()
    (package / "__init__.py").write_text("import os\ntrained, importer = [], os.getpid()\n")
    (package / "cli.py").write_text(COMMAND_LINE)
    (package / "engine" / "__init__.py").write_text("")
    (package / "engine" / "presets.py").write_text(f"def preset_names(): return {names}\n{LOADED}")
    (package / "engine" / "run.py").write_text("")
    (package / "engine" / "smoke.py").write_text("def smoke_recipe(recipe): return recipe\n")
    result = subprocess.run(
        [sys.executable, "-m", "tools.preset_smoke", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(folder), "RECORDS": str(records)},
    )
    return result, {path.name: json.loads(path.read_text()) for path in records.iterdir()}


def test_every_preset_runs_apart_from_the_others(tmp_path: Path) -> None:
    result, seen = run(tmp_path, ["one", "two", "three"])
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 of 3 presets ran" in result.stdout
    assert all(seen[name]["trained"] == [name] for name in ("one", "two", "three"))
    assert len({one["folder"] for one in seen.values()}) == 3
    assert len({one["process"] for one in seen.values()}) == 3
    assert {one["threads"] for one in seen.values()} == {"1"}
    assert not any(Path(one["folder"]).exists() for one in seen.values())


def test_the_package_is_imported_once_for_all(tmp_path: Path) -> None:
    _, seen = run(tmp_path, ["one", "two", "three"])
    importers = {one["importer"] for one in seen.values()}
    assert len(importers) == 1 and not importers & {one["process"] for one in seen.values()}


@pytest.mark.parametrize(("name", "status"), [("broken", 7), ("killed", 137)])
def test_a_failing_preset_fails_the_run_but_the_others_still_run(
    tmp_path: Path, name: str, status: int
) -> None:
    result, seen = run(tmp_path, [name, "sound"], "--jobs", "1")
    assert result.returncode == 1
    assert f"FAILED with exit status {status}" in result.stdout
    assert ("the reason" in result.stdout) == (name == "broken")
    assert "1 of 2 presets ran" in result.stdout and "sound" in seen


def test_named_presets_run_alone(tmp_path: Path) -> None:
    result, seen = run(tmp_path, ["one", "two"], "two")
    assert "1 of 1 presets ran" in result.stdout and set(seen) == {"two"}


def test_presets_that_are_the_same_on_tiny_images_run_once(tmp_path: Path) -> None:
    result, seen = run(tmp_path, ["row1", "row2", "other"])
    assert set(seen) == {"row1", "other"} and "ok, row2" in result.stdout
    assert "2 of 2 presets ran, for 3" in result.stdout


def test_no_presets_is_a_failure(tmp_path: Path) -> None:
    result, _ = run(tmp_path, [])
    assert result.returncode == 1 and "no preset" in result.stdout
