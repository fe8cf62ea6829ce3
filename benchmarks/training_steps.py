"""What a training step costs, ours beside plain PyTorch of the public codes' shape, step by step in turn.

python benchmarks/training_steps.py [--methods adaptsegnet,fada] [--size 256x128] [--rounds 5] [--out F.json]

The networks are the papers' (ResNet-101 with DeepLab-v2's classifier; LSD: FCN8s on VGG-16), with random
weights. Both sides start from the same ones and see the same images; the first step's losses must be equal.
Each side has a process of its own, since ours changes how memory is kept; their steps are taken in turn, so
that what else the machine does meets them alike. The table has medians of seconds and of processor seconds,
and the median of the rounds' ratios; the file has the least of each as well. Floating-point operations are
those that PyTorch counts, of convolutions and matrix products. Memory is the peak of the process while it
takes its second step, libraries included and before it trains on the source alone.
The overhead factor is a method's cost over that of training the same network on the source alone.
"""

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
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
from segshift.engine.settling import settle
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
    settle(method, recipe.training, CPU)
    optimizers = build_optimizers(method, recipe)
    settings = step_settings(recipe.training, CPU)

    def step(batch: Batch) -> Losses:
        set_learning_rates(optimizers, recipe, batch.step)
        return train_step(method, [batch], optimizers, settings).values()

    return step


class Side:
    """One of the two ways of taking steps, adapting and on the source alone."""

    def __init__(self, side: str, name: str, further: Sequence[str], threads: int | None = None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._side, self._name, self._further = side, name, further
        self._channels_last = False
        self._steps: dict[bool, Callable[[Batch], Losses]] = {}

    def first(self, alone: bool, size: tuple[int, int], images: int) -> tuple[Losses, float]:
        """Losses and GFLOP of a step that is not timed: it pays for what is made once."""
        self._steps[alone] = self._new_step(alone)
        losses: Losses = {}

        def take() -> None:
            losses.update(self.timed(alone, size, images, 0)[0])

        return losses, operations(take) / 1e9

    def peak_mb(self, size: tuple[int, int], images: int) -> int:
        """The peak in MiB of an adapting step, after the first."""
        with watched(CPU) as peak:
            self.timed(False, size, images, 1)
        return (peak.bytes or 0) // 2**20

    def _new_step(self, alone: bool) -> Callable[[Batch], Losses]:
        recipe = recipe_of(self._name, self._further, alone)
        method = method_of(recipe)
        if self._side == "plain":
            return step_of("source_only" if alone else self._name, method)
        self._channels_last = recipe.training.channels_last
        return ours(recipe, method)

    def timed(
        self, alone: bool, size: tuple[int, int], images: int, step: int
    ) -> tuple[Losses, float, float]:
        """Losses, seconds and processor seconds of a step, without making its images."""
        batch = batch_of(size, images, step, self._channels_last)
        seed_step(0, step)
        wall, cpu = time.perf_counter(), time.process_time()
        losses = self._steps[alone](batch)
        return losses, time.perf_counter() - wall, time.process_time() - cpu


class RemoteSide:
    """A `Side` in a process of its own; ends with the block."""

    def __init__(self, side: str, name: str, further: Sequence[str], threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, side, name, list(further), threads), daemon=True
        )
        self._process.start()
        theirs.close()

    def __enter__(self) -> "RemoteSide":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.join()

    def first(self, *arguments: Any) -> tuple[Losses, float]:
        """As `Side.first`."""
        return self._ask("first", *arguments)

    def peak_mb(self, *arguments: Any) -> int:
        """As `Side.peak_mb`."""
        return self._ask("peak_mb", *arguments)

    def timed(self, *arguments: Any) -> tuple[Losses, float, float]:
        """As `Side.timed`."""
        return self._ask("timed", *arguments)

    def _ask(self, what: str, *arguments: Any) -> Any:
        self._connection.send((what, arguments))
        return self._connection.recv()


def _serve(connection: Connection, side: str, name: str, further: Sequence[str], threads: int) -> None:
    taken = Side(side, name, further, threads)
    while True:
        try:
            what, arguments = connection.recv()
        except EOFError:
            return
        connection.send(getattr(taken, what)(*arguments))


