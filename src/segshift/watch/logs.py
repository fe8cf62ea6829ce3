"""The log of a run that may be writing it: what an overview needs, read in milliseconds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from segshift.documents import parse_json
from segshift.engine.health import read_records
from segshift.errors import InputError

Value = TypeVar("Value")
# Lines of interest among thousands are found by these; only they are parsed.
_MARKS = (b'"evaluation":', b'"advice":', b'"error":')


@dataclass(frozen=True)
class LogSummary:
    """What a metrics.jsonl says at a glance.

    Attributes:
        step: of the newest line.
        miou: of the newest evaluation with labels.
        iou: by class, of the same.
        advice: symptom, seen and remedy with the step, in order.
        error: what the run stopped at, if it said so.
    """

    step: int = 0
    miou: float | None = None
    iou: Mapping[str, float | None] = field(default_factory=dict)
    advice: tuple[Mapping[str, Any], ...] = ()
    error: str | None = None


def summarize_log(path: Path) -> LogSummary:
    """Summarize a log. Lines that are not whole, such as the last while it is written, are passed over."""
    lines = path.read_bytes().split(b"\n")
    newest = next((record for line in reversed(lines) if (record := _record(line))), {"step": 0})
    marked = [record for line in lines if any(mark in line for mark in _MARKS) and (record := _record(line))]
    judged = [one["evaluation"] for one in marked if isinstance(one.get("evaluation"), dict)]
    evaluation = judged[-1] if judged else {}
    iou = evaluation.get("iou")
    advice = [
        {"step": one["step"], **one["advice"]}
        for one in marked
        if isinstance(one.get("advice"), dict) and {"symptom", "seen", "remedy"} <= one["advice"].keys()
    ]
    return LogSummary(
        newest["step"],
        _number(evaluation.get("miou")),
        {str(name): _number(value) for name, value in iou.items()} if isinstance(iou, dict) else {},
        tuple(advice),
        # A resumed run goes on after its error.
        str(newest["error"]) if "error" in newest else None,
    )


def whole_records(path: Path) -> list[Mapping[str, Any]]:
    """The lines of a log for its curves; none where it is not there or damaged."""
    try:
        return read_records(path)
    except InputError:
        return []


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = parse_json(line, "") if line else None
    except InputError:
        return None
    return record if isinstance(record, dict) and type(record.get("step")) is int else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


class Remembered(Generic[Value]):
    """What was read of files, until they change.

    Args:
        read: of a path; called again when its size or time is another one.
        root: files outside of this folder, to which a link in it may lead, are not read.
    """

    def __init__(self, read: Callable[[Path], Value], root: Path) -> None:
        self._read, self._root = read, root
        self._known: dict[Path, tuple[tuple[int, int], Value]] = {}

    def __call__(self, path: Path) -> Value | None:
        """What the file holds; None where there is none."""
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if path not in self._known or self._known[path][0] != stamp:
                if not path.resolve().is_relative_to(self._root):
                    return None
                self._known[path] = stamp, self._read(path)
        except OSError:
            self._known.pop(path, None)
            return None
        return self._known[path][1]
