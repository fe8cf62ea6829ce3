"""What a training step of a recipe costs beside one of plain supervised training of the same network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from torch.optim import Optimizer

from segshift.config import merge, parse
from segshift.engine.build import build, build_optimizers, set_learning_rates, step_settings
from segshift.engine.cores import set_threads
from segshift.engine.cost import timed_step
from segshift.engine.datasets import DomainFinder
from segshift.engine.feed import TrainingData
from segshift.engine.memory import watched
from segshift.engine.operations import operations
from segshift.engine.plan import Job, make_plan
from segshift.engine.processes import Processes
from segshift.engine.recipe import NO_SOURCE, DomainConfig, Recipe
from segshift.engine.settling import settle
from segshift.engine.smoke import with_method_terms
from segshift.errors import InputError
from segshift.methods import Batch
from segshift.models.compiling import compile_networks, compiler_faults
from segshift.progress import Progress
from segshift.sizes import WidthHeight

# The first step pays for what is made once, the second is the first with every buffer in its place.
_WARM_UP = 2
_PLAIN: dict[str, Any] = {
    "method": {"name": "align", "terms": []},
    "pseudo_labelled": None,
    "target_labelled": None,
    "oracle": False,
}
_NO_SOURCE = DomainConfig(dataset=NO_SOURCE)


@dataclass(frozen=True)
class BenchSettings:
    """How steps are measured.

    Attributes:
        size: (width, height) of all images in px; None takes each recipe's own crop.
        batch_size: images per step and domain; None takes the recipe's own.
        rounds: steps that are timed, in turn with steps of the plain training.
    """

    size: WidthHeight | None = None
    batch_size: int | None = None
    rounds: int = 5


@dataclass(frozen=True)
class StepCost:
    """A step of a recipe beside one of plain training: source images and cross-entropy, the same network.

    Attributes:
        title: of the recipe, and of its stage.
        size: (width, height) of the source's images in px.
        batch_size: images of each domain.
        parameters: of the method, those of teachers and adversaries among them.
        seconds: of every timed step.
        plain_seconds: of the plain step before each.
        flops: floating-point operations of a step, forward and backward, as PyTorch counts them.
        plain_flops: of the plain step.
        memory_bytes: the most that the process, or the GPU, took in a step, the network and its optimizers
            included; None where the system does not say.
    """

    title: str
    size: WidthHeight
    batch_size: int
    parameters: int
    seconds: tuple[float, ...]
    plain_seconds: tuple[float, ...]
    flops: int
    plain_flops: int
    memory_bytes: int | None

    @property
    def step_s(self) -> float:
        """Seconds of a step: the median."""
        return median(self.seconds)

    @property
    def time_factor(self) -> float:
        """How many plain steps a step takes: the median over rounds, whose two steps follow each other."""
        pairs = zip(self.seconds, self.plain_seconds, strict=True)
        return median(own / plain for own, plain in pairs)

    @property
    def flop_factor(self) -> float:
        """How many plain steps' operations a step takes."""
        return self.flops / self.plain_flops

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for JSON."""
        return {
            "title": self.title,
            "size": list(self.size),
            "batch_size": self.batch_size,
            "parameters": self.parameters,
            "step_s": self.step_s,
            "seconds": list(self.seconds),
            "plain_seconds": list(self.plain_seconds),
            "time_factor": self.time_factor,
            "flops": self.flops,
            "plain_flops": self.plain_flops,
            "flop_factor": self.flop_factor,
            "memory_bytes": self.memory_bytes,
        }


def bench(recipes: Sequence[Recipe], settings: BenchSettings, progress: Progress) -> list[StepCost]:
    """Measure the steps of every recipe, and of every stage that trains, on rendered images.

    Terms that wake up late are at work from the first step on.

    Args:
        recipes: what to measure, one after the other.
        settings: sizes and rounds.
        progress: is told what is measured.

    Raises:
        InputError: a recipe, size or batch that its networks refuse, or one without any step.
        errors.NonFiniteError: a step that gives no numbers.
    """
    jobs = [
        job
        for recipe in recipes
        for job in make_plan(recipe).jobs
        if job.kind == "train" and job.recipe.training.steps
    ]
    if not jobs:
        raise InputError("none of these recipes takes a step: there is nothing to measure")
    costs = []
    with progress.bar("measuring", len(jobs)) as done:
        for job in jobs:
            with compiler_faults():
                costs.append(_measure(job, settings))
            done(1)
    return costs


def _measure(job: Job, settings: BenchSettings) -> StepCost:
    rendered, processes = _on_rendered_images(job.recipe, settings), Processes.join()
    recipe = rendered if job.recipe.has_source else rendered.model_copy(update={"source": _NO_SOURCE})
    set_threads(recipe.training.threads)
    with watched(processes.device) as peak:
        method = _Steps(recipe, processes)
        for _ in range(_WARM_UP):
            method.timed()
    plain = _Steps(rendered.model_copy(update=_PLAIN), processes)
    for _ in range(_WARM_UP):
        plain.timed()
    pairs = [(plain.timed(), method.timed()) for _ in range(settings.rounds)]
    size = recipe.target.augmentation.crop
    assert size is not None  # `_rendered` sets one
    return StepCost(
        title=job.title,
        size=size,
        batch_size=recipe.training.batch_size,
        parameters=sum(parameter.numel() for parameter in method.method.parameters()),
        seconds=tuple(own for _, own in pairs),
        plain_seconds=tuple(other for other, _ in pairs),
        flops=operations(method.timed),
        plain_flops=operations(plain.timed),
        memory_bytes=peak.bytes,
    )


class _Steps:
    """A recipe's steps, one at a time."""

    def __init__(self, recipe: Recipe, processes: Processes) -> None:
        domains = DomainFinder()(recipe)
        data = TrainingData(recipe, domains)
        self.recipe = recipe
        self.method = settle(build(recipe, domains.classes), recipe.training, processes.device).train()
        self.method.prepare(data)
        if recipe.training.compile:
            compile_networks(self.method)
        self._optimizers: dict[str, Optimizer] = build_optimizers(self.method, recipe)
        self._settings = step_settings(recipe.training, processes.device)
        self._batches: Iterator[list[Batch]] = data.steps(processes, 0, self.method.uses_target)

    def timed(self) -> float:
        """Take a step; return its seconds, without those of loading."""
        batches = next(self._batches)
        set_learning_rates(self._optimizers, self.recipe, batches[0].step)
        return timed_step(self.method, batches, self._optimizers, self._settings, self.recipe.seed)


