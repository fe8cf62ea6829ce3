"""What a run tells: metrics.jsonl for programs, a live line for people."""

import json
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from segshift.engine.health import WINDOW, advise, read_records
from segshift.files import json_ready, write_text, writing
from segshift.progress import Progress


class MetricsFile:
    """metrics.jsonl: one JSON object per line, each with its `step`.

    Attributes:
        path: the file.
        scores: of each evaluation by its step: `target_miou`, if there are labels, and the label-free ones.
        kept: the lines of earlier sessions.
        dropped: lines that earlier sessions wrote and a resumed run is about to write again.
    """

    def __init__(self, path: Path, done_steps: int) -> None:
        """Open for appending, without the lines that a resumed run is about to write again."""
        self.path = path
        self.scores: dict[int, dict[str, Any]] = {}
        self._newest: deque[Mapping[str, Any]] = deque(maxlen=WINDOW)
        self._advised: set[str] = set()
        before = read_records(path) if path.is_file() else []
        self.kept = [record for record in before if record["step"] <= done_steps]
        self.dropped = [record for record in before if record["step"] > done_steps]
        for record in self.kept:
            self._notice(record)
        write_text(path, "".join(_line(record) for record in self.kept))
        with writing(path):
            self._stream = path.open("a", encoding="utf-8")

    def write(self, step: int, **values: Any) -> None:
        """Append one line; `step` counts the steps done. Raises OutputError."""
        with writing(self.path):
            self._stream.write(_line({"step": step, **values}))
            self._stream.flush()
        self._notice({"step": step, **values})

    def advise(self, step: int) -> list[str]:
        """Write what is sick in the newest lines, every symptom once in a run; return it for people."""
        new = [advice for advice in advise(self._newest) if advice.symptom not in self._advised]
        for advice in new:
            self.write(step, advice=advice.to_dict())
        return [advice.line for advice in new]

    def close(self) -> None:
        """Close the file. Raises OutputError: what a full disk has refused is refused again."""
        with writing(self.path):
            self._stream.close()

    def _notice(self, record: Mapping[str, Any]) -> None:
        if record.keys() & {"losses", "unsupervised", "source_labels"}:
            self._newest.append(record)
        if "advice" in record:
            self._advised.add(record["advice"]["symptom"])
        self.scores |= scores_by_step([record])


def scores_by_step(records: Iterable[Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
    """Of the evaluations among a log's lines: `target_miou`, if there are labels, and label-free scores."""
    found = {}
    for record in records:
        if "evaluation" in record or "unsupervised" in record:
            labelled = {"target_miou": record["evaluation"]["miou"]} if record.get("evaluation") else {}
            found[record["step"]] = {**labelled, **record.get("unsupervised", {})}
    return found


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(json_ready(dict(record)), allow_nan=False) + "\n"


class ProgressLine:
    """step, time left, steps per second, losses and learning rates of a run in progress."""

    def __init__(self, progress: Progress, title: str, steps: int, done_steps: int) -> None:
        self.title, self.steps = title, steps
        self._first_step, self._start = done_steps, time.monotonic()
        self._line = progress.line()

    def __enter__(self) -> Self:
        self._show = self._line.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.__exit__(kind, error, trace)

    def show(self, done: int, losses: Mapping[str, float], rates: Mapping[str, float]) -> None:
        """Tell how it is after `done` steps."""
        speed = (done - self._first_step) / max(time.monotonic() - self._start, 1e-9)
        left = (self.steps - done) / speed if speed > 0 else 0.0
        shown = "  ".join(f"{name} {losses[key]:.4g}" for key, name in _short_names(losses).items())
        rate = ", ".join(f"{value:.2e}" for value in rates.values())
        self._show(
            f"{self.title}  step {done}/{self.steps}  ETA {_clock(left)}  {speed:.2f} steps/s  "
            f"{shown}  lr {rate}",
            done >= self.steps,
        )


def _short_names(losses: Iterable[str]) -> dict[str, str]:
    """What to call each "network/loss" in a line: the loss alone, unless another network's has that name."""
    short = {key: key.split("/", 1)[-1] for key in losses}
    times = Counter(short.values())
    return {key: name if times[name] == 1 else key for key, name in short.items()}


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
