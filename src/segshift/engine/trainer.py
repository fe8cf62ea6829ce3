"""The loop around the step: resume, evaluate, checkpoint, stop."""

import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.optim import Optimizer

from segshift.data.dataset import SegmentationDataset
from segshift.engine.build import (
    build,
    build_optimizers,
    build_segmenter,
    set_learning_rates,
    step_settings,
)
from segshift.engine.checkpoint import Checkpoints
from segshift.engine.cores import measure_threads, set_threads
from segshift.engine.cost import measure_cost
from segshift.engine.datasets import Domains
from segshift.engine.environment import describe_environment
from segshift.engine.feed import TrainingData
from segshift.engine.finite import check_finite
from segshift.engine.fitting import too_large
from segshift.engine.kept_networks import STATES, KeptNetworks
from segshift.engine.loader import loader_faults
from segshift.engine.opening import Estimate, opening
from segshift.engine.pictures import write_pictures
from segshift.engine.processes import Processes
from segshift.engine.recipe import Recipe
from segshift.engine.recorder import MainRecorder, Recorder
from segshift.engine.seeds import seed_step
from segshift.engine.selection import Scores, Selection, target_miou
from segshift.engine.settling import settle
from segshift.engine.signals import StopRequest, stop_on_signal
from segshift.engine.source_labels import source_labels
from segshift.engine.step import train_step
from segshift.engine.target_labels import inherits_target_labels
from segshift.errors import InputError, NonFiniteError, StoppedError, is_out_of_memory
from segshift.evaluation import EvaluationResult, evaluate
from segshift.files import write_json
from segshift.folders import RunFolder
from segshift.methods import Batch, Method
from segshift.models import Segmenter
from segshift.models.compiling import compile_networks, compiler_faults
from segshift.progress import Progress
from segshift.shared_batch import sharing

# Steps from which a trial step or two are worth their time.
WORTH_MEASURING = 100


@dataclass(frozen=True)
class _Session:
    """One call of `Trainer.run`, which may be the continuation of an earlier one.

    Attributes:
        stop: whether a signal asks to end.
        recorder: where the run tells how it goes.
        started: by the monotonic clock.
    """

    stop: StopRequest
    recorder: Recorder
    started: float


