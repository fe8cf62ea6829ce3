"""What state the runs below a folder are in: how far, how fast, how good, and what looks sick."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from segshift.engine.config_file import read_config
from segshift.engine.health import pseudo_label_advice, read_summary
from segshift.engine.pseudo_label_folder import SUMMARY
from segshift.engine.recipe import Recipe
from segshift.engine.stages import stage_recipe
from segshift.errors import InputError
from segshift.folders import RunFolder, Writer, writer_of
from segshift.report.runs import run_words
from segshift.watch.found import Place, find_runs
from segshift.watch.logs import LogSummary, Remembered, summarize_log

State = Literal["running", "finished", "stopped", "failed"]
STATES: tuple[State, ...] = ("running", "finished", "stopped", "failed")
# On another machine only the log tells whether a process is alive.
_SILENT_S = 900.0


@dataclass(frozen=True)
class Stage:
    """A part of a run: one of its stages, or all of a run without.

    Attributes:
        name: of the stage; empty for a run without.
        kind: train, translate or pseudo_label.
        run: its folder, there or not.
        steps: that it will take.
    """

    name: str
    kind: str
    run: RunFolder
    steps: int


@dataclass(frozen=True)
class RunState:
    """A run as it is now.

    Attributes:
        run: its path below the folder that is watched.
        group: what it is part of, `kind` of which is comparison, sweep or folder.
        kind: see `group`.
        name: within the group.
        method: what is trained, in a few words.
        state: running, finished, stopped (it can go on) or failed.
        reason: why it stopped or failed, and how it goes on.
        stage: that is going on; empty where there are none.
        step: steps done, of all training stages together.
        steps: of all of them.
        steps_per_second: of the running session.
        seconds_left: to the end at this speed.
        miou: of the newest evaluation, or of the results.
        iou: by class, of the same.
        advice: what looked sick, with its step.
        changed: when something was last written, in ISO 8601.
    """

    run: str
    group: str
    kind: str
    name: str
    method: str
    state: State
    reason: str
    stage: str
    step: int
    steps: int
    steps_per_second: float | None
    seconds_left: float | None
    miou: float | None
    iou: Mapping[str, float | None]
    advice: tuple[Mapping[str, Any], ...]
    changed: str

    def to_dict(self) -> dict[str, Any]:
        """For --json and the page."""
        return asdict(self)


class Watch:
    """The runs below a folder; what did not change since the last look is not read again.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._recipes = Remembered(_read_recipe, self.root)
        self._logs = Remembered(summarize_log, self.root)
        self._results = Remembered(_read_results, self.root)
        self._labels = Remembered(_label_advice, self.root)

    def look(self) -> list[RunState]:
        """The state of every run, grouped and sorted."""
        return [self.state(place) for place in find_runs(self.root)]

    def stages(self, place: Place) -> list[Stage]:
        """The parts of a run whose logs hold its curves."""
        recipe = self._recipes(place.run.config)
        if not isinstance(recipe, Recipe):
            return [Stage("", "train", place.run, 0)]
        if not recipe.stages:
            return [Stage("", "train", place.run, recipe.training.steps)]
        names = [stage.name for stage in recipe.stages]
        return [
            Stage(
                stage.name,
                stage.kind,
                folder,
                stage_recipe(recipe, index).training.steps if stage.kind == "train" else 0,
            )
            for index, (stage, folder) in enumerate(zip(recipe.stages, place.run.stages(names), strict=True))
        ]

    def state(self, place: Place) -> RunState:
        """The state of one run."""
        recipe, stages = self._recipes(place.run.config), self.stages(place)
        logs = [self._logs(stage.run.metrics) or LogSummary() for stage in stages]
        going = max((index for index, stage in enumerate(stages) if stage.run.path.is_dir()), default=0)
        results = self._results(place.run.results)
        writer = writer_of(place.run.path)
        changed = max(_changed(path) for path in (place.run.config, *(one.run.metrics for one in stages)))
        state, reason = _judge(place.run, results, writer, logs[going].error, changed)
        if not isinstance(recipe, Recipe):
            state, reason = "failed", str(recipe)
        # A run whose patience ended is finished before its last step.
        done = [log.step for log in logs]
        steps = sum(done) if state == "finished" else sum(stage.steps for stage in stages)
        speed = _speed(stages[going].run, done[going], writer) if state == "running" else None
        evaluation = results if results and results.get("iou") else None
        judged = next((log for log in reversed(logs) if log.iou), LogSummary())
        labels = [advice for stage in stages for advice in self._labels(stage.run.path / SUMMARY) or ()]
        return RunState(
            run=place.key,
            group=place.group,
            kind=place.kind,
            name=place.name,
            method=run_words(recipe) if isinstance(recipe, Recipe) else "",
            state=state,
            reason=reason,
            stage=stages[going].name if state != "finished" else "",
            step=sum(done),
            steps=steps,
            steps_per_second=speed,
            seconds_left=(steps - sum(done)) / speed if speed else None,
            miou=evaluation["miou"] if evaluation else judged.miou,
            iou=evaluation["iou"] if evaluation else judged.iou,
            advice=(*(advice for log in logs for advice in log.advice), *labels),
            changed=datetime.fromtimestamp(changed, UTC).isoformat(timespec="seconds"),
        )


def _judge(
    run: RunFolder,
    results: Mapping[str, Any] | None,
    writer: Writer | None,
    error: str | None,
    changed: float,
) -> tuple[State, str]:
    alive = writer is not None and writer.is_alive
    if writer is not None and writer.is_alive is None:
        alive = time.time() - changed < _SILENT_S
    if alive:
        return "running", ""
    if results is not None:
        return "finished", ""
    if error is not None:
        return "failed", error
    if writer is not None:
        return "failed", f"its process ({writer.pid} on {writer.host}) was killed, or memory ran out"
    return "stopped", f"goes on with: {run.continue_command()}"


def _speed(run: RunFolder, step: int, writer: Writer | None) -> float | None:
    """Steps per second since the oldest checkpoint of this session that is still there."""
    if writer is None:
        return None
    began = writer.since.timestamp()
    saved = [(one, _changed(run.checkpoint(one))) for one in run.checkpoint_steps()]
    in_session = [(done, at) for done, at in saved if at >= began and done < step]
    before = max((done for done, at in saved if at < began), default=0)
    done, at = in_session[0] if in_session else (before, began)
    seconds = _changed(run.metrics) - at
    return (step - done) / seconds if step > done and seconds > 0 else None


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _read_recipe(path: Path) -> Recipe | str:
    try:
        return read_config(RunFolder(path.parent))
    except InputError as error:
        return str(error)


def _read_results(path: Path) -> dict[str, Any]:
    """The mIoU and IoUs of a results.json; a damaged one is a finished run without."""
    try:
        evaluation = (RunFolder(path.parent).read_results() or {}).get("evaluation") or {}
    except InputError:
        return {}
    return {"miou": evaluation.get("miou"), "iou": evaluation.get("iou") or {}}


def _label_advice(path: Path) -> tuple[Mapping[str, Any], ...]:
    try:
        return tuple({"step": None, **one.to_dict()} for one in pseudo_label_advice(read_summary(path)))
    except InputError:
        return ()
