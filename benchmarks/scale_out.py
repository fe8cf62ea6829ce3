"""Several processes on this machine: what two cost beside one, a restart after a kill, shared prediction.

    python benchmarks/scale_out.py scaling
    python benchmarks/scale_out.py restart
    python benchmarks/scale_out.py predict --images FOLDER

`scaling` trains the same recipe alone and in two processes (gloo) and prints the clock's and the processors'
seconds per step; from the latter follows the gain that two free cores can give at most. `restart` lets
torchrun restart a run of two processes, of which one is killed with SIGKILL, and compares the result with
an undisturbed run. `predict` labels a folder with two processes, kills one call half-way, ends it with
another, and compares all files with those of a single process. Exit 0 only if the results are equal.
"""

import argparse
import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file

CITY = "city:{style},size=128x96,count=16,val=2"
RECIPE: dict[str, Any] = {
    "name": "scale_out",
    "source": {"dataset": CITY.format(style="game"), "augmentation": {"crop": [96, 96], "flip": True}},
    "target": {"dataset": CITY.format(style="dusk"), "augmentation": {"crop": [96, 96], "flip": True}},
    "model": {"backbone": "segshift_tiny", "weights": "none"},
    "method": {"name": "align", "terms": [{"term": "advent", "base_channels": 16}]},
    "training": {"batch_size": 4, "checkpoint_every": 10, "log_every": 1, "threads": 1, "workers": 0},
}
MODULE = ["-m", "segshift.cli"]


def launcher(processes: int, *options: str) -> list[str]:
    """What starts `python -m segshift.cli` so many times."""
    if processes == 1:
        return [sys.executable]
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    return [*run, *options]


def recipe(folder: Path, steps: int) -> Path:
    """The recipe as a file."""
    path = folder / f"recipe_{steps}.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, "training": {**RECIPE["training"], "steps": steps}}))
    return path


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds of the clock and of the processors, of a command and all that it starts."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - start, used


def train(folder: Path, steps: int, processes: int, name: str, *options: str) -> list[str]:
    """The command that trains into `folder/name`."""
    words = ["train", str(recipe(folder, steps)), "--out", str(folder / name), "--resume"]
    return [*launcher(processes, *options), *MODULE, *words]


def scaling(folder: Path, short: int = 10, long: int = 70) -> dict[str, Any]:
    """Seconds per step, a long run less a short one: neither start-up nor evaluation counts."""
    rows: dict[str, Any] = {"load": os.getloadavg()[0]}
    for processes in (1, 2):
        ends = [timed(train(folder, steps, processes, f"{processes}_{steps}")) for steps in (short, long)]
        clock, used = ((ends[1][index] - ends[0][index]) / (long - short) for index in (0, 1))
        rows[f"processes_{processes}"] = {"clock_s_per_step": clock, "cpu_s_per_step": used}
    one, two = (rows[f"processes_{processes}"] for processes in (1, 2))
    rows["speedup_by_clock"] = one["clock_s_per_step"] / two["clock_s_per_step"]
    rows["speedup_at_most_on_two_free_cores"] = 2 * one["cpu_s_per_step"] / two["cpu_s_per_step"]
    first, second = (load_file(folder / f"{processes}_{long}" / "model.safetensors") for processes in (1, 2))
    rows["largest_difference_of_weights"] = largest_difference(first, second)
    return {**rows, "equal": rows["largest_difference_of_weights"] < 1e-2}


def largest_difference(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    """Over all tensors, relative to each tensor's largest value."""
    return max(
        ((first[name] - second[name]).abs().max() / first[name].abs().max().clamp_min(1e-12)).item()
        for name in first
        if first[name].is_floating_point()
    )


def workers_of(launched: int) -> list[int]:
    """The processes that a launcher has started."""
    return [int(pid) for pid in Path(f"/proc/{launched}/task/{launched}/children").read_text().split()]


def restart(folder: Path, steps: int = 60) -> dict[str, Any]:
    """Kill one of two processes after step 20; torchrun starts both again, from the last checkpoint."""
    subprocess.run(train(folder, steps, 2, "straight"), check=True, stdout=subprocess.DEVNULL)
    command = train(folder, steps, 2, "restarted", "--max-restarts=3")
    with (folder / "said.txt").open("w+") as said:
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, text=True)
        log = folder / "restarted" / "metrics.jsonl"
        while running.poll() is None and not (log.is_file() and log.read_text().count("\n") > 20):
            time.sleep(0.02)
        os.kill(workers_of(running.pid)[-1], signal.SIGKILL)
        status = running.wait()
        said.seek(0)
        starts = len(re.findall(r"on cpu|goes on|resum", said.read()))
    first, second = (load_file(folder / name / "model.safetensors") for name in ("straight", "restarted"))
    logs = [(folder / name / "metrics.jsonl").read_text() for name in ("straight", "restarted")]
    equal = all(torch.equal(first[name], second[name]) for name in first) and logs[0] == logs[1]
    return {"status": status, "starts_seen": starts, "steps": steps, "equal": equal and status == 0}


def hashes(folder: Path) -> dict[str, str]:
    """Of all predictions below a folder; not of what says how they were made."""
    files = sorted(path for path in folder.rglob("*.png"))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def predict(folder: Path, images: Path) -> dict[str, Any]:
    """Label a folder alone; then by two processes, killed half-way, and again to the end."""
    subprocess.run(train(folder, 2, 1, "model"), check=True, stdout=subprocess.DEVNULL)
    words = ["predict", str(folder / "model"), str(images), "--out"]
    subprocess.run(
        [*launcher(1), *MODULE, *words, str(folder / "one")], check=True, stdout=subprocess.DEVNULL
    )
    whole = hashes(folder / "one")
    two = [*launcher(2), *MODULE, *words, str(folder / "two")]
    killed = subprocess.Popen(
        two, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while killed.poll() is None and len(hashes(folder / "two")) < len(whole) // 2:
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    time.sleep(1)
    before = len(hashes(folder / "two"))
    done = subprocess.run([*two, "--json"], check=True, capture_output=True, text=True)
    listed = len(json.loads(done.stdout)["predictions"])
    equal = hashes(folder / "two") == whole
    return {"files": len(whole), "there_after_the_kill": before, "images_listed": listed, "equal": equal}


def main() -> int:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["scaling", "restart", "predict"])
    parser.add_argument("--images", type=Path, help="the folder that `predict` labels")
    options = parser.parse_args()
    if options.what == "predict" and options.images is None:
        parser.error("predict needs --images FOLDER")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        measure = {"scaling": scaling, "restart": restart, "predict": lambda _: predict(_, options.images)}
        figures = measure[options.what](folder)
    print(json.dumps(figures, indent=2))
    return int(not figures["equal"])


if __name__ == "__main__":
    sys.exit(main())
