"""Which state runs are in, what belongs together, and that a log may be half written."""

import os
import time
from pathlib import Path

import pytest

from segshift.watch.logs import Remembered
from segshift.watch.state import RunState, Watch
from tests.watch.conftest import Runs


def states(runs: Runs) -> dict[str, RunState]:
    return {one.run: one for one in Watch(runs.root).look()}


def test_every_state_is_told(every_state: Runs) -> None:
    found = states(every_state)
    assert {name: found[name].state for name in ("live", "done", "stopped", "burst", "killed")} == {
        "live": "running",
        "done": "finished",
        "stopped": "stopped",
        "burst": "failed",
        "killed": "failed",
    }
    live = found["live"]
    assert (live.step, live.steps, live.miou, live.method) == (10, 40, 0.25, "align: advent")
    assert found["done"].miou == 0.5 and found["done"].iou["sky"] == 0.6 and found["done"].step == 6
    assert "--resume" in found["stopped"].reason
    assert found["burst"].reason == "step 3: loss is not finite"
    assert "was killed" in found["killed"].reason
    (advice,) = found["stopped"].advice
    assert (advice["step"], advice["remedy"]) == (4, "lower the weight")


def test_comparisons_and_sweeps_stay_together(every_state: Runs) -> None:
    found = states(every_state)
    groups = {(one.kind, one.group, one.name) for one in found.values() if one.group != "."}
    assert groups == {
        *(
            ("comparison", "methods", f"seed_{seed}/{arm}")
            for seed in (0, 1)
            for arm in ("control", "advent")
        ),
        *(("sweep", "weights", f"weight={weight}/seed_0") for weight in ("0.1", "0.01")),
    }
    # Runs of their own come first.
    assert [one.group for one in found.values()] == ["."] * 5 + ["methods"] * 4 + ["weights"] * 2


def test_stages_are_one_run(runs: Runs) -> None:
    stages = [
        {"name": "source", "changes": {"training": {"steps": 5}}},
        {"name": "labels", "kind": "pseudo_label"},
        {"name": "again"},
    ]
    staged = runs.begin("staged", stages=stages)
    runs.log(staged / "1_source", 1, 5)
    (staged / "1_source" / "config.yaml").write_text("name: one\n")
    (staged / "3_again").mkdir()
    runs.log(staged / "3_again", 1, 2)
    (one,) = states(runs).values()
    assert (one.run, one.stage, one.step, one.steps) == ("staged", "again", 7, 11)
    assert one.method == "source only, then pseudo labels, then source only" or "advent" in one.method


def test_a_line_that_is_being_written_is_passed_over(runs: Runs) -> None:
    folder = runs.begin("live")
    runs.log(folder, 1, 3)
    with (folder / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 4, "losses": {"segmenter/superv')
    assert states(runs)["live"].step == 3
    (folder / "metrics.jsonl").write_bytes(b"\xff\xfe no log\n")
    assert states(runs)["live"].step == 0


def test_speed_is_that_of_the_session(runs: Runs) -> None:
    folder = runs.begin("live", training={"steps": 100})
    runs.log(folder, 1, 30)
    runs.hold(folder, os.getpid())
    now = time.time()
    for step, at in ((10, now - 500), (20, now + 10)):
        (folder / "checkpoints" / f"step_{step:08d}.pt").touch()
        os.utime(folder / "checkpoints" / f"step_{step:08d}.pt", (at, at))
    os.utime(folder / "metrics.jsonl", (now + 15, now + 15))
    one = states(runs)["live"]
    # Ten steps in the five seconds since the checkpoint of this session; the other is an earlier one's.
    assert one.steps_per_second == pytest.approx(2, rel=0.01)
    assert one.seconds_left == pytest.approx(35, rel=0.01)


def test_on_another_machine_the_log_tells(runs: Runs) -> None:
    folder = runs.begin("far")
    runs.log(folder, 1, 3)
    runs.hold(folder, 1, host="elsewhere")
    assert states(runs)["far"].state == "running"
    long_ago = time.time() - 7200
    for file in (folder / "metrics.jsonl", folder / "config.yaml"):
        os.utime(file, (long_ago, long_ago))
    assert states(runs)["far"].state == "failed"


def test_a_damaged_recipe_is_said_and_the_others_are_shown(every_state: Runs) -> None:
    (every_state.root / "done" / "config.yaml").write_text("name: [")
    found = states(every_state)
    assert found["done"].state == "failed" and "config.yaml" in found["done"].reason
    assert found["live"].state == "running"


def test_what_has_not_changed_is_not_read_again(every_state: Runs) -> None:
    reads: list[Path] = []
    file = every_state.root / "done" / "metrics.jsonl"
    remembered = Remembered(lambda path: reads.append(path), every_state.root)
    remembered(file)
    remembered(file)
    assert reads == [file]
    every_state.log(every_state.root / "done", 7, 7)
    remembered(file)
    assert len(reads) == 2


def test_links_lead_nowhere(every_state: Runs, tmp_path: Path) -> None:
    secret = Runs(tmp_path / "secret").begin("other")
    Runs(tmp_path / "secret").log(secret, 1, 6)
    (every_state.root / "linked").symlink_to(secret)
    leak = every_state.begin("leak")
    (leak / "metrics.jsonl").symlink_to(secret / "metrics.jsonl")
    found = states(every_state)
    assert "linked" not in found and found["leak"].step == 0
