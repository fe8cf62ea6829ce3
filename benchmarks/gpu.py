"""What a GPU makes of training: precision, layout, compiler, memory, share of the peak, gains on real images.

python benchmarks/gpu.py --camvid ROOT --out runs/gpu [--minutes 9]
python benchmarks/gpu.py --cpu-check --out runs/gpu_check      # the same with tiny networks, without a GPU

One command for a machine that is lent for minutes: what was measured so far stands in OUT/gpu.json after
every row, and rows for which the time is up are left out and named. Speed: the papers' networks at 1024x512,
random weights and images, median of the steps, the engine's own step. "Source only" is that of the network
with two heads. The peak is that of the bf16 product of large square matrices, measured first. Gains: the
arms of day_dusk.yaml by `segshift compare`, one seed, on CamVid, which `segshift data prepare` makes small
enough to travel.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from markdown_table import print_table, results
from torch.utils.flop_counter import FlopCounterMode
from training_steps import batch_of, method_of, recipe_of

from segshift.engine.build import build_optimizers, set_learning_rates, step_settings
from segshift.engine.comparison import CONTROL, load_comparison
from segshift.engine.memory import watched
from segshift.engine.step import train_step
from segshift.models.compiling import compile_networks

FOLDER = Path(__file__).resolve().parent
# Name: settings of the recipe, and whether matrix products of float32 may be rounded to TF32.
WAYS: dict[str, tuple[list[str], bool]] = {
    "float32, NCHW": (["training.channels_last=false"], False),
    "float32, channels_last": ([], False),
    "TF32, channels_last": ([], True),
    "bf16, NCHW": (["training.precision=bf16", "training.channels_last=false"], True),
    "bf16, channels_last": (["training.precision=bf16"], True),
    "bf16, channels_last, compiled": (["training.precision=bf16", "training.compile=true"], True),
}
PLAIN, FASTEST = "float32, NCHW", "bf16, channels_last"
METHODS = ("source_only", "adaptsegnet", "clan", "fada", "mean_teacher")
TINY = ["model.backbone=segshift_tiny"]


@dataclass(frozen=True)
class Setting:
    """What is measured where.

    Attributes:
        device: of the networks.
        size: (width, height) of the images.
        images: of each domain.
        steps: that are timed.
        network: settings of the recipes.
        square: side of the matrices for the peak.
        compiler: backend of `torch.compile`.
    """

    device: torch.device
    size: tuple[int, int]
    images: int
    steps: int
    network: Sequence[str]
    square: int
    compiler: str = "inductor"


def wait_for(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_tflops(setting: Setting, times: int = 20) -> float:
    """TFLOP/s of the bf16 product of two square matrices, the best of some."""
    square, device = setting.square, setting.device
    first, second = (torch.randn(square, square, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(times):
        wait_for(device)
        started = time.perf_counter()
        first @ second
        wait_for(device)
        best = min(best, time.perf_counter() - started)
    return 2 * square**3 / best / 1e12


def measured(name: str, way: str, setting: Setting) -> dict[str, Any]:
    """Seconds, memory and floating-point operations of a method's steps in one of the ways."""
    settings, rounded = WAYS[way]
    torch.set_float32_matmul_precision("high" if rounded else "highest")
    torch.backends.cudnn.allow_tf32 = rounded
    alone = name == "source_only"
    recipe = recipe_of("adaptsegnet" if alone else name, [*setting.network, *settings], alone)
    layout = recipe.training.channels_last
    with watched(setting.device) as peak:
        method = method_of(recipe).to(setting.device)
        if layout:
            method.to(memory_format=torch.channels_last)
        optimizers = build_optimizers(method, recipe)
        of_step = step_settings(recipe.training, setting.device)

        def take(step: int) -> float:
            batch = batch_of(setting.size, setting.images, step, layout, setting.device)
            wait_for(setting.device)
            started = time.perf_counter()
            set_learning_rates(optimizers, recipe, step)
            train_step(method, [batch], optimizers, of_step)
            wait_for(setting.device)
            return time.perf_counter() - started

        with FlopCounterMode(display=False) as counter:
            take(0)
        if recipe.training.compile:
            compile_networks(method, setting.compiler)
        first = take(1)
        seconds = statistics.median(take(step) for step in range(2, setting.steps + 2))
    tflop = counter.get_total_flops() / 1e12
    return {
        "method": name,
        "way": way,
        "steps_per_s": 1 / seconds,
        "first_step_s": first,
        "tflop_per_step": tflop,
        "tflops": tflop / seconds,
        "memory_mb": None if peak.bytes is None else peak.bytes / 2**20,
    }


