"""What a training step costs, ours beside plain PyTorch of the public codes' shape, step by step in turn.

python benchmarks/training_steps.py [--methods adaptsegnet,fada] [--size 256x128] [--rounds 5] [--out F.json]

The networks are the papers' (ResNet-101 with DeepLab-v2's classifier; LSD: FCN8s on VGG-16), with random
weights. Both sides start from the same ones and see the same images; the first step's losses must be equal.
Steps of both sides are taken in turn, so that what else the machine does meets them alike; the table has the
least processor seconds of the rounds and their ratios, the file medians and seconds as well. Floating-point
operations are those that PyTorch counts, of convolutions and matrix products. Memory (`--memory`) is the peak
of a process of its own, libraries included.
The overhead factor is a method's cost over that of training the same network on the source alone.
"""

import argparse
import copy
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from baselines.steps import step_of
from torch import nn

from segshift.data.labels import class_set
from segshift.engine.build import build, build_optimizers, set_learning_rates, step_settings
from segshift.engine.feed import to_unit_range
from segshift.engine.memory import watched
from segshift.engine.operations import operations
from segshift.engine.presets import load_recipe
from segshift.engine.recipe import Recipe
from segshift.engine.seeds import seed_step
from segshift.engine.step import train_step
from segshift.methods import Batch, Method
from segshift.models.dropout import Dropout

PRESETS = {
    "adaptsegnet": "adaptsegnet_gta5_cityscapes_resnet101",
    "advent": "advent_gta5_cityscapes_resnet101",
    "clan": "clan_gta5_cityscapes_resnet101",
    "fada": "fada_gta5_cityscapes_resnet101",
    "mean_teacher": "mean_teacher_gta5_cityscapes_resnet101",
    "lsd": "lsd_gta5_cityscapes_fcn8s",
}
SIDES = ("ours", "plain")
TOLERANCE = 1e-3
CPU = torch.device("cpu")
Losses = dict[str, float]


def recipe_of(name: str, further: Sequence[str] = (), alone: bool = False) -> Recipe:
    """The paper's preset with random weights and nothing else that is random; `alone`: on the source only."""
    settings = ["model.weights=none", "training.batch_size=1", "training.micro_batches=1", *further]
    if name == "mean_teacher":
        # What it draws would have to be drawn in the same order by both sides.
        settings += ["method.terms.0.color_jitter=0", "method.terms.0.blur=0"]
    recipe = load_recipe(PRESETS[name], settings)
    return recipe.model_copy(update={"method": {"name": "align"}}) if alone else recipe


def method_of(recipe: Recipe) -> Method:
    """Its networks, in training mode, without dropout."""
    method = build(recipe, class_set("cityscapes19")).train()
    for module in method.modules():
        if isinstance(module, Dropout | nn.Dropout | nn.Dropout2d):
            module.p = 0.0
    return method


