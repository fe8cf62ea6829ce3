"""What a run tells while it runs: the main process writes and prints it, all others are silent."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from segshift.engine.loggers import MetricsFile, ProgressLine
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
    """metrics.jsonl and the line of progress.

    Args:
        path: of metrics.jsonl.
        progress: who hears of it.
        title: what lines stand under.
        steps: of the whole run.
        done: steps of earlier sessions, whose lines stay.

    Raises:
        InputError: the metrics.jsonl of an earlier session is damaged.
    """

    def __init__(self, path: Path, progress: Progress, title: str, steps: int, done: int) -> None:
        super().__init__()
        self.title, self._progress = title, progress
        self._metrics = MetricsFile(path, done)
        self._line = ProgressLine(progress, title, steps, done)
        self.scores = self._metrics.scores

    def __enter__(self) -> Self:
        self._line.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file and the line."""
        self._line.__exit__(kind, error, trace)
        self._metrics.close()

    def write(self, step: int, **values: Any) -> None:
        """Append a line to metrics.jsonl."""
        self._metrics.write(step, **values)

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
