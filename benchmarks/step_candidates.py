"""What might make steps on a CPU faster, each by itself: what stayed, and what did not pay.

python benchmarks/step_candidates.py [--rounds 7]

Ways of doing the same thing are timed in turn, on one thread, in processor seconds, with the shapes of
ResNet-101 and DeepLab-v2's classifier at 512x256. The table has the least of the rounds and how many times as
fast that is as the first way. The allocator's setting cannot be taken back: each of its ways has a process.
"""

import argparse
import copy
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

import timm
import torch
import torch.nn.functional as F
from baselines.steps import step_of
from torch import Tensor, nn
from training_steps import batch_of, method_of, recipe_of

from segshift.engine.settling import keep_freed_memory
from segshift.models.matrix_convolutions import use_matrix_products

Ways = Mapping[str, Callable[[], object]]
HEIGHT, WIDTH = 32, 64  # a stride of 8 at 512x256
CONVOLUTIONS = {
    "3x3, 256 to 256 channels, dilation 2 (23 of them)": (256, 256, 3, 2),
    "3x3, 512 to 512 channels, dilation 4": (512, 512, 3, 4),
    "3x3, 2048 to 19 channels, dilation 12 (a classifier's branch)": (2048, 19, 3, 12),
    "1x1, 1024 to 256 channels": (1024, 256, 1, 1),
    "1x1, 256 to 1024 channels": (256, 1024, 1, 1),
}


def timed(ways: Ways, rounds: int) -> dict[str, float]:
    """The least processor seconds of each way, taken in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for count in range(rounds + 1):
        for name, work in ways.items():
            started = time.process_time()
            work()
            if count:  # the first pays for what is made once
                seconds[name].append(time.process_time() - started)
    return {name: min(taken) for name, taken in seconds.items()}


def row(title: str, seconds: Mapping[str, float]) -> str:
    """A line of the table."""
    first = next(iter(seconds.values()))
    cells = [f"{name} {1e3 * taken:.1f} ms ({first / taken:.2f})" for name, taken in seconds.items()]
    return f"| {title} | {', '.join(cells)} |"


def there_and_back(module: nn.Module, x: Tensor, gradient: Tensor) -> Callable[[], None]:
    """A forward and a backward pass."""

    def work() -> None:
        module(x.detach().requires_grad_()).backward(gradient)
        module.zero_grad()

    return work


class _Product(nn.Module):
    """A 1x1 convolution as one product of pixels and weights."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight = conv.weight

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) channels_last to (N, K, H, W)."""
        return F.linear(images.permute(0, 2, 3, 1), self.weight.flatten(1)).permute(0, 3, 1, 2)


def convolutions(channels: int, results: int, size: int, dilation: int) -> Ways:
    """The library's in both layouts, and ours."""
    conv = nn.Conv2d(channels, results, size, padding=size // 2 * dilation, dilation=dilation, bias=False)
    images = torch.randn(1, channels, HEIGHT, WIDTH)
    gradient = torch.randn(1, results, HEIGHT, WIDTH)
    last = copy.deepcopy(conv).to(memory_format=torch.channels_last)
    ours = _Product(copy.deepcopy(last)) if size == 1 else nn.Sequential(copy.deepcopy(last))
    use_matrix_products(ours)
    kind = "product" if size == 1 or results < 64 else "Winograd"
    moved = [tensor.contiguous(memory_format=torch.channels_last) for tensor in (images, gradient)]
    return {
        "library": there_and_back(conv, images, gradient),
        "library, channels_last": there_and_back(last, *moved),
        kind: there_and_back(ours, *moved),
    }


def optimizers(network: nn.Module, kind: type[torch.optim.Optimizer], **settings: float) -> Ways:
    """Default, foreach and fused steps over the same gradients."""
    ways = {}
    for name in ("default", "foreach", "fused"):
        own = copy.deepcopy(network)
        for parameter in own.parameters():
            parameter.grad = 1e-3 * torch.randn_like(parameter)
        further = {} if name == "default" else {name: True}
        ways[name] = kind(own.parameters(), lr=1e-4, **settings, **further).step
    return ways


def averages(network: nn.Module) -> Ways:
    """Moving a teacher towards its student, parameter by parameter and all at once."""
    mine, theirs = ([p.detach() for p in copy.deepcopy(network).parameters()] for _ in range(2))

    def one_by_one() -> None:
        for own, other in zip(mine, theirs, strict=True):
            own.lerp_(other, 0.01)

    return {"one by one": one_by_one, "foreach": lambda: torch._foreach_lerp_(mine, theirs, 0.01)}


def frozen_norms() -> Ways:
    """A frozen batch norm as the library has it, and as one scale and offset."""
    norm = nn.BatchNorm2d(1024).eval().requires_grad_(False)
    x = torch.randn(1, 1024, HEIGHT, WIDTH).contiguous(memory_format=torch.channels_last)
    scale = (norm.weight / (norm.running_var + norm.eps).sqrt()).view(1, -1, 1, 1)
    offset = norm.bias.view(1, -1, 1, 1) - norm.running_mean.view(1, -1, 1, 1) * scale

    class Affine(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.addcmul(offset, images, scale)

    return {"library": there_and_back(norm, x, x), "one scale and offset": there_and_back(Affine(), x, x)}


def allocator(rounds: int) -> dict[str, tuple[float, int]]:
    """Seconds and page faults of a step on the source alone at 512x256, a process for each way."""
    found = {}
    for name in ("given back", "kept"):
        command = [sys.executable, __file__, "--rounds", str(rounds), "--memory", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        seconds, faults = done.stdout.split()
        found[name] = float(seconds), int(faults)
    return found


def whole_step(rounds: int, kept: bool) -> tuple[float, int]:
    """The least processor seconds and page faults of a step, freed memory kept or given back."""
    if kept:
        keep_freed_memory()
    recipe = recipe_of("adaptsegnet", ["training.convolutions=library"], alone=True)
    step = step_of("source_only", method_of(recipe))
    batch = batch_of((512, 256), 1, 1, channels_last=False)
    faults = []

    def work() -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        step(batch)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

    return timed({"step": work}, rounds)["step"], faults[-1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if given.memory:
        print(*whole_step(given.rounds, given.memory == "kept"))
        return
    rounds = given.rounds
    print("| what | ways, and how many times as fast as the first |\n|---|---|", flush=True)
    for title, shape in CONVOLUTIONS.items():
        print(row(title, timed(convolutions(*shape), rounds)), flush=True)
    for name in ("resnet101", "tf_efficientnet_lite0"):
        network = timm.create_model(name)
        sgd = optimizers(network, torch.optim.SGD, momentum=0.9, weight_decay=5e-4)
        print(row(f"SGD, {name}", timed(sgd, rounds)), flush=True)
        print(row(f"AdamW, {name}", timed(optimizers(network, torch.optim.AdamW), rounds)), flush=True)
        print(row(f"average of a teacher, {name}", timed(averages(network), rounds)), flush=True)
    print(row("frozen batch norm, 1024 channels", timed(frozen_norms(), rounds)), flush=True)
    found = allocator(min(rounds, 3))
    seconds = {f"{name} ({faults} page faults)": taken for name, (taken, faults) in found.items()}
    print(row("freed memory, a plain step on the source alone", seconds), flush=True)


if __name__ == "__main__":
    main()