def speed_table(rows: Sequence[dict[str, Any]], peak: float) -> str:
    """Markdown: every row beside the plain way of the same method, and beside the source alone in its way."""
    lines = [
        "| method | way | steps/s | times plain | share of the peak | memory, MB | cost over source only |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    by_key = {(row["method"], row["way"]): row for row in rows}
    for row in rows:
        plain, alone = by_key.get((row["method"], PLAIN)), by_key.get(("source_only", row["way"]))
        cells = [
            row["method"],
            row["way"],
            f"{row['steps_per_s']:.2f}",
            f"{row['steps_per_s'] / plain['steps_per_s']:.2f}" if plain else "n/a",
            f"{row['tflops'] / peak:.2f}",
            f"{row['memory_mb']:.0f}" if row["memory_mb"] else "n/a",
            f"{alone['steps_per_s'] / row['steps_per_s']:.2f}" if alone else "n/a",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plan() -> list[tuple[str, str]]:
    """Methods and ways in the order of what is worth knowing most: the time may be up at any point."""
    first = [
        ("source_only", PLAIN),
        ("source_only", FASTEST),
        ("adaptsegnet", PLAIN),
        ("adaptsegnet", FASTEST),
    ]
    rest = [(name, FASTEST) for name in METHODS] + [("source_only", way) for way in WAYS]
    rest += [("adaptsegnet", way) for way in WAYS] + [(name, PLAIN) for name in METHODS]
    return list(dict.fromkeys(first + rest))


def compared(comparison: Path, words: Sequence[str], out: Path, seconds: float) -> str | None:
    """Run `segshift compare` for so long at most; why there is no whole result, or None."""
    command = [sys.executable, "-c", "from segshift.cli import main; main()", "compare", str(comparison)]
    try:
        done = subprocess.run([*command, *words, "--out", str(out)], timeout=max(1.0, seconds), check=False)
    except subprocess.TimeoutExpired:
        return "the time was up; finished arms are in the table"
    return None if done.returncode == 0 else f"segshift compare ended with status {done.returncode}"


def main() -> None:
    """Measure speed, then gains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--camvid", help="CamVid's folder; without it no gains are measured")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=9.0, help="after which nothing new is begun")
    parser.add_argument("--cpu-check", action="store_true", help="tiny networks on the CPU: does it run?")
    given = parser.parse_args()
    if not given.cpu_check and not torch.cuda.is_available():
        parser.error("there is no CUDA device; --cpu-check runs everything tiny on the CPU")
    end = time.monotonic() + 60 * given.minutes
    if given.cpu_check:
        setting = Setting(torch.device("cpu"), (64, 64), 1, 1, TINY, 64, "aot_eager")
    else:
        setting = Setting(torch.device("cuda"), (1024, 512), 2, 10, (), 8192)
    given.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"device": _name(setting.device), "torch": torch.__version__, "rows": []}
    found["peak_tflops"] = peak_tflops(setting)
    # Half of the time for the gains, which need a trained start.
    end_of_speed = end - 30 * given.minutes if given.camvid else end
    left_out = []
    for name, way in plan():
        if time.monotonic() > end_of_speed:
            left_out.append(f"{name}: {way}")
            continue
        found["rows"].append(measured(name, way, setting))
        (given.out / "gpu.json").write_text(json.dumps(found, indent=1) + "\n")
    print(f"{found['device']}, torch {found['torch']}, bf16 product {found['peak_tflops']:.1f} TFLOP/s\n")
    print(speed_table(found["rows"], found["peak_tflops"]))
    if left_out:
        print(f"\nLeft out, the time was up: {'; '.join(left_out)}")
    if given.camvid:
        gains(given.camvid, given.out / "day_dusk", end - time.monotonic(), given.cpu_check)


def gains(camvid: str, out: Path, seconds: float, check: bool) -> None:
    """Print what the methods of day_dusk.yaml gain on CamVid, one seed, as far as the time goes."""
    root, file = f"camvid:{camvid}", FOLDER / "day_dusk.yaml"
    settings = [
        f"recipe.evaluation.dataset={root}",
        f"recipe.evaluation.source_validation={root}:day_test",
        f"recipe.training.precision={'fp32' if check else 'bf16'}",
    ]
    if check:
        settings += ["start.training.steps=1", "start.training.evaluate_every=0", "recipe.training.steps=1"]
    words = [word for setting in settings for word in ("--set", setting)]
    words += ["--source", root, "--target", root, "--seeds", "0", "--device", "cpu" if check else "cuda"]
    problem = compared(file, words, out, seconds)
    if problem:
        print(f"\n{problem}")
    if results(out, CONTROL):
        print()
        print_table(out, load_comparison(file, settings))


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


if __name__ == "__main__":
    main()