def _on_rendered_images(recipe: Recipe, settings: BenchSettings) -> Recipe:
    """The recipe on a few images of the procedural city, from random weights."""
    data = recipe.model_dump(mode="json")
    size, batch_size = settings.size, settings.batch_size or recipe.training.batch_size
    for name, style in (("source", "game"), ("target", "overcast")):
        data[name] = _rendered(data[name], style, size, batch_size)
    for name in recipe.labelled_streams:
        data[name] = _rendered(data[name], "overcast", size, batch_size)
    if size is not None and data["model"]["multi_resolution"] is not None:
        # Half of the crop's sides, as in the paper.
        data["model"]["multi_resolution"]["detail"] = [side // 2 for side in size]
    own = {
        # It takes no more; schedules see the start of a long run.
        "training": {"batch_size": batch_size, "workers": 0, "steps": max(1000, recipe.training.steps)},
        "model": {"weights": "none"},
        "evaluation": {"dataset": None, "split": None, "source_validation": None},
        "init_from": None,
        "stages": [],
        "method": with_method_terms(data["method"], lambda config: config.awake()),
    }
    if not isinstance(recipe.classes, str):
        own["classes"] = None
    return parse(Recipe, merge(data, own), f"{recipe.name} (bench)")


def _rendered(stream: dict[str, Any], style: str, size: WidthHeight | None, count: int) -> dict[str, Any]:
    augmentation = stream["augmentation"]
    if size is not None:
        augmentation = {**augmentation, "resize": size, "crop": size, "scale": None}
    width, height = augmentation["resize"] or augmentation["crop"] or (512, 256)
    return {
        **stream,
        "dataset": f"city:{style},size={width}x{height},count={max(2, count)},val=1",
        "split": "train",
        "also": [],
        "subset": None,
        "ignored_border": None,
        "sampling": {"kind": "uniform"},
        "augmentation": {**augmentation, "crop": augmentation["crop"] or [width, height]},
    }
