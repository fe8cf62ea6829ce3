"""The clock on the wall may jump, by hand or by a time server: nothing that a run does depends on it."""

import ast
import os
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import segshift
from segshift.engine.loggers import ProgressLine
from segshift.engine.opening import Estimate
from segshift.engine.run import run_recipe
from segshift.errors import InputError, StoppedError
from segshift.folders import lock_folder
from segshift.progress import Progress
from tests.engine.recipes import toy_recipe

ROOT = Path(segshift.__file__).parent
# Who may ask what time it is: a lock says since when it is held, pages say what is silent, uploads get old.
WALL_CLOCK = {"folders/lock.py", "watch/state.py", "serve/temporary.py"}
_ASKS = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow")}


@pytest.fixture
def jumping(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is ten years ahead, behind, ahead ... whenever somebody looks."""
    decade, true = 10 * 365 * 86400.0, time.time
    jumps: Iterator[float] = cycle((decade, -decade))
    monkeypatch.setattr(time, "time", lambda: true() + next(jumps))


def test_only_these_ask_what_time_it_is() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in _ASKS
    }
    assert found == WALL_CLOCK


def test_a_run_goes_on_from_its_last_step_whatever_the_files_times_say(
    tmp_path: Path, toy_source: Path, toy_target: Path, stop_after: object, jumping: None
) -> None:
    recipe = toy_recipe(toy_source, toy_target, training={"checkpoint_every": 1, "keep_checkpoints": 4})
    run_recipe(recipe, tmp_path / "straight")
    assert callable(stop_after)
    stop_after(3)
    with pytest.raises(StoppedError):
        run_recipe(recipe, tmp_path / "stopped")
    saved = sorted((tmp_path / "stopped" / "checkpoints").glob("step_*.pt"))
    assert len(saved) == 4
    # The newest state is the oldest file, and all are of tomorrow.
    for age, path in enumerate(reversed(saved)):
        os.utime(path, (time.monotonic() + 1e10 + age,) * 2)
    run_recipe(recipe, tmp_path / "stopped", resume=True)
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("straight", "stopped"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    logs = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("straight", "stopped")]
    assert logs[0] == logs[1]


def test_a_lock_of_the_future_is_a_lock_while_it_is_held(tmp_path: Path, jumping: None) -> None:
    with lock_folder(tmp_path):
        os.utime(tmp_path / ".lock", (1e10, 1e10))
        with pytest.raises(InputError, match="is writing there"), lock_folder(tmp_path):
            pass
    # What a killed process left, from a year that has not come.
    (tmp_path / ".lock").write_text('{"pid": 1, "host": "x", "since": "2999-01-01 00:00:00+00:00"}')
    with lock_folder(tmp_path):
        pass


def test_the_time_that_is_left_is_counted_by_a_clock_that_does_not_jump(
    jumping: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(1000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(ticks)))
    estimate = Estimate(0, 106)
    said = [line for line in (estimate.after(done) for done in range(1, 107)) if line]
    assert said == ["about 20 s to go, at 0.2 s a step"]
    line = ProgressLine(Progress(), "toy", 10, 0)
    shown: list[str] = []
    monkeypatch.setattr(line, "_show", lambda text, last: shown.append(text), raising=False)
    line.show(1, {}, {})
    line.show(2, {}, {})
    assert ["ETA 0:09" in shown[0], "ETA 0:08" in shown[1]] == [True, True], shown
