"""Run every preset for two tiny steps (`segshift train NAME --smoke`) and say which ones fail.

    python -m tools.preset_smoke [--jobs 2] [NAME ...]

Presets that are one and the same on tiny images, such as a method's rows for two data sets, run once.
Every one runs in a process of its own, so that none sees what another left behind and one that dies takes
none with it; PyTorch is imported once for all (forked_segshift.py). The runs go to a temporary folder.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tools.forked_segshift import forked_segshift

# The runs stand side by side; threads of their own would only get in each other's way. The other two make
# glibc keep the memory of large tensors instead of asking the system for it again with every layer.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
}


@dataclass(frozen=True)
class Outcome:
    """How one preset fared: its exit status, its duration and what it printed."""

    name: str
    status: int
    seconds: float
    output: str


def _run(name: str, command: Path, folder: Path) -> Outcome:
    """Train one preset. Its run is removed: a hundred large networks would fill a disk."""
    started = time.monotonic()
    result = subprocess.run(
        [command, "train", name, "--smoke", "--out", folder],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    shutil.rmtree(folder, ignore_errors=True)
    return Outcome(name, result.returncode, time.monotonic() - started, result.stdout)


def run_presets(names: Sequence[str], jobs: int, folder: Path) -> Iterator[Outcome]:
    """Train the presets, `jobs` at a time, and say of each how it fared as soon as it ends.

    Args:
        names: presets or YAML files.
        jobs: how many run at the same time.
        folder: gets a folder per preset while it runs.
    """
    os.environ.update(_ENVIRONMENT)
    with forked_segshift() as commands, ThreadPoolExecutor(jobs) as workers:
        started = [
            workers.submit(_run, name, commands / "segshift", folder / str(number))
            for number, name in enumerate(names)
        ]
        for one in as_completed(started):
            yield one.result()


def distinct(names: Sequence[str]) -> dict[str, list[str]]:
    """The presets that differ on tiny images, each with the names of those that are the same there."""
    from segshift.engine.presets import load_recipe
    from segshift.engine.smoke import smoke_recipe

    apart = {"name", "description", "group", "provenance", "classes"}
    first: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    for name in names:
        tiny = smoke_recipe(load_recipe(name)).model_dump_json(exclude=apart)
        found.setdefault(first.setdefault(tiny, name), []).append(name)
    return found


def main() -> int:
    """Run the presets and print one line for each; 1 when one failed or there is none."""
    parser = argparse.ArgumentParser(description="Run every preset for two tiny steps.")
    parser.add_argument("names", nargs="*", help="presets to run (default: all)")
    parser.add_argument("--jobs", type=int, default=2, help="presets that run at the same time")
    arguments = parser.parse_args()
    names = arguments.names
    if not names:
        from segshift.engine.presets import preset_names

        names = preset_names()
    if not names:
        print("preset_smoke: there is no preset")
        return 1
    same = distinct(names)
    failed: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="segshift-smoke-") as folder:
        for outcome in run_presets(list(same), arguments.jobs, Path(folder)):
            verdict = "ok" if outcome.status == 0 else f"FAILED with exit status {outcome.status}"
            others = "".join(f", {name}" for name in same[outcome.name][1:])
            print(f"  {outcome.name:<44} {outcome.seconds:6.1f} s  {verdict}{others}", flush=True)
            if outcome.status != 0:
                failed.append(outcome)
    for outcome in failed:
        print(f"\n--- {outcome.name}\n" + "\n".join(outcome.output.splitlines()[-30:]))
    print(f"{len(same) - len(failed)} of {len(same)} presets ran, for {len(names)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
