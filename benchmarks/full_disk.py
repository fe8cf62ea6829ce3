"""Let the disk run full in the middle of jobs, make room, call again, compare with undisturbed ones.

    python benchmarks/full_disk.py                       # as root on Linux: it mounts a small tmpfs
    python benchmarks/full_disk.py --obstacles limit

A run (checkpoints), `data prepare`, `data translate`, `data pseudo-label` and `predict` meet an obstacle: a
tmpfs that holds a part of what they make, a limit on the size of a file (`ulimit -f`) below their largest, or
a file system that can only be read. Each has to end with status 2 and one line that says so, and, called
again without the obstacle, to make what it makes undisturbed, bit for bit.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from kill_resume import Job, jobs, made, photos, start, to_the_end

CHOSEN = ("run", "prepare", "translate", "pseudo-label", "predict")
PLENTY_KB = 1 << 20


def mount(folder: Path, *options: str) -> None:
    """A tmpfs at a folder, or one that is there with other options."""
    words = ["mount", "-t", "tmpfs", "-o", ",".join(options), "none", str(folder)]
    subprocess.run(words, check=True)


def full(disk: Path, sizes: list[int]) -> None:
    """Half of the files have room."""
    blocks_kb = sum(-(-size // 4096) * 4 for size in sizes)
    mount(disk, "remount", f"size={max(64, blocks_kb // 2)}k")


def read_only(disk: Path, sizes: list[int]) -> None:
    """Nothing can be written."""
    mount(disk, "remount", "ro")


def limited(sizes: list[int]) -> None:
    """In a job's process: no file may be as large as the largest that it makes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(sizes) // 2,) * 2)


Obstacle = Callable[[Path, list[int]], None]
OBSTACLES: dict[str, Obstacle | None] = {"full": full, "read-only": read_only, "limit": None}


def met(job: Job, folder: Path, expected: dict[str, str], sizes: list[int], name: str) -> dict[str, object]:
    """Run a job against an obstacle, then again without it."""
    disk, heard = folder / name, folder / f"{name}.txt"
    disk.mkdir()
    mount(disk, f"size={PLENTY_KB}k")
    obstacle = OBSTACLES[name]
    try:
        if obstacle is not None:
            obstacle(disk, sizes)
        before = partial(limited, sizes) if obstacle is None else None
        _, status = os.waitpid(start([*job.words, "--out", str(disk / "out")], heard, before), 0)
        said = [line for line in heard.read_text().splitlines() if "cannot be written" in line]
        left = len(list(disk.rglob("*.partial*")))
        mount(disk, "remount", "rw", f"size={PLENTY_KB}k")
        to_the_end(job, disk / "out")
        found = made(disk / "out")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
    return {
        "status": os.waitstatus_to_exitcode(status),
        "said": said[-1].replace(str(folder), "") if said else heard.read_text()[-300:],
        "lines": len(said),
        "half_written_left": left,
        "equal": found == expected and "Traceback" not in heard.read_text(),
    }


def main() -> int:
    """Print what became of each; 0 if all is well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--obstacles", default=",".join(OBSTACLES), help="by commas")
    options = parser.parse_args()
    if os.geteuid() != 0 or sys.platform != "linux":
        print("full_disk.py: mounts a tmpfs, for which it has to be root on Linux", file=sys.stderr)
        return 2
    well = True
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        kinds = jobs(root)
        photos(root)
        for name in CHOSEN:
            # As deep as the others, for what is written relative to it.
            straight = root / name / "plain" / "out"
            to_the_end(kinds[name], straight)
            expected = made(straight)
            sizes = [path.stat().st_size for path in straight.rglob("*") if path.is_file()]
            for obstacle in options.obstacles.split(","):
                row = met(kinds[name], root / name, expected, sizes, obstacle)
                print(name, obstacle, json.dumps(row), flush=True)
                well = well and row["status"] == 2 and row["lines"] == 1 and bool(row["equal"])
    return int(not well)


if __name__ == "__main__":
    sys.exit(main())
