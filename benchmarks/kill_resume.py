"""Kill a training run with SIGKILL at random instants, resume each time, compare with an undisturbed run.

    python benchmarks/kill_resume.py --kills 20 --seed 0

Checkpoints are written after every step, so that many kills fall into a save. Prints one line per kill and
exits 0 only if the final weights are equal bit for bit.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file

CITY = "city:{style},size=64x48,count=8,val=2"
RECIPE = {
    "name": "kill",
    "source": {"dataset": CITY.format(style="game"), "augmentation": {"crop": [48, 48], "flip": True}},
    "target": {"dataset": CITY.format(style="dusk"), "augmentation": {"crop": [48, 48], "flip": True}},
    "model": {"backbone": "segshift_tiny", "weights": "none"},
    "method": {"name": "align", "terms": [{"term": "advent", "base_channels": 8}, {"term": "mean_teacher"}]},
    "training": {
        "steps": 150,
        "batch_size": 2,
        "checkpoint_every": 1,
        "log_every": 1,
        "threads": 1,
        "workers": 1,
    },
}


def command(recipe: Path, out: Path) -> list[str]:
    """The training command; with --resume it starts as well as continues."""
    program = "from segshift.cli import main; main()"
    return [sys.executable, "-c", program, "train", str(recipe), "--out", str(out), "--resume"]


def saved_step(out: Path) -> int:
    """Steps done according to the newest complete checkpoint; -1 before the first."""
    return max((int(path.stem[5:]) for path in (out / "checkpoints").glob("step_*.pt")), default=-1)


def kill_once(recipe: Path, out: Path, after_seconds: float) -> bool:
    """Run, and kill so long after the first new checkpoint; False if the run ended by itself."""
    before = saved_step(out)
    process = subprocess.Popen(command(recipe, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and saved_step(out) <= before:
        time.sleep(0.01)
    time.sleep(after_seconds)
    if process.poll() is not None:
        return False
    process.kill()
    process.wait()
    return True


def equal_bits(first: Path, second: Path) -> bool:
    """Whether two runs ended with the same model and the same log."""
    mine, theirs = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    same_log = (first / "metrics.jsonl").read_text() == (second / "metrics.jsonl").read_text()
    return same_log and mine.keys() == theirs.keys() and all(torch.equal(mine[k], theirs[k]) for k in mine)


def main() -> int:
    """Run the experiment; 0 if nothing was lost."""
    parser = argparse.ArgumentParser(description="Kill and resume a small run.")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=RECIPE["training"]["steps"])
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        recipe = root / "recipe.yaml"
        RECIPE["training"]["steps"] = arguments.steps
        recipe.write_text(yaml.safe_dump(RECIPE))
        subprocess.run(command(recipe, root / "straight"), check=True, stdout=subprocess.DEVNULL)
        kills, saving = 0, 0
        while kills < arguments.kills:
            if not kill_once(recipe, root / "killed", draw.uniform(0.0, 0.4)):
                break
            kills += 1
            partial = list((root / "killed" / "checkpoints").glob(".step_*"))
            saving += bool(partial)
            where = "while saving" if partial else "between saves"
            print(f"kill {kills}: after step {saved_step(root / 'killed')}, {where}", flush=True)
        subprocess.run(command(recipe, root / "killed"), check=True, stdout=subprocess.DEVNULL)
        equal = equal_bits(root / "straight", root / "killed")
    print(json.dumps({"kills": kills, "of_them_while_saving": saving, "equal_bit_for_bit": equal}))
    return 0 if equal and kills == arguments.kills else 1


if __name__ == "__main__":
    sys.exit(main())
