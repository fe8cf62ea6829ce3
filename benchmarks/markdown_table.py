"""Print a comparison's runs as Markdown, finished or not: what stands in RESULTS.md.

    python benchmarks/markdown_table.py runs/day_dusk benchmarks/camvid_day_dusk.yaml

An arm that some seeds lack is printed with the seeds that there are, and its gain over their control.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from segshift.engine.comparison import CONTROL, ORACLE, START, Comparison, load_comparison, spread


def results(folder: Path, arm: str) -> dict[str, dict[str, Any]]:
    """seed folder's name -> results.json of one arm."""
    found = sorted(folder.glob(f"seed_*/{arm}/results.json"))
    return {path.parent.parent.name: json.loads(path.read_text()) for path in found}


def points(values: list[float], signed: bool = False) -> str:
    """Mean ± standard deviation in percent, and the single values."""
    std = spread(values)
    text = f"{statistics.fmean(values):+.1f}" if signed else f"{statistics.fmean(values):.1f}"
    single = ", ".join(f"{value:+.1f}" if signed else f"{value:.1f}" for value in values)
    return text if std is None else f"{text} ± {std:.1f} ({single})"


def print_table(folder: Path, comparison: Comparison) -> None:
    """The scores, then the mean IoU of every class."""
    arms = [START, *comparison.arms]
    found = {arm: results(folder, arm) for arm in arms}
    miou = {arm: {seed: 100 * r["evaluation"]["miou"] for seed, r in found[arm].items()} for arm in arms}
    print("| arm | seeds | mIoU | gain over the control |\n|---|---|---|---|")
    for arm in arms:
        gain = [miou[arm][s] - miou[CONTROL][s] for s in miou[arm] if s in miou[CONTROL]]
        label = "common start" if arm == START else comparison.arms[arm].label
        mark = " (target labels)" if arm == ORACLE and "target labels" not in label else ""
        if miou[arm]:
            shown = "" if arm in (START, CONTROL) or not gain else points(gain, signed=True)
            print(f"| {label}{mark} | {len(miou[arm])} | {points(list(miou[arm].values()))} | {shown} |")
    names = list(next(iter(found[CONTROL].values()))["evaluation"]["iou"])
    print("\n| class | " + " | ".join(arms) + " |\n|---" + "|---" * len(arms) + "|")
    for name in names:
        cells = []
        for arm in arms:
            scores = [r["evaluation"]["iou"][name] for r in found[arm].values()]
            known = [100 * score for score in scores if score is not None]
            cells.append(f"{statistics.fmean(known):.1f}" if known else "n/a")
        print(f"| {name} | " + " | ".join(cells) + " |")


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description="Print a comparison's runs as Markdown.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("comparison", type=Path)
    arguments = parser.parse_args()
    print_table(arguments.folder, load_comparison(arguments.comparison))


if __name__ == "__main__":
    main()
