"""Train for a long time and watch what grows: memory, open files, threads, processes, time per step.

    nice -n 19 python benchmarks/soak.py --minutes 40
    python benchmarks/soak.py --minutes 4 --set training.workers=0      # what grows without loader processes?

One run with two loader workers, an adversary and a teacher, a checkpoint every 200 steps, an evaluation
with label-free scores every 500 and a log line at each step. A sample is taken every 15 seconds; the first
fifth of the time warms up. Prints the slopes with their standard errors, and ends the run by SIGTERM; exit 0
if the run then saved, and nothing of it is left.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

CITY = "city:{style},size=96x64,count=64,val=8"
RECIPE = {
    "name": "soak",
    "source": {"dataset": CITY.format(style="game"), "augmentation": {"crop": [64, 64], "flip": True}},
    "target": {"dataset": CITY.format(style="dusk"), "augmentation": {"crop": [64, 64], "flip": True}},
    "model": {"backbone": "segshift_tiny", "weights": "none"},
    "method": {"name": "align", "terms": [{"term": "advent", "base_channels": 8}, {"term": "mean_teacher"}]},
    "training": {
        "steps": 10_000_000,
        "batch_size": 2,
        "checkpoint_every": 200,
        "evaluate_every": 500,
        "log_every": 1,
        "threads": 1,
        "workers": 2,
        "select": "snd",
    },
}
EVERY_S = 15.0
# For a slope with its error, after the first fifth.
LEAST_SAMPLES = 8


@dataclass(frozen=True)
class Sample:
    """What a run had at one moment, in all its processes together.

    Attributes:
        hours: since the first sample.
        steps: log lines so far.
        megabytes: memory of its own (Pss_Anon: what is shared counts by its share, files do not count).
        files: open in the main process.
        threads: of all processes.
        processes: the run and its loader workers.
        cpu_s: processor time so far.
    """

    hours: float
    steps: int
    megabytes: float
    files: int
    threads: int
    processes: int
    cpu_s: float


def family(pid: int) -> list[int]:
    """A process and what it started, and what those started."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*"):
            found += map(int, (task / "children").read_text().split())
    return found


def sample(pid: int, log: Path, start: float) -> Sample:
    """Look at a run once. Raises OSError while a process of it comes or goes."""
    members = family(pid)
    status = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in members]
    memory = [Path(f"/proc/{one}/smaps_rollup").read_text() for one in members]
    kilobytes = sum(
        int(line.split()[1]) for text in memory for line in text.splitlines() if line[:9] == "Pss_Anon:"
    )
    return Sample(
        (time.monotonic() - start) / 3600,
        log.read_bytes().count(b"\n") if log.is_file() else 0,
        kilobytes / 1024,
        len(os.listdir(f"/proc/{pid}/fd")),
        sum(int(fields[17]) for fields in status),
        len(members),
        sum(int(fields[11]) + int(fields[12]) for fields in status) / os.sysconf("SC_CLK_TCK"),
    )


def watch(child: "subprocess.Popen[str]", log: Path, minutes: float) -> list[Sample]:
    """A sample every EVERY_S seconds from the first step on, as long as the run lives."""
    while child.poll() is None and not log.is_file():
        time.sleep(0.5)
    start, taken = time.monotonic(), []
    while child.poll() is None and time.monotonic() - start < 60 * minutes:
        try:
            taken.append(sample(child.pid, log, start))
        except OSError:
            time.sleep(0.5)  # between two rounds of an evaluation's workers, say
            continue
        time.sleep(EVERY_S)
    return taken


def survivors(members: list[int]) -> list[int]:
    """Those of some processes that are still there after at most ten seconds; ended ones do not count."""
    for _ in range(20):
        there = []
        for one in members:
            with suppress(OSError):
                if Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    there.append(one)
        if not there:
            break
        time.sleep(0.5)
    return there


def slope(samples: list[Sample], name: str) -> tuple[float, float]:
    """Least squares: change per hour, and its standard error if the samples were independent."""
    hours = np.array([one.hours for one in samples])
    values = np.array([float(getattr(one, name)) for one in samples])
    (rise, _), covariance = np.polyfit(hours, values, 1, cov=True)
    return float(rise), float(np.sqrt(covariance[0, 0]))


def cpu_per_step(samples: list[Sample]) -> float:
    """Milliseconds of processor time; on a machine with others at work the clock on the wall says little."""
    first, last = samples[0], samples[-1]
    return 1000 * (last.cpu_s - first.cpu_s) / (last.steps - first.steps)


def summary(samples: list[Sample]) -> dict[str, object]:
    """The figures of a soak after its first fifth."""
    warm = samples[len(samples) // 5 :]
    third = len(warm) // 3
    counts = {name: [getattr(one, name) for one in warm] for name in ("files", "threads", "processes")}
    megabytes = [one.megabytes for one in warm]
    per_hour, error = slope(warm, "megabytes")
    return {
        "minutes": round(60 * samples[-1].hours, 1),
        "steps": samples[-1].steps,
        "samples_after_warm_up": len(warm),
        "megabytes": {
            "first": round(megabytes[0], 1),
            "least": round(min(megabytes), 1),
            "most": round(max(megabytes), 1),
            "last": round(megabytes[-1], 1),
        },
        "megabytes_per_hour": [round(per_hour, 2), round(error, 2)],
        **{name: {"least": min(ones), "most": max(ones), "last": ones[-1]} for name, ones in counts.items()},
        "cpu_ms_per_step_by_third": [
            round(cpu_per_step(part), 1)
            for part in (warm[:third], warm[third : 2 * third], warm[2 * third :])
        ],
    }


def main() -> int:
    """Soak, print, and look whether the end was orderly."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--set", action="append", default=[], help="change a key: training.workers=0")
    options = parser.parse_args()
    minutes, changes = options.minutes, [f"--set={change}" for change in options.set]
    if minutes < 3:
        parser.error("--minutes: three at least, for a slope after the first fifth")
    with tempfile.TemporaryDirectory() as folder:
        recipe, out = Path(folder, "recipe.yaml"), Path(folder, "run")
        recipe.write_text(yaml.safe_dump(RECIPE))
        program = "from segshift.cli import main; main()"
        with Path(folder, "err.txt").open("w+") as said:
            child = subprocess.Popen(
                [sys.executable, "-c", program, "train", str(recipe), "--out", str(out), *changes],
                stdout=subprocess.DEVNULL,
                stderr=said,
                text=True,
                start_new_session=True,
            )
            samples = watch(child, out / "metrics.jsonl", minutes)
            members = family(child.pid) if child.poll() is None else []
            child.send_signal(signal.SIGTERM)
            status = child.wait()
            said.seek(0)
            words = said.read()
            ended = "everything is saved" in words
        left = survivors(members)
    if len(samples) < LEAST_SAMPLES:
        print(
            f"soak.py: {len(samples)} samples, status {status}; the run said: {words[-2000:]}",
            file=sys.stderr,
        )
        return 1
    figures = {**summary(samples), "status": status, "saved": ended, "processes_left": len(left)}
    print(json.dumps(figures, indent=2))
    return int(not ended or bool(left))


if __name__ == "__main__":
    sys.exit(main())
