"""How fast evaluation counts, beside code of the public implementations' shape, on maps of 2048x1024.

python benchmarks/evaluation.py [--repeat 7]

Logits of 256x128 are smooth random fields, labels the classes of the same fields with noise, so that about
one pixel in twenty begins a run. Milliseconds of processor time, medians, all in turn in one run.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from baselines import evaluation as baseline
from torch import Tensor

from segshift.evaluation import confusion_matrix
from segshift.models.class_ids import upsampled_ids
from segshift.models.resize import upsample
from segshift.sizes import HeightWidth

CLASSES, SIZE = 19, HeightWidth((1024, 2048))


def medians(repeat: int, calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Milliseconds of each, called in turn, so that whatever else the machine does meets all alike."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeat):
        for name, call in calls.items():
            started = time.process_time()
            call()
            taken[name].append(1000 * (time.process_time() - started))
    return {name: statistics.median(values) for name, values in taken.items()}


def main() -> None:
    """Print the times and how many times faster ours is; the counts must be equal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=7)
    repeat = parser.parse_args().repeat
    torch.set_num_threads(1)
    torch.manual_seed(0)
    logits = F.interpolate(torch.randn(1, CLASSES, 16, 32), size=(128, 256), mode="bicubic")
    noise = upsample(torch.randn(1, CLASSES, 32, 64), SIZE)
    label = (upsample(logits, SIZE) + 0.3 * noise).argmax(1)[0].byte()

    def ours() -> Tensor:
        return confusion_matrix(upsampled_ids(logits, SIZE)[0], label, CLASSES)

    ids = torch.from_numpy(baseline.predicted(logits, *SIZE))
    flat, truth = ids.flatten().numpy(), label.flatten().numpy()
    assert (ours().numpy() == baseline.evaluated(logits, label.numpy())).all()
    calls: dict[str, Callable[[], object]] = {
        "count, plain": lambda: baseline.histogram(truth, flat, CLASSES),
        "count, ours": lambda: confusion_matrix(ids, label, CLASSES),
        "up-sample, arg max, count, plain": lambda: baseline.evaluated(logits, label.numpy()),
        "up-sample, arg max, count, ours": ours,
    }
    with torch.inference_mode():
        found = medians(repeat, calls)
    print("| what | plain, ms | ours, ms | times faster |\n|---|---:|---:|---:|")
    for what in ("count", "up-sample, arg max, count"):
        plain, own = found[f"{what}, plain"], found[f"{what}, ours"]
        print(f"| {what} | {plain:.1f} | {own:.1f} | {plain / own:.2f} |")


if __name__ == "__main__":
    main()
