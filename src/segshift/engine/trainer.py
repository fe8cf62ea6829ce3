"""The loop around the step: resume, evaluate, checkpoint, stop. The only file that imports accelerate."""

import hashlib
import json
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from rich.console import Console
from torch import Tensor
from torch.optim import Optimizer

from segshift.data.dataset import SegmentationDataset
from segshift.engine.build import build, build_optimizers, set_learning_rates
from segshift.engine.checkpoint import Checkpoints
from segshift.engine.datasets import Domains
from segshift.engine.environment import describe_environment
from segshift.engine.feed import Place, TrainingData
from segshift.engine.loggers import MetricsFile, ProgressLine
from segshift.engine.pictures import write_pictures
from segshift.engine.recipe import Recipe
from segshift.engine.seeds import seed_step
from segshift.engine.signals import StopRequest, stop_on_signal
from segshift.engine.step import StepSettings, train_step
from segshift.errors import InputError, NonFiniteLossError, StoppedError
from segshift.evaluation import EvaluationResult, evaluate
from segshift.files import write_json
from segshift.methods import Method
from segshift.models import MODEL_FILE
from segshift.plain import say

# Keys whose change does not change what is trained, so that a resumed run may differ in them.
_FREE_KEYS = {
    "evaluate_every",
    "checkpoint_every",
    "keep_checkpoints",
    "log_every",
    "pictures_every",
    "workers",
    "threads",
}


class Trainer:
    """Trains one stage of a recipe in one run folder."""

    def __init__(self, recipe: Recipe, domains: Domains, folder: Path, console: Console) -> None:
        if recipe.training.threads is not None:
            torch.set_num_threads(recipe.training.threads)
        self.recipe, self.domains, self.folder, self.console = recipe, domains, folder, console
        # Its precision is the whole process's for good; ours may differ between stages and arms.
        self.accelerator = Accelerator(mixed_precision="no")
        self.place = Place(
            self.accelerator.process_index, self.accelerator.num_processes, self.accelerator.device
        )
        self.method: Method = build(recipe, domains.classes).to(self.place.device)
        if recipe.training.channels_last:
            self.method.to(memory_format=torch.channels_last)
        self._broadcast_weights()
        self.optimizers: dict[str, Optimizer] = build_optimizers(self.method, recipe)
        self.checkpoints = Checkpoints(folder / "checkpoints", recipe.training.keep_checkpoints)
        self.data = TrainingData(recipe, domains, announce=lambda line: say(console, line))
        self.settings = StepSettings(
            clip_norm=recipe.training.clip_norm,
            autocast=self._autocast,
            average=self._average if self.place.processes > 1 else None,
        )

    def run(self) -> EvaluationResult | None:
        """Train from the newest checkpoint (or from the start) to the last step, and write the results.

        Raises:
            StoppedError: after SIGINT or SIGTERM, once the step in progress is saved.
            NonFiniteLossError: the last good checkpoint stays.
            InputError: bad data or settings.
        """
        started = time.monotonic()
        fingerprint = recipe_fingerprint(self.recipe)
        done = self.checkpoints.load_latest(self.method, self.optimizers, fingerprint, self.place.device)
        main = self.place.rank == 0
        if done == 0:
            self.method.train()
            self.method.prepare(self.data)
        metrics = MetricsFile(self.folder / "metrics.jsonl", done) if main else None
        title = self.recipe.name
        with (
            stop_on_signal() as stop,
            ProgressLine(self.console, title, self.recipe.training.steps, done) as line,
        ):
            if done:
                line.note(f"{title}: continues after step {done}")
            self._loop(done, fingerprint, stop, metrics, line)
            result = self._finish(metrics, time.monotonic() - started)
        if metrics:
            metrics.close()
        return result

    def _loop(
        self, done: int, fingerprint: str, stop: StopRequest, metrics: MetricsFile | None, line: ProgressLine
    ) -> None:
        training = self.recipe.training
        if done == 0:
            self._save(0, fingerprint)
        else:
            # A run that was stopped between a save and its evaluation catches up.
            self._evaluate_if_due(done, metrics, line)
        steps = self.data.steps(self.place, done, self.method.uses_target) if done < training.steps else []
        for micro_batches in steps:
            self.method.train()
            seed_step(self.recipe.seed, done, self.place.rank)
            rates = set_learning_rates(self.optimizers, self.recipe, done)
            try:
                log = train_step(self.method, micro_batches, self.optimizers, self.settings)
            except NonFiniteLossError as error:
                if metrics:
                    metrics.write(done, error=str(error), losses=error.losses)
                raise
            done += 1
            last = done == training.steps
            if metrics and (last or done % training.log_every == 0):
                losses = log.values()
                metrics.write(done, losses=losses, lr=rates)
                line.show(done, losses, rates)
            stopping = self._agree_to_stop(stop)
            if last or stopping or done % training.checkpoint_every == 0:
                self._save(done, fingerprint)
            if stopping and not last:
                if metrics:
                    metrics.close()
                raise StoppedError(stop.signal_number, done)
            if metrics and training.pictures_every and (last or done % training.pictures_every == 0):
                write_pictures(self.method, micro_batches[0], self.folder / "pictures", done)
            self._evaluate_if_due(done, metrics, line)

    def _evaluate_if_due(self, done: int, metrics: MetricsFile | None, line: ProgressLine) -> None:
        every = self.recipe.training.evaluate_every
        if not every or done % every or done == self.recipe.training.steps:
            return
        if self._any(metrics is not None and done in metrics.evaluated):
            return
        result = self.evaluate()
        if metrics and result is not None:
            metrics.write(done, evaluation=result.to_dict())
            line.note(f"{self.recipe.name}  step {done}  mIoU {100 * result.miou:.1f}")

    def evaluate(self) -> EvaluationResult | None:
        """Evaluate the network to be deployed; None without one, or without a labelled evaluation set.

        Only the main process computes, the others wait.
        """
        self._average_buffers()
        result = None
        segmenter = self.method.deployed()
        if self.place.rank == 0 and self.domains.evaluation is not None and segmenter is not None:
            settings = self.recipe.evaluation
            dataset = SegmentationDataset(
                self.domains.evaluation, self.domains.classes, None, with_labels=True
            )
            result = evaluate(
                segmenter,
                dataset,
                mode=settings.mode,
                input_size=self.recipe.inference_size(),
                window=settings.window,
                scales=settings.scales,
                flip=settings.flip,
                batch_size=settings.batch_size,
                device=self.place.device,
            )
        self.accelerator.wait_for_everyone()
        return result

    def _finish(self, metrics: MetricsFile | None, seconds: float) -> EvaluationResult | None:
        after = self.evaluate()
        if self.place.rank == 0:
            if metrics and after is not None and self.recipe.training.steps not in metrics.evaluated:
                metrics.write(self.recipe.training.steps, evaluation=after.to_dict())
            self.method.save(self.folder)
            write_json(self.folder / "environment.json", describe_environment(self.place.device))
            write_json(self.folder / "results.json", self._results(after, seconds))
        self.accelerator.wait_for_everyone()
        return after

    def _results(self, after: EvaluationResult | None, seconds: float) -> dict[str, Any]:
        training = self.recipe.training
        return {
            "name": self.recipe.name,
            "method": self.recipe.method,
            "seed": self.recipe.seed,
            "steps": training.steps,
            "source_images_per_step": training.batch_size,
            "source": self.data.describe("source"),
            "target": self.data.describe("target"),
            "pseudo_labelled": self.data.describe("pseudo_labelled"),
            "target_labelled": self.data.describe("target_labelled"),
            "evaluated_on": self.domains.describe("evaluation"),
            "selected": "last checkpoint",
            "uses_target_labels": self.recipe.uses_target_labels,
            "seconds_of_last_session": round(seconds, 1),
            "evaluation": None if after is None else after.to_dict(),
            "confusion": None if after is None else after.confusion.tolist(),
            "fingerprint": recipe_fingerprint(self.recipe),
            "evaluation_settings": self.recipe.evaluation.model_dump(mode="json"),
        }

    def _save(self, step: int, fingerprint: str) -> None:
        self._average_buffers()
        if self.place.rank == 0:
            self.checkpoints.save(step, self.method, self.optimizers, fingerprint)
        self.accelerator.wait_for_everyone()

    def _autocast(self) -> AbstractContextManager[object]:
        if self.recipe.training.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.place.device.type, dtype=torch.bfloat16)

    def _average(self, flat: Tensor) -> Tensor:
        averaged = self.accelerator.reduce(flat, reduction="mean")
        assert isinstance(averaged, Tensor)
        return averaged

    def _average_buffers(self) -> None:
        """Batch-norm averages were fed different images by each process; all go on with the mean."""
        if self.place.processes > 1:
            for buffer in self.method.buffers():
                if buffer.is_floating_point():
                    buffer.copy_(self._average(buffer))

    def _broadcast_weights(self) -> None:
        if self.place.processes > 1:
            for tensor in self.method.state_dict().values():
                tensor.copy_(broadcast(tensor))

    def _agree_to_stop(self, stop: StopRequest) -> bool:
        """Whether any process was asked to stop; all must leave the loop at the same step."""
        asked = self._any(bool(stop))
        if asked and not stop:
            stop.signal_number = signal.SIGTERM
        return asked

    def _any(self, mine: bool) -> bool:
        """Whether it is so in any process: what leads to collective work must be the same in all."""
        if self.place.processes == 1:
            return mine
        total = self.accelerator.reduce(
            torch.tensor([float(mine)], device=self.place.device), reduction="sum"
        )
        assert isinstance(total, Tensor)
        return bool(total.item())


