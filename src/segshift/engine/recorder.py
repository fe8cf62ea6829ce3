"""What a run tells while it runs: the main process writes and prints it, all others are silent."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from segshift.engine.loggers import MetricsFile, ProgressLine
from segshift.engine.recipe import Recipe
from segshift.engine.trackers import Outcome, Trackers
from segshift.errors import StoppedError
from segshift.folders import RunFolder
from segshift.progress import Progress


class Recorder:
    """A recorder that does nothing.

    Attributes:
        scores: of each evaluation by its step, as `MetricsFile` has them.
    """

    def __init__(self) -> None:
        self.scores: dict[int, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what is open."""

    def write(self, step: int, **values: Any) -> None:
        """Append a line to metrics.jsonl."""

    def show(self, step: int, losses: Mapping[str, float], rates: Mapping[str, float]) -> None:
        """Redraw the line of progress."""

    def note(self, text: str) -> None:
        """Print a line that stays, under the run's title."""

    def advise(self, step: int) -> None:
        """Write and print what looks sick in the newest lines."""


class MainRecorder(Recorder):
    """metrics.jsonl, the recipe's trackers and the line of progress.

    Args:
        recipe: of the run.
        run: its folder.
        progress: who hears of it.
        title: what lines stand under.
        done: steps of earlier sessions, whose lines stay.

    Raises:
        InputError: the metrics.jsonl of an earlier session is damaged.
    """

    def __init__(self, recipe: Recipe, run: RunFolder, progress: Progress, title: str, done: int) -> None:
        super().__init__()
        self.title, self._progress = title, progress
        self._recipe, self._run, self._done = recipe, run, done
        self._metrics = MetricsFile(run.metrics, done)
        self.scores = self._metrics.scores

    def __enter__(self) -> Self:
        kept, dropped = self._metrics.kept, self._metrics.dropped
        self._trackers = Trackers(self._recipe, self._run, self.title, self._done, kept, dropped, self.note)
        # Last, since its clock starts.
        self._line = ProgressLine(self._progress, self.title, self._recipe.training.steps, self._done)
        self._line.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file, the trackers and the line."""
        self._line.__exit__(kind, error, trace)
        outcome: Outcome = "failed"
        if error is None or isinstance(error, StoppedError):
            outcome = "finished" if error is None else "stopped"
        self._trackers.close(outcome)
        self._metrics.close()

    def write(self, step: int, **values: Any) -> None:
        """Append a line to metrics.jsonl, and tell the trackers."""
        self._metrics.write(step, **values)
        self._trackers.log({"step": step, **values})

    def show(self, step: int, losses: Mapping[str, float], rates: Mapping[str, float]) -> None:
        """Redraw the line of progress."""
        self._line.show(step, losses, rates)

    def note(self, text: str) -> None:
        """Print a line that stays, under the run's title."""
        self._progress.say(f"{self.title}{text}")

    def advise(self, step: int) -> None:
        """Write and print what looks sick in the newest lines."""
        for text in self._metrics.advise(step):
            self.note(f"  step {step}  advice: {text}")
