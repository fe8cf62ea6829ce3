"""What a GPU makes of training: precision, layout, compiler, memory, share of the peak, loading, real gains.

python benchmarks/gpu.py --camvid ROOT --out runs/gpu [--minutes 9]
python benchmarks/gpu.py --cpu-check --out runs/gpu_check      # the same with tiny networks, without a GPU

One command for a machine that is lent for minutes, run blind: every number is printed when it is there, and
stands in OUT/gpu.json then. What fails, or takes longer than its share of the time, is named with its reason
(the traceback is in the file), and the rest goes on; what there was no time for is named, too. The status is
1 when anything failed.

Speed: the papers' networks at 1024x512, random weights and images, median of the steps, the engine's own
step. "Source only" is that of the network with two heads. The peak is that of the bf16 product of large
square matrices, measured first. Loading: images per second that reach the device, augmented by loader
processes or on the device. Gains: the arms of day_dusk.yaml by `segshift compare`, one seed, on CamVid, which
`segshift data prepare` makes small enough to travel; its networks' weights have to be installed (extra
`weights`).
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch
from markdown_table import print_table, results
from training_steps import PRESETS, batch_of, method_of, recipe_of

from segshift.engine.build import build_optimizers, set_learning_rates, step_settings
from segshift.engine.comparison import CONTROL, load_comparison
from segshift.engine.cores import loader_processes
from segshift.engine.datasets import DomainFinder
from segshift.engine.feed import TrainingData
from segshift.engine.memory import watched
from segshift.engine.operations import operations
from segshift.engine.presets import load_recipe
from segshift.engine.processes import Processes
from segshift.engine.settling import settle
from segshift.engine.step import train_step
from segshift.making import time_limit
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
# Most seconds of one row; compiling takes the longest.
ROW_S, COMPILED_ROW_S, LOADING_S = 75.0, 150.0, 60.0
# So long the comparison may save what it has when the time is up.
SAVING_S = 15.0
Result = TypeVar("Result")


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
        loaded: steps whose images are loaded and timed.
    """

    device: torch.device
    size: tuple[int, int]
    images: int
    steps: int
    network: Sequence[str]
    square: int
    compiler: str = "inductor"
    loaded: int = 40


class Findings:
    """What was measured, in a file after every number, and what went wrong.

    Args:
        file: JSON.
        end: by the monotonic clock.
    """

    def __init__(self, file: Path, end: float) -> None:
        self._file, self.end = file, end
        self.found: dict[str, Any] = {"rows": [], "loading": [], "failed": [], "left_out": []}

    def keep(self, **values: Any) -> None:
        """Add, and write the file; a kill leaves the one before or this one."""
        self.found.update(values)
        written = self._file.with_suffix(".new")
        written.write_text(json.dumps(self.found, indent=1) + "\n")
        written.replace(self._file)

    def attempt(self, title: str, seconds: float, work: Callable[[], Result]) -> Result | None:
        """What the work gives; None where it failed, took longer, or there was no time to begin it."""
        left = self.end - time.monotonic()
        if left <= 0:
            self.keep(left_out=[*self.found["left_out"], title])
            return None
        started = time.monotonic()
        try:
            with time_limit(min(seconds, left)):
                return work()
        except Exception as error:
            said = str(error).strip().splitlines()
            took = f"after {time.monotonic() - started:.0f} s"
            reason = "took too long" if isinstance(error, TimeoutError) else f"{said[0] if said else ''}"
            line = f"FAILED {title} {took}: {type(error).__name__}: {reason}"
            print(line, flush=True)
            self.keep(failed=[*self.found["failed"], {"line": line, "traceback": traceback.format_exc()}])
            return None
        finally:
            # Of a failed row nothing may be left in the way of the next.
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


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
        method = settle(method_of(recipe), recipe.training, setting.device)
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

        tflop = operations(lambda: take(0)) / 1e12
        if recipe.training.compile:
            compile_networks(method, setting.compiler)
        first = take(1)
        seconds = statistics.median(take(step) for step in range(2, setting.steps + 2))
    return {
        "method": name,
        "way": way,
        "steps_per_s": 1 / seconds,
        "first_step_s": first,
        "tflop_per_step": tflop,
        "tflops": tflop / seconds,
        "memory_mb": None if peak.bytes is None else peak.bytes / 2**20,
    }


def speed_table(rows: Sequence[dict[str, Any]], peak: float | None) -> str:
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
            f"{row['tflops'] / peak:.2f}" if peak else "n/a",
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