def on_main_process(work: Callable[[], None]) -> None:
    """Call `work` in the main process while the others wait."""
    accelerator = Accelerator(mixed_precision="no")
    if accelerator.is_main_process:
        work()
    accelerator.wait_for_everyone()


def recipe_fingerprint(recipe: Recipe) -> str:
    """A hash of everything in the recipe that changes what is trained."""
    data = recipe.model_dump(
        mode="json", exclude={"name", "evaluation", "description", "provenance", "group", "stages"}
    )
    if recipe.init_from is not None:
        data["init_from"] = _content(Path(recipe.init_from).expanduser())
    data["training"] = {key: value for key, value in data["training"].items() if key not in _FREE_KEYS}
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def _content(start: Path) -> str:
    """A hash of the model to start from: where it lies does not matter, what it is does."""
    file = start / MODEL_FILE if start.is_dir() else start
    # A missing file is named with its remedy when the network is built.
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else str(start)


def finished_result(folder: Path, recipe: Recipe) -> Mapping[str, Any] | None:
    """The results of a run folder that is complete and was trained by this recipe, else None.

    They may come from another evaluation: see `is_current`.

    Raises:
        InputError: the folder holds the results of another recipe.
    """
    path = folder / "results.json"
    if not path.is_file():
        return None
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if results.get("fingerprint") != recipe_fingerprint(recipe):
        raise InputError(f"{folder}: holds a finished run with other settings; choose another --out folder")
    return results


def is_current(results: Mapping[str, Any], recipe: Recipe) -> bool:
    """Whether finished results were evaluated as the recipe asks; a trained network can be judged anew."""
    return bool(results.get("evaluation_settings") == recipe.evaluation.model_dump(mode="json"))
