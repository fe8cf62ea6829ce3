"""Run every preset for two tiny steps (`segshift train NAME --smoke`) and say which ones fail.

    python tools/preset_smoke.py [--jobs 2] [NAME ...]

`segshift` is taken from the PATH, as a user would. The runs go to a temporary folder.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """How one preset fared: its exit status, its duration and the end of what it printed."""

    name: str
    status: int
    seconds: float
    output: str


def preset_names() -> list[str]:
    """The names that `segshift presets list --json` prints, in its order."""
    command = ["segshift", "presets", "list", "--json"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    return [preset["name"] for preset in json.loads(result.stdout)]


def smoke(name: str, folder: Path) -> Outcome:
    """Train the preset `name` for two tiny steps into a folder of its own below `folder`."""
    started = time.monotonic()
    run = folder / name
    result = subprocess.run(
        ["segshift", "train", name, "--smoke", "--out", str(run)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # The runs stand side by side; threads of their own would only get in each other's way.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    # Checkpoints of a hundred large networks would fill a disk.
    shutil.rmtree(run, ignore_errors=True)
    return Outcome(name, result.returncode, time.monotonic() - started, result.stdout)


def main() -> int:
    """Run the presets and print one line for each; 1 when one failed or there is none."""
    parser = argparse.ArgumentParser(description="Run every preset for two tiny steps.")
    parser.add_argument("names", nargs="*", help="presets to run (default: all)")
    parser.add_argument("--jobs", type=int, default=2, help="presets that run at the same time")
    arguments = parser.parse_args()
    names = arguments.names or preset_names()
    if not names:
        print("preset_smoke: `segshift presets list --json` names no preset")
        return 1
    failed: list[Outcome] = []
    with (
        tempfile.TemporaryDirectory(prefix="segshift-smoke-") as folder,
        ThreadPoolExecutor(arguments.jobs) as pool,
    ):
        for outcome in pool.map(lambda name: smoke(name, Path(folder)), names):
            verdict = "ok" if outcome.status == 0 else f"FAILED with exit status {outcome.status}"
            print(f"  {outcome.name:<44} {outcome.seconds:6.1f} s  {verdict}", flush=True)
            if outcome.status != 0:
                failed.append(outcome)
    for outcome in failed:
        print(f"\n--- {outcome.name}\n" + "\n".join(outcome.output.splitlines()[-30:]))
    print(f"{len(names) - len(failed)} of {len(names)} presets ran")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
