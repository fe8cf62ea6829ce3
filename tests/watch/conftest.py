"""A folder of runs in every state, written as a run writes it, without training."""

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segshift.documents import dump_yaml
from segshift.engine.recipe import Recipe
from tests.engine.recipes import ADVERSARIAL, toy_recipe


class Runs:
    """Makes run folders below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def begin(self, name: str, **changes: Any) -> Path:
        recipe: Recipe = toy_recipe(Path("source.yaml"), Path("target.yaml"), method=ADVERSARIAL, **changes)
        folder = self.root / name
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "config.yaml").write_text(dump_yaml(recipe.model_dump(mode="json")))
        return folder

    def log(self, folder: Path, first: int, last: int, **more: Any) -> None:
        folder.mkdir(exist_ok=True)
        with (folder / "metrics.jsonl").open("a") as stream:
            for step in range(first, last + 1):
                losses = {"segmenter/supervised": 2 / step, "advent/source": 0.69, "advent/target": 0.7}
                roles = {"segmenter": "task", "advent": "adversary"}
                line = {"step": step, "losses": losses, "lr": {"segmenter": 1e-3}, "roles": roles}
                stream.write(json.dumps(line) + "\n")
            if more:
                stream.write(json.dumps({"step": last, **more}) + "\n")

    def evaluate(self, folder: Path, step: int, miou: float) -> None:
        iou = {"sky": miou + 0.1, "<b>ground</b>": miou - 0.1, "box": None}
        self.log(folder, step + 1, step, evaluation={"miou": miou, "iou": iou})

    def finish(self, folder: Path, miou: float) -> None:
        iou = {"sky": miou + 0.1, "<b>ground</b>": miou - 0.1, "box": None}
        results = {"evaluation": {"miou": miou, "iou": iou}}
        (folder / "results.json").write_text(json.dumps(results))

    def hold(self, folder: Path, pid: int, host: str | None = None) -> None:
        since = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        said = {"pid": pid, "host": host or socket.gethostname(), "since": since}
        (folder / ".lock").write_text(json.dumps(said))

    def draw(self, folder: Path, step: int) -> None:
        (folder / "pictures").mkdir(exist_ok=True)
        pixels = np.full((24, 60, 3), step % 256, np.uint8)
        Image.fromarray(pixels).save(folder / "pictures" / f"step_{step:06d}.png")


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "runs")


@pytest.fixture
def every_state(runs: Runs) -> Runs:
    """One run in each state, a comparison and a sweep."""
    live = runs.begin("live", training={"steps": 40})
    runs.log(live, 1, 10)
    runs.evaluate(live, 10, 0.25)
    runs.draw(live, 10)
    runs.hold(live, os.getpid())
    done = runs.begin("done")
    runs.log(done, 1, 6)
    runs.evaluate(done, 6, 0.4)
    runs.finish(done, 0.5)
    stopped = runs.begin("stopped")
    advice = {"symptom": "collapse", "seen": "one <i>class</i> takes over", "remedy": "lower the weight"}
    runs.log(stopped, 1, 4, advice=advice)
    runs.log(runs.begin("burst"), 1, 3, error="step 3: loss is not finite", losses={})
    killed = runs.begin("killed")
    runs.log(killed, 1, 2)
    runs.hold(killed, 2**22 + 1)  # above the largest number of a process
    for seed in (0, 1):
        for arm in ("control", "advent"):
            runs.finish(runs.begin(f"methods/seed_{seed}/{arm}"), 0.3)
    for weight in ("0.1", "0.01"):
        runs.finish(runs.begin(f"weights/weight={weight}/seed_0"), 0.2)
    return runs
