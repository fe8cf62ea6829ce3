"""Does the demo's best method gain over the equal-step control with every seed?

    python benchmarks/demo_gain.py --seeds 0,1,2,3,4 --out runs/demo_gain

Runs `segshift demo` with these seeds and prints the gain of the method that is best in the mean, and of the
best of each seed. Exits 0 if the former is at least 3 mIoU points in the mean and positive each time.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

LEAST_MEAN_GAIN = 3.0


def main() -> int:
    """Run the demo and judge it."""
    parser = argparse.ArgumentParser(description="Gain of the demo's best method over several seeds.")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--out", type=Path, default=Path("runs/demo_gain"))
    arguments = parser.parse_args()
    program = "from segshift.cli import main; main()"
    options = ["--json", "--seeds", arguments.seeds, "--out", str(arguments.out)]
    command = [sys.executable, "-c", program, "demo", *options]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    comparison = json.loads(printed)
    arms = {row["arm"]: [100 * gain for gain in row["gain"]] for row in comparison["rows"]}
    oracle = {row["arm"] for row in comparison["rows"] if row["uses_target_labels"]}
    methods = {name: gain for name, gain in arms.items() if name not in {"start", "control"} | oracle}
    for name, gain in methods.items():
        listed = ", ".join(f"{value:+.1f}" for value in gain)
        print(f"{name:14} mean {statistics.fmean(gain):+5.1f}  per seed {listed}")
    best = max(methods, key=lambda name: statistics.fmean(methods[name]))
    enough = statistics.fmean(methods[best]) >= LEAST_MEAN_GAIN and min(methods[best]) > 0
    verdict = "at least" if enough else "NOT"
    print(f"best: {best}; {verdict} {LEAST_MEAN_GAIN:+.0f} in the mean and positive each time")
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
