"""Seconds, memory and heavy libraries of commands that need no network: a process of its own for each.

python benchmarks/startup.py
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile

HEAVY = ("torch", "torchvision", "timm", "cv2", "sklearn", "matplotlib", "scipy", "accelerate")
COMMANDS = (
    "--help",
    "--version",
    "presets list",
    "presets show advent",
    "data list",
    "data show gta5",
    "train advnt",
    "train advent --set training.stepz=3",
    "train advent --source camvid:gone",
    "train advent --device gpu",
    "evaluate gone --data city:game",
    "data check gone.yaml",
)
_CHILD = f"""
import sys
from segshift.cli import main
try:
    main()
except SystemExit:
    pass
import os
os.write(3, " ".join(name for name in {HEAVY!r} if name in sys.modules).encode())
"""
# Beside them, what everything cost before: one import.
_TORCH = "import torch, os; os.write(3, b'torch')"


def measure(code: str, words: list[str], folder: str) -> tuple[float, float, str]:
    """Processor seconds, peak memory in MB and the heavy libraries of one process."""
    reading, writing = os.pipe()

    def keep() -> None:
        os.dup2(writing, 3)

    child = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(writing, 3),
        preexec_fn=keep,
    )
    os.close(writing)
    loaded = os.read(reading, 4096).decode()
    os.close(reading)
    _, _, used = os.wait4(child.pid, 0)
    child.returncode = 0
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, loaded


def main() -> None:
    """Print a table of the commands, the least of some repetitions each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    print("| command | processor seconds | peak MB | heavy libraries |\n|---|---:|---:|---|")
    with tempfile.TemporaryDirectory() as folder:
        rows = [("(import torch alone)", _TORCH, "")]
        rows += [(f"segshift {command}", _CHILD, command) for command in COMMANDS]
        for name, code, command in rows:
            runs = [measure(code, shlex.split(command), folder) for _ in range(repeat)]
            seconds, memory, loaded = min(runs)
            print(f"| `{name}` | {seconds:.2f} | {memory:.0f} | {loaded or 'none'} |", flush=True)


if __name__ == "__main__":
    main()
