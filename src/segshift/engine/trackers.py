"""The experiment trackers that people use already: `trackers` of the recipe, told what metrics.jsonl is told.

They are accelerate's. What is ours: a resumed run goes on in the tracker's own run without doubled points,
and a tracker that fails costs the run one line and no more. That its package is there the plan has checked.
"""

import importlib
import json
import os
import re
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from segshift.documents import read_json_object
from segshift.engine.processes import started_tracker
from segshift.engine.recipe import Recipe, TrackerName
from segshift.files import write_json
from segshift.folders import RunFolder

Outcome = Literal["finished", "stopped", "failed"]
Record = Mapping[str, Any]
PROJECT = "segshift"
"""What runs are gathered under where the environment does not say."""
_GROUPS = ("losses", "observed", "lr", "unsupervised")
_ODD = re.compile(r"[^/\w.\- :]")


def points(record: Record) -> dict[str, float]:
    """The numbers of a line of metrics.jsonl by the names that trackers show: "losses/segmenter/supervised",
    "lr/segmenter", "evaluation/miou", "evaluation/iou/road".
    """
    found: dict[str, Any] = {}
    for group in _GROUPS:
        found |= {f"{group}/{key}": value for key, value in (record.get(group) or {}).items()}
    evaluation = record.get("evaluation") or {}
    found |= {f"evaluation/{key}": value for key, value in evaluation.items()}
    found |= {f"evaluation/iou/{key}": value for key, value in (evaluation.get("iou") or {}).items()}
    # MLflow refuses a whole line for a name with a plus in it, which a class may have.
    return {
        _ODD.sub("_", key): float(value)
        for key, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def hyper_parameters(recipe: Recipe) -> dict[str, str | int | float | bool]:
    """The recipe's settings, flat: "training.steps", "method.terms.0.weight". What is null is left out."""
    settings = recipe.model_dump(mode="json", exclude={"stages", "provenance", "description", "trackers"})
    return dict(_flat("", settings))


def _flat(key: str, value: Any) -> Iterator[tuple[str, str | int | float | bool]]:
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, dict) for one in value)):
        items: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else enumerate(value)
        for name, part in items:
            yield from _flat(f"{key}.{name}" if key else str(name), part)
    elif isinstance(value, list):
        yield key, json.dumps(value)
    elif value is not None:
        yield key, value


class Tracker(ABC):
    """One tracker's own ways.

    Args:
        run: the folder of the run.
        title: what the run is called.
        done: steps of earlier sessions; 0 begins anew.

    Attributes:
        project: what accelerate calls the project.
        continues: whether it goes on in what an earlier session wrote.
        forgets: whether lines after `done`, which a resumed run writes again, are gone from it.
        options: of its start.
    """

    name: ClassVar[TrackerName]
    project: str
    continues: bool
    forgets: bool = False
    options: dict[str, Any]

    @abstractmethod
    def __init__(self, run: RunFolder, title: str, done: int) -> None: ...

    @abstractmethod
    def started(self, tracker: Any) -> None:
        """Note down what the next session needs to go on in the same run."""

    @abstractmethod
    def end(self, tracker: Any, outcome: Outcome) -> None:
        """Close it; where it has words for how a run ended, with these."""


class TensorBoard(Tracker):
    """Event files in the run folder; what a resumed run writes again is purged."""

    name = "tensorboard"
    forgets = True

    def __init__(self, run: RunFolder, title: str, done: int) -> None:
        # The sub-folder that accelerate makes is named like the project.
        self.project = self.name
        self.continues = any((run.trackers / self.name).glob("events.out.*"))
        self.options = {"purge_step": done + 1} if self.continues else {}

    def started(self, tracker: Any) -> None:
        """The event files say all."""

    def end(self, tracker: Any, outcome: Outcome) -> None:
        """TensorBoard knows no state of a run."""
        tracker.finish()


class MLflow(Tracker):
    """A run of the experiment MLFLOW_EXPERIMENT_NAME, wherever MLFLOW_TRACKING_URI or MLflow itself says."""

    name = "mlflow"
    _STATUS: ClassVar[Mapping[Outcome, str]] = {
        "finished": "FINISHED",
        "stopped": "KILLED",
        "failed": "FAILED",
    }

    def __init__(self, run: RunFolder, title: str, done: int) -> None:
        self.project = PROJECT
        self._file = run.trackers / "mlflow.json"
        before = _remembered(self._file) if done else {}
        self.continues = "run_id" in before
        self.options = {"run_id": before["run_id"]} if self.continues else {"run_name": title}
        if self.continues and "MLFLOW_TRACKING_URI" not in os.environ:
            # Its default lies in the working folder, which may be another one now.
            importlib.import_module("mlflow").set_tracking_uri(before["tracking_uri"])

    def started(self, tracker: Any) -> None:
        """Its run's id, and the store that knows it."""
        uri = str(importlib.import_module("mlflow").get_tracking_uri())
        scheme, slashes, path = uri.partition(":///")
        if scheme == "sqlite" and path:
            uri = f"{scheme}{slashes}{Path(path).absolute()}"
        write_json(self._file, {"run_id": tracker.tracker.info.run_id, "tracking_uri": uri})

    def end(self, tracker: Any, outcome: Outcome) -> None:
        """FINISHED, KILLED or FAILED."""
        importlib.import_module("mlflow").end_run(self._STATUS[outcome])