class Trainer:
    """Trains one stage of a recipe in one run folder; `title` heads what it prints, `fingerprint` is the
    recipe's (see `recipe_fingerprint`).
    """

    def __init__(
        self, recipe: Recipe, domains: Domains, folder: Path, progress: Progress, title: str, fingerprint: str
    ) -> None:
        set_threads(recipe.training.threads)
        self.recipe, self.domains, self.folder, self.progress = recipe, domains, folder, progress
        self.title, self.fingerprint = title, fingerprint
        # Asked now, since what the run started from may be gone when it ends.
        self.uses_target_labels = recipe.uses_target_labels or inherits_target_labels(recipe)
        self.processes = Processes.join()
        self.method: Method = settle(build(recipe, domains.classes), recipe.training, self.processes.device)
        self._measure_threads()
        if recipe.training.compile:
            compile_networks(self.method)
        self.processes.copy_state(self.method)
        self.optimizers: dict[str, Optimizer] = build_optimizers(self.method, recipe)
        keep = recipe.training.keep_checkpoints
        self.checkpoints = Checkpoints(RunFolder(folder), keep if isinstance(keep, int) else STATES)
        self.networks = KeptNetworks(RunFolder(folder), keep)
        self.selection = Selection(recipe, domains, folder)
        if self.selection.by_score and self.method.deployed() is None:
            raise InputError(f"training.select: {recipe.training.select}: this method trains no segmenter")
        self.data = TrainingData(recipe, domains, announce=progress.say)
        self.settings = step_settings(recipe.training, self.processes.device)

    def run(self) -> EvaluationResult | None:
        """Train from the newest checkpoint (or from the start) to the last step, and write the results.

        Raises:
            StoppedError: after SIGINT, SIGTERM or SIGHUP, once the step in progress is saved.
            NonFiniteError: the last good checkpoint stays.
            ProcessLostError: another process is gone.
            InputError: bad data or settings.
        """
        started = time.monotonic()
        done = self._load()
        if done == 0:
            self.method.train()
            self.method.prepare(self.data)
        with (
            self._recorder(done) as recorder,
            stop_on_signal() as stop,
            compiler_faults(),
            loader_faults("training.workers, training.batch_size or augmentation.crop"),
        ):
            session = _Session(stop, recorder, started)
            recorder.note(f"  {opening(self.recipe, self.domains, self.method, self.processes)}")
            try:
                return self._finish(session, self._loop(session, done))
            except NonFiniteError as error:
                recorder.write(error.step, error=str(error), losses=error.losses)
                raise

    def _measure_threads(self) -> None:
        segmenter = self.method.deployed()
        on_cpu = self.processes.device.type == "cpu"
        if self.recipe.training.threads != "auto" or segmenter is None or not on_cpu:
            return
        crop = self.recipe.source.augmentation.crop or self.recipe.source.augmentation.resize
        self.progress.say(f"training.threads: {measure_threads(segmenter, crop)}, the fastest now")

    def _recorder(self, done: int) -> Recorder:
        if not self.processes.main:
            return Recorder()
        recorder = MainRecorder(self.recipe, RunFolder(self.folder), self.progress, self.title, done)
        self.selection.check_kept(recorder.scores)
        return recorder

    def _load(self) -> int:
        """Put the newest whole checkpoint into the method and its optimizers; the steps it has behind it."""
        step: int | None = None
        if self.processes.main:
            step, damaged = self.checkpoints.newest_whole()
            for line in damaged:
                self.progress.say(f"{line}; it is set aside, and the run goes on from step {step}")
        step = self.processes.agree(-1 if step is None else step)
        if step < 0:
            return 0
        self.checkpoints.load(step, self.method, self.optimizers, self.fingerprint)
        return step

    def _loop(self, session: _Session, done: int) -> int:
        """Train until the last step, or until the score has not risen for long enough; the steps done."""
        training, recorder = self.recipe.training, session.recorder
        if done == 0:
            self._look_at_labels(recorder)
            self._evaluate_start(session)
            self._save(0)
        else:
            recorder.note(f": continues after step {done}")
            # A run that was stopped between a save and its evaluation catches up.
            self._evaluate_if_due(session, done)
        if done == training.steps or self._has_stalled(session, done):
            return done
        estimate = Estimate(done, training.steps)
        steps = self.data.steps(self.processes, done, self.method.uses_target)
        for micro_batches in self._costed(steps, done, recorder):
            self.method.train()
            seed_step(self.recipe.seed, done)
            rates = set_learning_rates(self.optimizers, self.recipe, done)
            try:
                log = train_step(self.method, micro_batches, self.optimizers, self.settings)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                raise too_large(self.method, self.optimizers, micro_batches, self.settings) from None
            done += 1
            last = done == training.steps
            if pace := estimate.after(done):
                recorder.note(f"  {pace}")
            if last or done % training.log_every == 0:
                losses, observed = log.values(), log.observations()
                more = {"observed": observed} if observed else {}
                recorder.write(done, losses=losses, **more, lr=rates, roles=log.roles)
                recorder.show(done, losses | observed, rates)
                recorder.advise(done)
            stopping = self._agree_to_stop(session.stop)
            if last or stopping or done % training.checkpoint_every == 0:
                self._save(done)
            if stopping and not last:
                raise StoppedError(session.stop.signal_number, done)
            if training.pictures_every and (last or done % training.pictures_every == 0):
                self._draw(micro_batches[0], done)
            self._evaluate_if_due(session, done)
            if not last and self._has_stalled(session, done):
                self._save(done)
                return done
        return training.steps

    def _draw(self, batch: Batch, done: int) -> None:
        if self.processes.main:
            write_pictures(self.method, batch, RunFolder(self.folder).pictures, done)

    def _look_at_labels(self, recorder: Recorder) -> None:
        """Say so when the source's labels look misread. Raises InputError when there is nothing in them."""
        if self.recipe.training.steps == 0 or self.method.deployed() is None or self.data.source is None:
            return
        labels = source_labels(self.data)
        if labels.suspicious:
            recorder.note(f": {labels.line}")
            recorder.write(0, source_labels=labels.to_dict())

    def _evaluate_start(self, session: _Session) -> None:
        """Evaluate the network as it is before the method does anything, its preparation among it."""
        if not self.recipe.training.evaluate_start or self.processes.any(0 in session.recorder.scores):
            return
        start = build_segmenter(self.recipe, self.domains.classes).to(self.processes.device)
        result = self._evaluate_and_record(session, 0, start)
        if result is not None:
            session.recorder.note(f"  before the first step  mIoU {100 * result.miou:.1f}")

    def _has_stalled(self, session: _Session, done: int) -> bool:
        """Whether the newest `training.patience` evaluations were no better than one before them."""
        stalled = self.selection.has_stalled(session.recorder.scores)
        if self.processes.any(stalled):
            session.recorder.note(f"  step {done}  ends: {self.selection.score} has not got better")
            return True
        return False

    def _evaluate_if_due(self, session: _Session, done: int) -> None:
        every = self.recipe.training.evaluate_every
        if not every or done % every or done == self.recipe.training.steps:
            return
        if self.processes.any(done in session.recorder.scores):
            return
        result = self._evaluate_and_record(session, done, self.method.deployed())
        if result is not None:
            session.recorder.note(f"  step {done}  mIoU {100 * result.miou:.1f}")

    def _evaluate_and_record(
        self, session: _Session, done: int, segmenter: Segmenter | None
    ) -> EvaluationResult | None:
        """Evaluate, keep the model if it is the best so far, and write metrics.jsonl, in an order in which a
        kill between any two loses nothing: the model, its checkpoint, the line, then the old model goes.
        """
        result = self.evaluate(segmenter)
        scores: Scores = {}
        history: dict[int, dict[str, Any]] = {}
        if self.processes.main and segmenter is not None:
            scores = self.selection.scores(segmenter)
            history = {**session.recorder.scores, done: {**target_miou(result), **scores}}
        best = self.selection.by_score and self.selection.best_step(history) == done
        if best and segmenter is not None:
            self.selection.keep(done, segmenter)
        # A resumed run must never start before its best model: others are gone.
        if self.processes.any(best and done not in self.checkpoints.run.checkpoint_steps()):
            self._save(done)
        entry = {} if result is None else {"evaluation": result.to_dict()}
        if entry or scores:
            session.recorder.write(done, **entry, **({"unsupervised": scores} if scores else {}))
        if best:
            self.selection.tidy(done)
        session.recorder.advise(done)
        return result

    def evaluate(self, segmenter: Segmenter | None) -> EvaluationResult | None:
        """Evaluate a network; None without one, or without a labelled evaluation set. Each process sees its
        share of the images.
        """
        self.processes.average_buffers(self.method)
        return None if segmenter is None else self._judge(segmenter)

    def _judge(self, segmenter: Segmenter) -> EvaluationResult | None:
        if self.domains.evaluation is None:
            return None
        with sharing():
            return evaluate(
                segmenter,
                SegmentationDataset(self.domains.evaluation, self.domains.classes, None, with_labels=True),
                self.recipe.inference,
                batch_size=self.recipe.evaluation.batch_size,
                device=self.processes.device,
            )

    def _finish(self, session: _Session, steps: int) -> EvaluationResult | None:
        scores = session.recorder.scores
        if self.processes.any(steps in scores):
            after = self.evaluate(self.method.deployed())
        else:
            after = self._evaluate_and_record(session, steps, self.method.deployed())
        best = self._best(scores)
        if self.processes.main:
            self.method.save(self.folder)
            if best is not None:
                self.selection.deploy(best)
                self.selection.tidy(best)
        if best is not None and best != steps:
            after = self._judge(self.selection.kept(best))
        if self.processes.main:
            write_json(
                RunFolder(self.folder).environment,
                describe_environment(self.processes.device, self.processes.count),
            )
            chosen = {
                "selected": self.selection.describe(best),
                "selection": self.selection.to_dict(best, scores),
            }
            seconds = time.monotonic() - session.started
            write_json(RunFolder(self.folder).results, self._results(after, steps, seconds, chosen))
        self.processes.wait()
        return after

    def _best(self, scores: Mapping[int, Mapping[str, Any]]) -> int | None:
        """The step whose model is kept, in every process; None for the last one's."""
        best = self.selection.best_step(scores) if self.selection.by_score and self.processes.main else None
        best = self.processes.agree(-1 if best is None else best)
        return None if best < 0 else best

    def _results(
        self, after: EvaluationResult | None, steps: int, seconds: float, chosen: Mapping[str, Any]
    ) -> dict[str, Any]:
        return {
            "name": self.recipe.name,
            "method": self.recipe.method,
            "seed": self.recipe.seed,
            "steps": steps,
            "source_images_per_step": self.recipe.source_images_per_step,
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

    def _save(self, step: int) -> None:
        self.processes.average_buffers(self.method)
        check_finite(self.method, self.optimizers, step)
        if self.processes.main:
            # First the network, so that a checkpoint to go on from never lacks it.
            self.networks.save(step, self.method)
            self.checkpoints.save(step, self.method, self.optimizers, self.fingerprint)
        self.processes.wait()

    def _costed(self, steps: Iterator[list[Batch]], done: int, recorder: Recorder) -> Iterator[list[Batch]]:
        """The steps' batches, the first only after it was said what they all will cost."""
        first = next(steps)
        if self.recipe.training.steps - done >= WORTH_MEASURING:
            try:
                cost = measure_cost(
                    self.recipe, self.method, self.data, first, self.settings, Path(self.folder)
                )
            except NonFiniteError:
                pass  # The step itself says so, and what it is logged with.
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                raise too_large(self.method, self.optimizers, first, self.settings) from None
            else:
                for line in cost.lines():
                    recorder.note(f"  {line}")
        yield first
        yield from steps

    def _agree_to_stop(self, stop: StopRequest) -> bool:
        """Whether any process was asked to stop; all must leave the loop at the same step."""
        asked = self.processes.any(bool(stop))
        if asked and not stop:
            stop.signal_number = signal.SIGTERM
        return asked
