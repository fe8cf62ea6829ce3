"""Run every preset for two tiny steps (`segshift train NAME --smoke`) and say which ones fail.

    python tools/preset_smoke.py [--jobs 2] [NAME ...]

Presets that are one and the same on tiny images, such as a method's rows for two data sets, run once.
Every one runs in a process of its own, so that none sees what another left behind and one that dies takes
none with it. These are forks of one process that has imported segshift already: importing PyTorch anew a
hundred times takes longer than most presets do. The runs go to a temporary folder.
"""

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

# What `segshift train` imports when it is called, and not before.
_IMPORTED_ONCE = ["segshift.cli", "segshift.engine.presets", "segshift.engine.run", "segshift.engine.smoke"]
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


@dataclass(frozen=True)
class _Running:
    """A preset's process, when it began, and the folder of its run and its output."""

    name: str
    process: ForkServerProcess
    started: float
    folder: Path

    def outcome(self) -> Outcome:
        """Once the process has ended. The run is removed: a hundred large networks would fill a disk."""
        self.process.join()
        status = self.process.exitcode
        assert status is not None  # it has been joined
        output = self.folder / "output.txt"
        text = output.read_text(encoding="utf-8", errors="replace") if output.is_file() else ""
        shutil.rmtree(self.folder, ignore_errors=True)
        return Outcome(self.name, status, time.monotonic() - self.started, text)


def _train(name: str, folder: Path) -> None:
    """In a process of its own: the command line, called as `segshift` on the PATH calls it."""
    with (folder / "output.txt").open("wb") as stream:
        for descriptor in (1, 2):
            os.dup2(stream.fileno(), descriptor)
    from segshift.cli import main

    sys.argv = ["segshift", "train", name, "--smoke", "--out", str(folder / "run")]
    main()


def _start(context: ForkServerContext, name: str, folder: Path) -> _Running:
    folder.mkdir()
    process = context.Process(target=_train, args=(name, folder))
    process.start()
    return _Running(name, process, time.monotonic(), folder)


def run_presets(names: Sequence[str], jobs: int, folder: Path) -> Iterator[Outcome]:
    """Train the presets, `jobs` at a time, and say of each how it fared as soon as it ends.

    Args:
        names: presets or YAML files.
        jobs: how many run at the same time.
        folder: gets a folder per preset while it runs.
    """
    os.environ.update(_ENVIRONMENT)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED_ONCE)
    waiting = list(enumerate(names))
    running: dict[int, _Running] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                number, name = waiting.pop(0)
                started = _start(context, name, folder / str(number))
                running[started.process.sentinel] = started
            for sentinel in wait(list(running)):
                assert isinstance(sentinel, int)  # sentinels are all that is waited for
                yield running.pop(sentinel).outcome()
    finally:
        for left in running.values():
            left.process.terminate()


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