class WeightsAndBiases(Tracker):
    """A run of the project WANDB_PROJECT."""

    name = "wandb"

    def __init__(self, run: RunFolder, title: str, done: int) -> None:
        # Accelerate gives wandb a project, which would silence the environment's.
        self.project = os.environ.get("WANDB_PROJECT", PROJECT)
        self._file = run.trackers / "wandb.json"
        before = _remembered(self._file) if done else {}
        self.continues = "id" in before
        self._id = os.environ.get("WANDB_RUN_ID") or before.get("id") or uuid.uuid4().hex[:8]
        self.options = {"id": self._id, "name": title}
        if self.continues:
            self.options["resume"] = "allow"
        if "WANDB_DIR" not in os.environ:
            self.options["dir"] = str(run.trackers)

    def started(self, tracker: Any) -> None:
        """Its run's id."""
        write_json(self._file, {"id": self._id})

    def end(self, tracker: Any, outcome: Outcome) -> None:
        """A run that did not finish has an exit code."""
        tracker.tracker.finish(exit_code=0 if outcome == "finished" else 1)


_TRACKERS: Mapping[str, type[Tracker]] = {one.name: one for one in (TensorBoard, MLflow, WeightsAndBiases)}
assert set(_TRACKERS) == set(get_args(TrackerName))


class Trackers:
    """All trackers of a run; those that fail are left out from then on, after one line about it.

    Args:
        recipe: whose trackers they are, and whose settings they are told.
        run: the run's folder.
        title: what the run is called.
        done: steps of earlier sessions.
        kept: lines of those sessions that stay in metrics.jsonl; a tracker that is new gets them.
        dropped: lines after step `done`, which are about to come again.
        say: who hears that one failed.
    """

    def __init__(
        self,
        recipe: Recipe,
        run: RunFolder,
        title: str,
        done: int,
        kept: Sequence[Record],
        dropped: Sequence[Record],
        say: Callable[[str], None],
    ) -> None:
        self._say = say
        self._running: dict[str, tuple[Tracker, Any]] = {}
        self._known = {(record["step"], key) for record in dropped for key in points(record)}
        for name in recipe.trackers:
            try:
                self._begin(name, recipe, run, title, done, kept)
            except Exception as error:  # of a library, a server or a network
                self._give_up(name, error)

    def _begin(
        self, name: str, recipe: Recipe, run: RunFolder, title: str, done: int, kept: Sequence[Record]
    ) -> None:
        run.trackers.mkdir(parents=True, exist_ok=True)
        own = _TRACKERS[name](run, title, done)
        tracker = started_tracker(name, own.project, run.trackers, own.options)
        self._running[name] = own, tracker
        own.started(tracker)
        if not own.continues:
            tracker.store_init_configuration(hyper_parameters(recipe))
            for record in kept:
                tracker.log(points(record), step=record["step"])

    def log(self, record: Record) -> None:
        """Tell a line of metrics.jsonl."""
        step, values = record["step"], points(record)
        for name, (own, tracker) in list(self._running.items()):
            known = own.continues and not own.forgets
            new = {key: value for key, value in values.items() if not known or (step, key) not in self._known}
            try:
                if new:
                    tracker.log(new, step=step)
            except Exception as error:
                self._give_up(name, error)

    def close(self, outcome: Outcome) -> None:
        """End all of them."""
        for name, (own, tracker) in list(self._running.items()):
            try:
                own.end(tracker, outcome)
            except Exception as error:
                self._give_up(name, error)
        self._running.clear()

    def _give_up(self, name: str, error: Exception) -> None:
        """A tracker is a convenience: the run and its metrics.jsonl do not depend on it."""
        self._running.pop(name, None)
        reason = (str(error) or type(error).__name__).splitlines()[0]
        self._say(f"  tracker {name} failed ({reason}); the run goes on without it, metrics.jsonl has all")


def _remembered(file: Path) -> Mapping[str, Any]:
    if not file.exists():
        return {}
    return read_json_object(file, "is no note of a tracker; remove it, and the tracker begins a new run")
