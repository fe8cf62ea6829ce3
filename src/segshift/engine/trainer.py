"""The loop around the step: resume, evaluate, checkpoint, stop."""

import signal
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch.optim import Optimizer

from segshift.data.dataset import SegmentationDataset
from segshift.engine.build import build, build_optimizers, set_learning_rates
from segshift.engine.checkpoint import Checkpoints
from segshift.engine.datasets import Domains
from segshift.engine.environment import describe_environment
from segshift.engine.feed import TrainingData
from segshift.engine.kept_networks import STATES, KeptNetworks
from segshift.engine.loader import loader_faults
from segshift.engine.loggers import MetricsFile, ProgressLine
from segshift.engine.pictures import write_pictures
from segshift.engine.processes import Processes
from segshift.engine.recipe import Recipe
from segshift.engine.seeds import seed_step
from segshift.engine.selection import Scores, Selection, target_miou
from segshift.engine.signals import StopRequest, stop_on_signal
from segshift.engine.step import StepSettings, train_step
from segshift.engine.target_labels import inherits_target_labels
from segshift.errors import InputError, NonFiniteLossError, StoppedError
from segshift.evaluation import EvaluationResult, evaluate
from segshift.files import write_json
from segshift.folders import RunFolder
from segshift.methods import Method
from segshift.models import Segmenter
from segshift.plain import say