def measured(
    name: str,
    size: tuple[int, int],
    images: int,
    rounds: int,
    sides: Mapping[str, Side | RemoteSide],
    tolerance: float = TOLERANCE,
) -> dict[str, Any]:
    """The numbers of one method. Raises ValueError where the two sides compute different things."""
    gflop: dict[tuple[str, bool], float] = {}
    peak_mb: dict[str, int] = {}
    for alone in (False, True):
        losses = {}
        for side, one in sides.items():
            losses[side], gflop[side, alone] = one.first(alone, size, images)
            if not alone:
                peak_mb[side] = one.peak_mb(size, images)
        first, second = (losses[side] for side in SIDES)
        worst = max(abs(first[key] - second[key]) / (abs(second[key]) + 1e-6) for key in first | second)
        if worst > tolerance:
            raise ValueError(f"{name}: the first step's losses differ: {first} and {second}")
    seconds: dict[tuple[str, bool], list[float]] = {key: [] for key in gflop}
    cpu_seconds: dict[tuple[str, bool], list[float]] = {key: [] for key in gflop}
    for step in range(2, rounds + 2):
        for side, alone in gflop:
            _, wall, cpu = sides[side].timed(alone, size, images, step)
            seconds[side, alone].append(wall)
            cpu_seconds[side, alone].append(cpu)
    row: dict[str, Any] = {"method": name, "size": list(size), "batch": images, "rounds": rounds}
    for side in SIDES:
        adapting, alone_ = (side, False), (side, True)
        row[side] = {
            "seconds": statistics.median(seconds[adapting]),
            "cpu_seconds": statistics.median(cpu_seconds[adapting]),
            "least_cpu_seconds": min(cpu_seconds[adapting]),
            "cpu_seconds_source_only": statistics.median(cpu_seconds[alone_]),
            "peak_mb": peak_mb[side],
            "gflop": gflop[adapting],
            "gflop_source_only": gflop[alone_],
            "factor_gflop": gflop[adapting] / gflop[alone_],
            "factor_cpu": _ratio(cpu_seconds[adapting], cpu_seconds[alone_]),
        }
    for key, alone in (("times_faster", False), ("times_faster_source_only", True)):
        plain, own = cpu_seconds["plain", alone], cpu_seconds["ours", alone]
        row[key], row[f"{key}_by_least"] = _ratio(plain, own), min(plain) / min(own)
    return row


def _ratio(first: Sequence[float], second: Sequence[float]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(first, second, strict=True))


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown; ours / plain in each cell with two numbers."""
    lines = [
        "| method | size, batch | s a step, ours / plain | CPU s | times faster by CPU s "
        "| on the source alone | GFLOP | factor by GFLOP | factor by CPU s | peak MB |",
        "|---|---|---|---|---:|---:|---|---|---|---|",
    ]
    for row in rows:
        ours_, plain = row["ours"], row["plain"]
        cells = [
            row["method"],
            f"{row['size'][0]}x{row['size'][1]}, {row['batch']}",
            f"{ours_['seconds']:.2f} / {plain['seconds']:.2f}",
            f"{ours_['cpu_seconds']:.2f} / {plain['cpu_seconds']:.2f}",
            f"{row['times_faster']:.2f}",
            f"{row['times_faster_source_only']:.2f}",
            f"{ours_['gflop']:.0f} / {plain['gflop']:.0f}",
            f"{ours_['factor_gflop']:.3f} / {plain['factor_gflop']:.3f}",
            f"{ours_['factor_cpu']:.2f} / {plain['factor_cpu']:.2f}",
            f"{ours_['peak_mb']} / {plain['peak_mb']}",
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
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="of the losses; more for bf16")
    parser.add_argument("--out", type=Path, help="JSON of all numbers")
    given = parser.parse_args()
    width, height = (int(side) for side in given.size.split("x"))
    size = (width, height)
    rows = []
    for name in given.methods.split(","):
        with ExitStack() as processes:
            sides = {
                side: processes.enter_context(RemoteSide(side, name, given.set, given.threads))
                for side in SIDES
            }
            row = measured(name, size, given.batch, given.rounds, sides, given.tolerance)
        rows.append(row)
        print(table(rows) if name == given.methods.split(",")[-1] else f"{name} done", flush=True)
        if given.out:
            given.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
