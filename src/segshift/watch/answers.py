"""What the page asks: the runs, the curves of some of them, more of one of them, its pictures."""

import json
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segshift.errors import InputError
from segshift.files import read_text
from segshift.folders import RunFolder, captions
from segshift.report.content import Curve
from segshift.report.line_charts import curves_by_name, curves_by_run
from segshift.report.runs import log_curves
from segshift.watch.found import Place, find_runs
from segshift.watch.logs import Remembered, whole_records
from segshift.watch.state import RunState, Watch

MOST_COMPARED = 8
"""Runs in one chart: as many as there are colors."""
_PICTURE = re.compile(r"step_\d+\.png")
_MOST_PICTURES = 60
# Several pages that are open ask for the same.
_FRESH_S = 1.0


@dataclass(frozen=True)
class _Logged:
    name: str
    curves: Sequence[Curve]


class Answers:
    """Answers about the runs below a folder; for several threads.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.watch = Watch(root)
        self._curves = Remembered(lambda path: log_curves(whole_records(path)), self.watch.root)
        self._texts = Remembered(read_text, self.watch.root)
        self._lock = threading.Lock()
        self._looked, self._places, self._states = float("-inf"), dict[str, Place](), list[RunState]()

    def runs(self) -> dict[str, Any]:
        """The state of every run."""
        with self._lock:
            self._look()
            return {"runs": [state.to_dict() for state in self._states]}

    def curves(self, keys: Sequence[str]) -> dict[str, Any]:
        """The charts of one run, or those of the curves that several have.

        Raises:
            InputError: no run of this name, none at all, or more than can be told apart.
        """
        if not 1 <= len(keys) <= MOST_COMPARED:
            raise InputError(f"run: {len(keys)} were asked for; ask for 1 to {MOST_COMPARED}")
        with self._lock:
            places = [self._place(key) for key in dict.fromkeys(keys)]
            names = captions([place.run.path for place in places])
            logged = [_Logged(name, self._lines(one)) for name, one in zip(names, places, strict=True)]
        found = curves_by_run(logged) if len(logged) == 1 else curves_by_name(logged)
        groups = [
            {
                "title": "" if len(logged) == 1 else title,
                "charts": [
                    {
                        "key": chart.key,
                        "caption": chart.caption,
                        "label": chart.label,
                        "height_px": chart.height_px,
                        "figure": json.loads(chart.to_json())["curves"],
                    }
                    for chart in charts
                ],
            }
            for title, charts in found
        ]
        return {"names": names, "groups": groups}

    def run(self, key: str) -> dict[str, Any]:
        """More of a run: its recipe, its environment, the names of its pictures, the newest first."""
        with self._lock:
            place = self._place(key)
            folders = [stage.run for stage in self.watch.stages(place)]
            return {
                "recipe": self._texts(place.run.config) or "",
                "environment": self._texts(place.run.environment) or "",
                "pictures": [
                    {"stage": index, "name": name}
                    for index, folder in enumerate(folders)
                    for name in _pictures(folder)
                ],
            }

    def picture(self, key: str, stage: int, name: str) -> bytes:
        """A picture that a run has drawn. Raises InputError for another file."""
        with self._lock:
            stages = self.watch.stages(self._place(key))
        if not 0 <= stage < len(stages) or not _PICTURE.fullmatch(name):
            raise InputError("picture: there is none of this name")
        path = stages[stage].run.pictures / name
        if not path.is_file() or not path.resolve().is_relative_to(self.watch.root):
            raise InputError("picture: there is none of this name")
        return path.read_bytes()

    def _look(self) -> None:
        if time.monotonic() - self._looked < _FRESH_S:
            return
        places = find_runs(self.watch.root)
        self._places = {place.key: place for place in places}
        self._states = [self.watch.state(place) for place in places]
        self._looked = time.monotonic()

    def _place(self, key: str) -> Place:
        """Only what was found is asked for: a path from outside is never opened."""
        self._look()
        if key not in self._places:
            raise InputError("run: there is none of this name")
        return self._places[key]

    def _lines(self, place: Place) -> list[Curve]:
        return [
            replace(curve, name=f"{stage.name}: {curve.name}") if stage.name else curve
            for stage in self.watch.stages(place)
            for curve in self._curves(stage.run.metrics) or ()
        ]


def _pictures(run: RunFolder) -> list[str]:
    if not run.pictures.is_dir():
        return []
    names = [path.name for path in run.pictures.iterdir() if _PICTURE.fullmatch(path.name)]
    return sorted(names, reverse=True)[:_MOST_PICTURES]