class Trainer:
    """Trains one stage of a recipe in one run folder; `title` heads what it prints, `fingerprint` is the
    recipe's (see `recipe_fingerprint`).
    """

    def __init__(
        self, recipe: Recipe, domains: Domains, folder: Path, console: Console, title: str, fingerprint: str
    ) -> None:
        if recipe.training.threads is not None:
            torch.set_num_threads(recipe.training.threads)
        self.recipe, self.domains, self.folder, self.console = recipe, domains, folder, console
        self.title, self.fingerprint = title, fingerprint
        # Asked now, since what the run started from may be gone when it ends.
        self.uses_target_labels = recipe.uses_target_labels or inherits_target_labels(recipe)
        self.processes = Processes.join()
        self.method: Method = build(recipe, domains.classes).to(self.processes.device)
        if recipe.training.channels_last:
            self.method.to(memory_format=torch.channels_last)
        self.processes.copy_state(self.method)
        self.optimizers: dict[str, Optimizer] = build_optimizers(self.method, recipe)
        keep = recipe.training.keep_checkpoints
        self.checkpoints = Checkpoints(folder / "checkpoints", keep if isinstance(keep, int) else STATES)
        self.networks = KeptNetworks(RunFolder(folder), keep)
        self.selection = Selection(recipe, domains, folder)
        if self.selection.by_score and self.method.deployed() is None:
            raise InputError(f"training.select: {recipe.training.select}: this method trains no segmenter")
        self.data = TrainingData(recipe, domains, announce=lambda line: say(console, line))
        self.settings = StepSettings(
            clip_norm=recipe.training.clip_norm,
            autocast=self._autocast,
        )

    def run(self) -> EvaluationResult | None:
        """Train from the newest checkpoint (or from the start) to the last step, and write the results.

        Raises:
            StoppedError: after SIGINT or SIGTERM, once the step in progress is saved.
            NonFiniteLossError: the last good checkpoint stays.
            InputError: bad data or settings.
        """
        started = time.monotonic()
        fingerprint = self.fingerprint
        done = self._load(fingerprint)
        main = self.processes.main
        if done == 0:
            self.method.train()
            self.method.prepare(self.data)
        metrics = MetricsFile(self.folder / "metrics.jsonl", done) if main else None
        if metrics:
            self.selection.check_kept(metrics.scores)
        with (
            stop_on_signal() as stop,
            loader_faults("training.workers, training.batch_size or augmentation.crop"),
            ProgressLine(self.console, self.title, self.recipe.training.steps, done) as line,
        ):
            if done:
                line.note(f"{self.title}: continues after step {done}")
            self._loop(done, fingerprint, stop, metrics, line)
            result = self._finish(fingerprint, metrics, line, time.monotonic() - started)
        if metrics:
            metrics.close()
        return result

    def _load(self, fingerprint: str) -> int:
        """Put the newest whole checkpoint into the method and its optimizers; the steps it has behind it."""
        step: int | None = None
        if self.processes.main:
            step, damaged = self.checkpoints.newest_whole()
            for line in damaged:
                say(self.console, f"{line}; it is set aside, and the run goes on from step {step}")
        step = self.processes.agree(-1 if step is None else step)
        if step < 0:
            return 0
        self.checkpoints.load(step, self.method, self.optimizers, fingerprint)
        return step

    def _loop(
        self, done: int, fingerprint: str, stop: StopRequest, metrics: MetricsFile | None, line: ProgressLine
    ) -> None:
        training = self.recipe.training
        if done == 0:
            self._save(0, fingerprint)
        else:
            # A run that was stopped between a save and its evaluation catches up.
            self._evaluate_if_due(done, fingerprint, metrics, line)
        steps = (
            self.data.steps(self.processes, done, self.method.uses_target) if done < training.steps else []
        )
        for micro_batches in steps:
            self.method.train()
            seed_step(self.recipe.seed, done)
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
                losses, observed = log.values(), log.observations()
                more = {"observed": observed} if observed else {}
                metrics.write(done, losses=losses, **more, lr=rates, roles=log.roles)
                line.show(done, losses | observed, rates)
                self._advise(done, metrics, line)
            stopping = self._agree_to_stop(stop)
            if last or stopping or done % training.checkpoint_every == 0:
                self._save(done, fingerprint)
            if stopping and not last:
                if metrics:
                    metrics.close()
                raise StoppedError(stop.signal_number, done)
            if metrics and training.pictures_every and (last or done % training.pictures_every == 0):
                write_pictures(self.method, micro_batches[0], self.folder / "pictures", done)
            self._evaluate_if_due(done, fingerprint, metrics, line)

    def _evaluate_if_due(
        self, done: int, fingerprint: str, metrics: MetricsFile | None, line: ProgressLine
    ) -> None:
        every = self.recipe.training.evaluate_every
        if not every or done % every or done == self.recipe.training.steps:
            return
        if self.processes.any(metrics is not None and done in metrics.scores):
            return
        result = self._evaluate_and_record(done, fingerprint, metrics, line)
        if result is not None:
            line.note(f"{self.title}  step {done}  mIoU {100 * result.miou:.1f}")

    def _evaluate_and_record(
        self, done: int, fingerprint: str, metrics: MetricsFile | None, line: ProgressLine
    ) -> EvaluationResult | None:
        """Evaluate, keep the model if it is the best so far, and write metrics.jsonl, in an order in which a
        kill between any two loses nothing: the model, its checkpoint, the line, then the old model goes.
        """
        result = self.evaluate(self.method.deployed())
        scores: Scores = {}
        history: dict[int, dict[str, Any]] = {}
        segmenter = self.method.deployed()
        if metrics and segmenter is not None:
            scores = self.selection.scores(segmenter)
            history = {**metrics.scores, done: {**target_miou(result), **scores}}
        best = self.selection.by_score and self.selection.best_step(history) == done
        if best and segmenter is not None:
            self.selection.keep(done, segmenter)
        # A resumed run must never start before its best model: others are gone.
        if self.processes.any(best and done not in self.checkpoints.steps()):
            self._save(done, fingerprint)
        if metrics:
            entry = {} if result is None else {"evaluation": result.to_dict()}
            if entry or scores:
                metrics.write(done, **entry, **({"unsupervised": scores} if scores else {}))
            if best:
                self.selection.tidy(done)
            self._advise(done, metrics, line)
        return result

    def _advise(self, done: int, metrics: MetricsFile, line: ProgressLine) -> None:
        for text in metrics.advise(done):
            line.note(f"{self.title}  step {done}  advice: {text}")

    def evaluate(self, segmenter: Segmenter | None) -> EvaluationResult | None:
        """Evaluate a network; None without one, or without a labelled evaluation set.

        Only the main process computes, the others wait.
        """
        self.processes.average_buffers(self.method)
        result = None
        if self.processes.main and segmenter is not None:
            result = self._judge(segmenter)
        self.processes.wait()
        return result

    def _judge(self, segmenter: Segmenter) -> EvaluationResult | None:
        if self.domains.evaluation is None:
            return None
        return evaluate(
            segmenter,
            SegmentationDataset(self.domains.evaluation, self.domains.classes, None, with_labels=True),
            self.recipe.inference,
            batch_size=self.recipe.evaluation.batch_size,
            device=self.processes.device,
        )

    def _finish(
        self, fingerprint: str, metrics: MetricsFile | None, line: ProgressLine, seconds: float
    ) -> EvaluationResult | None:
        steps = self.recipe.training.steps
        if self.processes.any(metrics is not None and steps in metrics.scores):
            after = self.evaluate(self.method.deployed())
        else:
            after = self._evaluate_and_record(steps, fingerprint, metrics, line)
        if metrics:
            self.method.save(self.folder)
            best = self.selection.best_step(metrics.scores) if self.selection.by_score else None
            if best is not None:
                segmenter = self.selection.deploy(best).to(self.processes.device)
                self.selection.tidy(best)
                if best != steps:
                    after = self._judge(segmenter)
            write_json(
                self.folder / "environment.json",
                describe_environment(self.processes.device, self.processes.count),
            )
            chosen = {
                "selected": self.selection.describe(best),
                "selection": self.selection.to_dict(best, metrics.scores),
            }
            write_json(self.folder / "results.json", self._results(after, seconds, chosen))
        self.processes.wait()
        return after

    def _results(
        self, after: EvaluationResult | None, seconds: float, chosen: Mapping[str, Any]
    ) -> dict[str, Any]:
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
            **chosen,
            "uses_target_labels": self.uses_target_labels,
            "seconds_of_last_session": round(seconds, 1),
            "evaluation": None if after is None else after.to_dict(),
            "confusion": None if after is None else after.confusion.tolist(),
            "fingerprint": self.fingerprint,
            "evaluation_settings": self.recipe.evaluation.model_dump(mode="json"),
        }

    def _save(self, step: int, fingerprint: str) -> None:
        self.processes.average_buffers(self.method)
        if self.processes.main:
            # First the network, so that a checkpoint to go on from never lacks it.
            self.networks.save(step, self.method)
            self.checkpoints.save(step, self.method, self.optimizers, fingerprint)
        self.processes.wait()

    def _autocast(self) -> AbstractContextManager[object]:
        if self.recipe.training.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.processes.device.type, dtype=torch.bfloat16)

    def _agree_to_stop(self, stop: StopRequest) -> bool:
        """Whether any process was asked to stop; all must leave the loop at the same step."""
        asked = self.processes.any(bool(stop))
        if asked and not stop:
            stop.signal_number = signal.SIGTERM
        return asked
