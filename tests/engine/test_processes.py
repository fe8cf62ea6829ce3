"""What needs several processes: two of them equal one, and a killed run loses nothing."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from tests.engine.recipes import toy_recipe

pytestmark = pytest.mark.process
IN_GROUP = "in a group at the end:"
PROGRAM = "from segshift.cli import main; main()"
GAME: dict[str, Any] = {
    "method": {
        "name": "align",
        "terms": [{"term": "advent", "base_channels": 4, "weight": 0.1}, {"term": "minent"}],
    },
    "training": {"steps": 3, "checkpoint_every": 2},
    "evaluation": {"batch_size": 1},
}


def write_recipe(path: Path, source: Path, target: Path, /, **changes: Any) -> Path:
    path.write_text(yaml.safe_dump(toy_recipe(source, target, **changes).model_dump(mode="json")))
    return path


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def train(recipe: Path, out: Path, *launcher: str, resume: bool = True) -> subprocess.Popen[str]:
    program = list(launcher) or [sys.executable, "-c", PROGRAM]
    arguments = ["train", str(recipe), "--out", str(out), *(["--resume"] if resume else [])]
    return subprocess.Popen(
        [*program, *arguments],
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # A test that runs under nohup ignores SIGHUP, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )


def torchrun(folder: Path) -> list[str]:
    """The command that starts two training processes."""
    script = folder / "segshift_main.py"
    # What is registered first is called last: after the package's own.
    script.write_text(
        # One write each: two processes printing at once mix their words.
        f"import atexit, os\n"
        f"atexit.register(lambda: os.write(1, ({IN_GROUP!r} + f' {{dist.is_initialized()}}\\n').encode()))\n"
        f"import torch.distributed as dist\n{PROGRAM}"
    )
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    return [*launcher, str(script)]


def wait_for_steps(process: subprocess.Popen[str], out: Path) -> None:
    log = out / "metrics.jsonl"
    while process.poll() is None and not (log.is_file() and log.read_text()):
        time.sleep(0.02)


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out, err


def test_two_processes_equal_one(tmp_path: Path, toy_source: Path, toy_target: Path) -> None:
    recipe = write_recipe(tmp_path / "recipe.yaml", toy_source, toy_target, **GAME)
    one, two = tmp_path / "one", tmp_path / "two"
    finish(train(recipe, one))
    said, _ = finish(train(recipe, two, *torchrun(tmp_path)))
    # The group's threads abort a process whose interpreter is taken down before them, every other time.
    assert said.count(f"{IN_GROUP} False") == 2 and f"{IN_GROUP} True" not in said
    # Two that do not know of each other would also equal one.
    for folder, processes in ((one, 1), (two, 2)):
        assert json.loads((folder / "environment.json").read_text())["processes"] == processes
    first, second = load_file(one / "model.safetensors"), load_file(two / "model.safetensors")
    start = torch.load(one / "checkpoints" / "step_00000002.pt", weights_only=True)["method"]
    moved = 0.0
    for name, value in first.items():
        torch.testing.assert_close(
            value, second[name], rtol=1e-4, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}"
        )
        moved = max(moved, (value - start[f"segmenter.{name}"]).abs().max().item())
    assert moved > 1e-5  # far more than the tolerance: the last step was no accident of equality


def saved_steps(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "checkpoints").glob("step_*.pt"))


def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    changes = {**GAME, "training": {"steps": 40, "checkpoint_every": 1, "keep_checkpoints": 1, "workers": 1}}
    recipe = write_recipe(tmp_path / "recipe.yaml", toy_source, toy_target, **changes)
    finish(train(recipe, tmp_path / "straight"))
    for delay in (0.0, 0.07, 0.13):
        before = saved_steps(tmp_path / "killed")
        process = train(recipe, tmp_path / "killed")
        while saved_steps(tmp_path / "killed") == before and process.poll() is None:
            time.sleep(0.005)
        time.sleep(delay)
        process.kill()
        process.communicate()
    finish(train(recipe, tmp_path / "killed"))
    straight, killed = (load_file(tmp_path / name / "model.safetensors") for name in ("straight", "killed"))
    for name in straight:
        assert torch.equal(straight[name], killed[name]), name
    logs = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("straight", "killed")]
    assert logs[0] == logs[1]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_to_all_processes_saves_and_prints_the_command_that_continues(
    tmp_path: Path, toy_source: Path, toy_target: Path, number: int, status: int
) -> None:
    changes = {**GAME, "training": {"steps": 3000, "checkpoint_every": 3000, "workers": 2, "log_every": 1}}
    recipe = write_recipe(tmp_path / "recipe.yaml", toy_source, toy_target, **changes)
    process = train(recipe, tmp_path / "run", resume=False)
    wait_for_steps(process, tmp_path / "run")
    # As terminals, schedulers and service managers do it: the loader's processes get it, too.
    os.killpg(process.pid, number)
    _, err = process.communicate()
    assert process.returncode == status, err
    assert f"train {tmp_path}/run/config.yaml --out {tmp_path}/run --resume" in err
    assert "Traceback" not in err
    assert len(saved_steps(tmp_path / "run")) == 2  # the start, and where the signal came


def test_two_processes_end_with_one_line_when_one_is_lost_and_go_on_together(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    changes = {**GAME, "training": {"steps": 400, "checkpoint_every": 1, "log_every": 1}}
    recipe = write_recipe(tmp_path / "recipe.yaml", toy_source, toy_target, **changes)
    launch = torchrun(tmp_path)
    process = train(recipe, tmp_path / "run", *launch)
    wait_for_steps(process, tmp_path / "run")
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    )
    os.kill(int(listed.stdout.split()[-1]), signal.SIGKILL)
    _, err = process.communicate()
    assert err.count("stopped: another process of this run ended") == 1, err
    done = saved_steps(tmp_path / "run")[-1]
    process = train(recipe, tmp_path / "run", *launch)
    while process.poll() is None and saved_steps(tmp_path / "run")[-1] <= done:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGTERM)
    _, err = process.communicate()
    assert "everything is saved" in err and saved_steps(tmp_path / "run")[-1] > done


def test_two_processes_evaluate_as_one(tmp_path: Path, toy_source: Path, toy_target: Path) -> None:
    recipe = write_recipe(tmp_path / "recipe.yaml", toy_source, toy_target, **GAME)
    finish(train(recipe, tmp_path / "run", *torchrun(tmp_path)))
    # Of the training's two processes each saw a part of the images.
    trained = json.loads((tmp_path / "run" / "results.json").read_text())["evaluation"]
    words = ["evaluate", str(tmp_path / "run"), "--data", str(toy_target), "--boundary", "--json"]
    found = {}
    for name, launcher in (("one", [sys.executable, "-c", PROGRAM]), ("two", torchrun(tmp_path))):
        out = tmp_path / f"{name}.json"
        done = subprocess.run(
            [*launcher, *words, "--out", str(out)], env=environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        found[name] = json.loads(out.read_text())
    assert found["two"] == found["one"]
    assert all(found["one"][key] == value for key, value in trained.items() if key != "protocol")


def test_a_process_whose_other_one_never_comes_ends_with_one_line() -> None:
    program = "import segshift.engine.processes as p\np.PATIENCE_S = 3.0\np.Processes.join()"
    launched = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment(), **launched, "MASTER_PORT": port},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "stopped: 2 processes were launched, and not all of them came within 3 s" in done.stderr
    assert "Traceback" not in done.stderr