def batch_of(
    size: tuple[int, int], images: int, step: int, channels_last: bool, device: torch.device = CPU
) -> Batch:
    """Random images and blocks of random classes, about one pixel in eight ignored."""
    torch.manual_seed(step)
    width, height = size
    pixels = torch.randint(0, 256, (2 * images, 3, height, width), dtype=torch.uint8)
    labels = torch.randint(0, 22, (images, 1, height // 16, width // 16))
    labels = F.interpolate(labels.float(), (height, width), mode="nearest")[:, 0].long()
    source, target = to_unit_range(pixels, device, channels_last).chunk(2)
    return Batch(source, labels.masked_fill(labels > 18, 255).to(device), target, step, 0.0)


def ours(recipe: Recipe, method: Method) -> Callable[[Batch], Losses]:
    """The engine's step with the recipe's settings."""
    if recipe.training.channels_last:
        method.to(memory_format=torch.channels_last)
    optimizers = build_optimizers(method, recipe)
    settings = step_settings(recipe.training, CPU)

    def step(batch: Batch) -> Losses:
        set_learning_rates(optimizers, recipe, batch.step)
        return train_step(method, [batch], optimizers, settings).values()

    return step


class Side:
    """One of the two ways of taking steps, with what it has cost."""

    def __init__(self, side: str, name: str, recipe: Recipe, method: Method, alone: bool) -> None:
        self.channels_last = side == "ours" and recipe.training.channels_last
        plain = "source_only" if alone else name
        self._step = ours(recipe, method) if side == "ours" else step_of(plain, method)
        self.seconds: list[float] = []
        self.cpu_seconds: list[float] = []
        self.gflop = 0.0

    def first(self, size: tuple[int, int], images: int) -> Losses:
        """A step that is counted and not timed: it pays for what is made once."""
        losses: Losses = {}
        self.gflop = operations(lambda: losses.update(self._take(size, images, 0))) / 1e9
        return losses

    def timed(self, size: tuple[int, int], images: int, step: int) -> None:
        """A step that is timed, without making its images."""
        self._take(size, images, step, timed=True)

    def _take(self, size: tuple[int, int], images: int, step: int, timed: bool = False) -> Losses:
        batch = batch_of(size, images, step, self.channels_last)
        seed_step(0, step)
        wall, cpu = time.perf_counter(), time.process_time()
        losses = self._step(batch)
        if timed:
            self.seconds.append(time.perf_counter() - wall)
            self.cpu_seconds.append(time.process_time() - cpu)
        return losses


def sides_of(name: str, further: Sequence[str]) -> dict[tuple[str, bool], Side]:
    """Both sides, adapting and on the source alone, from the same weights."""
    sides = {}
    for alone in (False, True):
        recipe = recipe_of(name, further, alone)
        method = method_of(recipe)
        for side in SIDES:
            sides[side, alone] = Side(side, name, recipe, copy.deepcopy(method), alone)
    return sides


def measured(
    name: str,
    size: tuple[int, int],
    images: int,
    rounds: int,
    further: Sequence[str],
    tolerance: float = TOLERANCE,
) -> dict[str, Any]:
    """The numbers of one method. Raises ValueError where the two sides compute different things."""
    sides = sides_of(name, further)
    for alone in (False, True):
        first, second = (sides[side, alone].first(size, images) for side in SIDES)
        worst = max(abs(first[key] - second[key]) / (abs(second[key]) + 1e-6) for key in first | second)
        if worst > tolerance:
            raise ValueError(f"{name}: the first step's losses differ: {first} and {second}")
    for step in range(1, rounds + 1):
        for one in sides.values():
            one.timed(size, images, step)
    row: dict[str, Any] = {"method": name, "size": list(size), "batch": images, "rounds": rounds}
    for side in SIDES:
        adapting, alone = sides[side, False], sides[side, True]
        row[side] = {
            "seconds": statistics.median(adapting.seconds),
            "least_seconds": min(adapting.seconds),
            "cpu_seconds": statistics.median(adapting.cpu_seconds),
            "least_cpu_seconds": min(adapting.cpu_seconds),
            "gflop": adapting.gflop,
            "gflop_source_only": alone.gflop,
            "factor_gflop": adapting.gflop / alone.gflop,
            "factor_cpu": min(adapting.cpu_seconds) / min(alone.cpu_seconds),
        }
    for key, alone in (("times_faster", False), ("times_faster_source_only", True)):
        plain, own = sides["plain", alone].cpu_seconds, sides["ours", alone].cpu_seconds
        row[key] = min(plain) / min(own)
        row[f"{key}_median"] = statistics.median(a / b for a, b in zip(plain, own, strict=True))
    return row


def peak_mb(side: str, name: str, size: tuple[int, int], images: int, further: Sequence[str]) -> float:
    """The most memory of a process that takes two steps."""
    words = ["--alone", side, "--methods", name, "--size", f"{size[0]}x{size[1]}", "--batch", str(images)]
    for setting in further:
        words += ["--set", setting]
    done = subprocess.run([sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def _take_two_steps(side: str, name: str, size: tuple[int, int], images: int, further: Sequence[str]) -> None:
    recipe = recipe_of(name, further)
    with watched(CPU) as peak:
        taken = Side(side, name, recipe, method_of(recipe), alone=False)
        for step in (0, 1):
            taken.timed(size, images, step)
    print((peak.bytes or 0) / 2**20)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown; ours / plain in each cell with two numbers."""
    lines = [
        "| method | size, batch | CPU s a step, ours / plain | times faster | on the source alone "
        "| GFLOP, ours / plain | factor by GFLOP | factor by CPU s | peak MB |",
        "|---|---|---|---:|---:|---|---|---|---|",
    ]
    for row in rows:
        ours_, plain = row["ours"], row["plain"]
        cells = [
            row["method"],
            f"{row['size'][0]}x{row['size'][1]}, {row['batch']}",
            f"{ours_['least_cpu_seconds']:.2f} / {plain['least_cpu_seconds']:.2f}",
            f"{row['times_faster']:.2f}",
            f"{row['times_faster_source_only']:.2f}",
            f"{ours_['gflop']:.0f} / {plain['gflop']:.0f}",
            f"{ours_['factor_gflop']:.3f} / {plain['factor_gflop']:.3f}",
            f"{ours_['factor_cpu']:.2f} / {plain['factor_cpu']:.2f}",
            f"{ours_['peak_mb']:.0f} / {plain['peak_mb']:.0f}" if "peak_mb" in ours_ else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", default=",".join(PRESETS))
    parser.add_argument("--size", default="256x128", help="WIDTHxHEIGHT of both domains")
    parser.add_argument("--batch", type=int, default=1, help="images of each domain")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--set", action="append", default=[], help="a.b=c of the recipes, such as a tiny network"
    )
    parser.add_argument("--memory", action="store_true", help="also the peaks, in a process for each")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="of the losses; more for bf16")
    parser.add_argument("--out", type=Path, help="JSON of all numbers")
    parser.add_argument("--alone", choices=SIDES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    width, height = (int(side) for side in given.size.split("x"))
    size = (width, height)
    if given.alone:
        _take_two_steps(given.alone, given.methods, size, given.batch, given.set)
        return
    rows = []
    for name in given.methods.split(","):
        row = measured(name, size, given.batch, given.rounds, given.set, given.tolerance)
        for side in SIDES if given.memory else ():
            row[side]["peak_mb"] = peak_mb(side, name, size, given.batch, given.set)
        rows.append(row)
        print(table(rows) if name == given.methods.split(",")[-1] else f"{name} done", flush=True)
        if given.out:
            given.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
