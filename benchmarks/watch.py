"""What a look of `segshift watch` at many runs costs: the first, then with nothing new, then with a new line.

    python benchmarks/watch.py [--runs 316] [--steps 200]

Writes run folders as training leaves them (a recipe, a log with a line a step and an evaluation every 50,
results of all but the last), and prints processor seconds of this process as a Markdown table.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from segshift.documents import dump_yaml
from segshift.engine.presets import load_recipe
from segshift.watch.state import Watch

_CLASSES = tuple(f"class_{index}" for index in range(19))
_EVALUATED_EVERY = 50


def line(step: int) -> str:
    """Of the log of an adversarial run."""
    losses = {"segmenter/supervised": 2 / step, "segmenter/advent": 0.7, "advent/source": 0.69}
    record = {
        "step": step,
        "losses": losses,
        "lr": {"segmenter": 2.5e-4, "advent": 1e-4},
        "roles": {"segmenter": "task", "advent": "adversary"},
    }
    return json.dumps(record) + "\n"


def evaluation(step: int) -> str:
    """A line with an evaluation."""
    iou = dict.fromkeys(_CLASSES, 0.4)
    return json.dumps({"step": step, "evaluation": {"miou": 0.4, "iou": iou}}) + "\n"


def make(root: Path, runs: int, steps: int) -> Path:
    """Run folders below `root`; the last of them, which is not finished."""
    recipe = dump_yaml(load_recipe("advent").model_dump(mode="json"))
    log = "".join(
        line(step) + (evaluation(step) if step % _EVALUATED_EVERY == 0 else "")
        for step in range(1, steps + 1)
    )
    results = json.dumps({"evaluation": {"miou": 0.4, "iou": dict.fromkeys(_CLASSES, 0.4)}})
    for number in range(runs):
        folder = root / f"run_{number:04d}"
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(recipe, encoding="utf-8")
        (folder / "metrics.jsonl").write_text(log, encoding="utf-8")
        if number < runs - 1:
            (folder / "results.json").write_text(results, encoding="utf-8")
    return folder


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=316)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        last = make(root, options.runs, options.steps)
        watch = Watch(root)
        print(f"{options.runs} runs with {options.steps} steps each\n")
        print("| look | processor seconds |\n|---|---:|")
        for look in ("the first", "nothing changed", "one run went on"):
            if look == "one run went on":
                with (last / "metrics.jsonl").open("a", encoding="utf-8") as log:
                    log.write(line(options.steps + 1))
            began = time.process_time()
            states = watch.look()
            print(f"| {look} | {time.process_time() - began:.2f} |", flush=True)
            assert len(states) == options.runs


if __name__ == "__main__":
    main()