def loading(way: str, setting: Setting) -> dict[str, Any]:
    """Images per second of both domains that reach the device, augmented in one of the ways."""
    width, height = setting.size
    jitter = "{brightness: 0.5, contrast: 0.5, saturation: 0.5, hue: 0.2}"
    changes = ["model.weights=none", f"training.augment_on={way}", f"training.batch_size={setting.images}"]
    for name, style in (("source", "game"), ("target", "dusk")):
        changes += [
            f"{name}.dataset=city:{style},size={width}x{height},count=8,val=1",
            f"{name}.ignored_border=null",
            f"{name}.augmentation={{resize: [{width}, {height}], scale: [0.75, 1.5], crop: "
            f"[{width // 2}, {height // 2}], flip: true, color_jitter: {jitter}, blur: {{}}}}",
        ]
    recipe = load_recipe(PRESETS["adaptsegnet"], changes)
    data = TrainingData(recipe, DomainFinder()(recipe))
    steps = data.steps(Processes(0, 1, setting.device), 0, uses_target=True)
    next(steps)
    wait_for(setting.device)
    started = time.perf_counter()
    taken = sum(1 for _ in islice(steps, setting.loaded))
    wait_for(setting.device)
    seconds = time.perf_counter() - started
    workers = loader_processes(recipe.training.workers, 2)
    return {"way": way, "workers": workers, "images_per_s": 2 * setting.images * taken / seconds}


def compared(comparison: Path, words: Sequence[str], out: Path, seconds: float) -> str | None:
    """Run `segshift compare` for so long at most; why there is no whole result, or None."""
    command = [sys.executable, "-c", "from segshift.cli import main; main()", "compare", str(comparison)]
    running = subprocess.Popen([*command, *words, "--out", str(out)])
    try:
        status = running.wait(max(1.0, seconds - SAVING_S))
    except subprocess.TimeoutExpired:
        running.terminate()
        try:
            running.wait(SAVING_S)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        return "the time was up; finished arms are in the table"
    finally:
        if running.poll() is None:
            running.kill()
    return None if status == 0 else f"segshift compare ended with status {status}"


def main() -> None:
    """Measure speed, then loading, then gains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--camvid", help="CamVid's folder; without it no gains are measured")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=9.0, help="after which everything ends")
    parser.add_argument("--cpu-check", action="store_true", help="tiny networks on the CPU: does it run?")
    given = parser.parse_args()
    if not given.cpu_check and not torch.cuda.is_available():
        parser.error("there is no CUDA device; --cpu-check runs everything tiny on the CPU")
    started = time.monotonic()
    if given.cpu_check:
        setting = Setting(torch.device("cpu"), (64, 64), 1, 1, TINY, 64, "aot_eager", loaded=2)
    else:
        setting = Setting(torch.device("cuda"), (1024, 512), 2, 10, (), 8192)
    given.out.mkdir(parents=True, exist_ok=True)
    whole = 60 * given.minutes
    # Half of the time for the gains, which need a trained start.
    findings = Findings(given.out / "gpu.json", started + (whole / 2 if given.camvid else whole))
    findings.keep(device=_name(setting.device), torch=torch.__version__)
    print(f"{findings.found['device']}, torch {torch.__version__}", flush=True)
    peak = findings.attempt("peak", ROW_S, lambda: peak_tflops(setting))
    if peak is not None:
        findings.keep(peak_tflops=peak)
        print(f"bf16 product {peak:.1f} TFLOP/s", flush=True)
    end_of_speed = findings.end
    findings.end -= LOADING_S
    speed(findings, setting)
    findings.end = end_of_speed
    for way in ("loader", "device"):
        found = findings.attempt(f"loading: {way}", LOADING_S, lambda way=way: loading(way, setting))  # type: ignore[misc]
        if found is not None:
            findings.keep(loading=[*findings.found["loading"], found])
            print(
                f"augmented on the {way}: {found['images_per_s']:.1f} images/s, {found['workers']} loader "
                "processes per domain",
                flush=True,
            )
    print(f"\n{speed_table(findings.found['rows'], peak)}", flush=True)
    if findings.found["left_out"]:
        print(f"\nLeft out, the time was up: {'; '.join(findings.found['left_out'])}", flush=True)
    if given.camvid:
        findings.end = started + whole
        left = findings.end - time.monotonic()
        folder = given.out / "day_dusk"
        findings.attempt("gains", left, lambda: gains(given.camvid, folder, left, given.cpu_check))
    if findings.found["failed"]:
        sys.exit(f"{len(findings.found['failed'])} parts failed: see {given.out / 'gpu.json'}")


def speed(findings: Findings, setting: Setting) -> None:
    """Every row that there is time for."""
    for name, way in plan():
        seconds = COMPILED_ROW_S if "compiled" in way else ROW_S

        def work(name: str = name, way: str = way) -> dict[str, Any]:
            return measured(name, way, setting)

        row = findings.attempt(f"{name}: {way}", seconds, work)
        if row is not None:
            findings.keep(rows=[*findings.found["rows"], row])
            memory = f", {row['memory_mb']:.0f} MB" if row["memory_mb"] else ""
            print(f"{name}: {way}: {row['steps_per_s']:.2f} steps/s{memory}", flush=True)


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
        print(f"\n{problem}", flush=True)
    if results(out, CONTROL):
        print()
        print_table(out, load_comparison(file, settings))
    if problem and "status" in problem:
        raise RuntimeError(problem)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


if __name__ == "__main__":
    main()
