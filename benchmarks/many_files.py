"""Memory that `segshift predict` takes for a folder of many files, before and while it predicts.

    python benchmarks/many_files.py --files 100000

Makes a folder of hard links to tiny images, goes the way of the command (find, look at every header, take
every second file), and prints the process's memory after each, less what it had before. The network is
left out: what it takes does not depend on how many files there are.
"""

import argparse
import json
import os
import tempfile
from itertools import islice
from pathlib import Path

from PIL import Image

from segshift.cli.predicted_files import usable_files
from segshift.data.photos import find_photos
from segshift.data.walk import is_video_name

_PER_FOLDER = 1000


def make(root: Path, files: int) -> None:
    """A drive of `files` frames in folders of a thousand."""
    for start in range(0, files, _PER_FOLDER):
        folder = root / f"drive_2026_11_{start // _PER_FOLDER:04d}"
        folder.mkdir(parents=True)
        first = folder / "frame_000000_camera_front.png"
        Image.new("RGB", (8, 6)).save(first)
        for number in range(1, min(_PER_FOLDER, files - start)):
            os.link(first, folder / f"frame_{number:06d}_camera_front.png")


def megabytes(key: str) -> float:
    """This process's memory, `VmRSS` now or `VmHWM` at most so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) / 1024


def main() -> None:
    """Print a JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    count = parser.parse_args().files
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "drive"
        make(root, count)
        find_photos([next(root.iterdir())])  # what is loaded once
        start = megabytes("VmRSS")
        figures = {"files": count, "before_mb": round(start)}
        photos = find_photos([root], Path(scratch) / "out", videos=True)
        figures["listed_mb"] = round(megabytes("VmRSS") - start)
        named = usable_files(photos, False, Path(scratch) / "out", print)
        figures["headers_seen_mb"] = round(megabytes("VmRSS") - start)
        mine = sum(not is_video_name(path.name) for path in islice(named.values(), 0, None, 2))
        figures |= {"mine": mine, "most_mb": round(megabytes("VmHWM") - start)}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
