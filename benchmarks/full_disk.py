"""Let the disk run full in the middle of jobs, make room, call again, compare with undisturbed ones.

    python benchmarks/full_disk.py        # as root on Linux: it mounts a small tmpfs

A run (checkpoints), `data prepare`, `data translate`, `data pseudo-label` and `predict` write into a tmpfs
that holds a part of what they make. Each has to end with status 2 and one line that says so, and, called
again with enough room, to make what it makes undisturbed, bit for bit.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from kill_resume import Job, jobs, made, photos, start, to_the_end

CHOSEN = ("run", "prepare", "translate", "pseudo-label", "predict")


def mount(folder: Path, kilobytes: int, how: str = "size") -> None:
    """A tmpfs of so many kilobytes at a folder."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"{how}={kilobytes}k", "none", str(folder)], check=True)


def filled(job: Job, folder: Path, share: float) -> dict[str, object]:
    """Run a job where only a share of its files has room, then again where all have."""
    # As deep as the other, for what is written relative to it.
    straight = folder / "plain" / "out"
    to_the_end(job, straight)
    expected = made(straight)
    blocks = sum(-(-path.stat().st_size // 4096) * 4 for path in straight.rglob("*") if path.is_file())
    disk, heard = folder / "disk", folder / "stderr"
    disk.mkdir()
    mount(disk, max(64, int(share * blocks)))
    try:
        _, status = os.waitpid(start([*job.words, "--out", str(disk / "out")], heard), 0)
        said = [line for line in heard.read_text().splitlines() if "cannot be written" in line]
        left = len(list(disk.rglob("*.partial*")))
        mount(disk, 20 * blocks + 4096, "remount,size")
        to_the_end(job, disk / "out")
        found = made(disk / "out")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
    trace = "Traceback" in heard.read_text()
    return {
        "status": os.waitstatus_to_exitcode(status),
        "said": said[-1].replace(str(folder), "") if said else "",
        "half_written_left": left,
        "equal": found == expected and not trace,
    }


def main() -> int:
    """Print what became of each; 0 if all is well."""
    if os.geteuid() != 0 or sys.platform != "linux":
        print("full_disk.py: mounts a tmpfs, for which it has to be root on Linux", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        kinds = jobs(root)
        photos(root)
        rows = {}
        for name in CHOSEN:
            (root / name).mkdir()
            rows[name] = filled(kinds[name], root / name, 0.5)
            print(name, json.dumps(rows[name]), flush=True)
    return int(not all(row["status"] == 2 and row["said"] and row["equal"] for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
