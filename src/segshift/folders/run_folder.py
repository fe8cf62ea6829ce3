"""The folder of a run: where each of its files lies, and what is finished. The only place with the names."""

import json
import re
import shlex
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segshift.errors import InputError
from segshift.files import expanded
from segshift.folders.lock import lock_folder

MODEL_FILE = "model.safetensors"
TRANSLATOR_FILE = "translator.safetensors"
_CHECKPOINT = re.compile(r"step_(\d{8})\.pt")
_STAGE = re.compile(r"(\d+)_[a-z0-9_]+")


@dataclass(frozen=True)
class RunFolder:
    """A run's folder, or that of one of its stages, or one that is yet to be made.

    Attributes:
        path: of the folder.
    """

    path: Path

    @classmethod
    def of(cls, model: str | Path) -> "RunFolder":
        """The folder that is meant by a run folder or by the model file in one; `~` is the home folder."""
        path = expanded(model)
        return cls(path if path.is_dir() else path.parent)

    @property
    def config(self) -> Path:
        """The resolved recipe, which `segshift train` takes again."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """The log: one JSON object per line, each with its `step`."""
        return self.path / "metrics.jsonl"

    @property
    def results(self) -> Path:
        """The scores; it is written last, so that a run that has it is finished."""
        return self.path / "results.json"

    @property
    def environment(self) -> Path:
        """Versions and device of the training."""
        return self.path / "environment.json"

    @property
    def model(self) -> Path:
        """The trained segmenter."""
        return self.path / MODEL_FILE

    @property
    def translator(self) -> Path:
        """The trained generator of a run of `cyclegan`."""
        return self.path / TRANSLATOR_FILE

    @property
    def report(self) -> Path:
        """The page that a comparison writes."""
        return self.path / "report.html"

    @property
    def pictures(self) -> Path:
        """The folder of what methods draw while they train."""
        return self.path / "pictures"

    @property
    def checkpoints(self) -> Path:
        """The folder of the states from which training goes on."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """The folder of the model that has the best score so far, where a score selects it."""
        return self.path / "best"

    def checkpoint(self, step: int) -> Path:
        """The state after `step` steps."""
        return self.checkpoints / f"step_{step:08d}.pt"

    def checkpoint_steps(self) -> list[int]:
        """The steps done of the checkpoints that are there, ascending."""
        if not self.checkpoints.is_dir():
            return []
        names = (_CHECKPOINT.fullmatch(path.name) for path in self.checkpoints.iterdir())
        return sorted(int(name[1]) for name in names if name)

    def best_model(self, step: int) -> Path:
        """The model after `step` steps, kept because it had the best score."""
        return self.best / f"step_{step:08d}.safetensors"

    def stage(self, index: int, name: str) -> "RunFolder":
        """The folder of stage `name`, the `index`-th from 0."""
        return RunFolder(self.path / f"{index + 1}_{name}")

    def stages(self, names: Iterable[str]) -> "list[RunFolder]":
        """The folders of a recipe's stages, in order, there or not."""
        return [self.stage(index, name) for index, name in enumerate(names)]

    def stages_there(self) -> "list[RunFolder]":
        """The stage folders that are there, in the order of the stages."""
        names = ((_STAGE.fullmatch(path.name), path) for path in self.path.iterdir() if path.is_dir())
        return [RunFolder(path) for _, path in sorted((int(name[1]), path) for name, path in names if name)]

    @property
    def is_run(self) -> bool:
        """Whether a run has begun here."""
        return self.config.is_file()

    @property
    def is_finished(self) -> bool:
        """Whether a run (or the last of its stages) has come to its end."""
        return self.is_run and self.results.is_file()

    def read_results(self) -> dict[str, Any] | None:
        """The results of a finished run, None where there are none. Raises InputError for a damaged file."""
        return _read_object(self.results)

    def read_environment(self) -> dict[str, Any] | None:
        """The environment of a finished run, None where it is unknown. Raises InputError if damaged."""
        return _read_object(self.environment)

    def lock(self) -> AbstractContextManager[None]:
        """Be the only one who writes here while a block runs. Raises InputError that says who else is."""
        return lock_folder(self.path)

    def continue_command(self) -> str:
        """The command that goes on with the run."""
        return shlex.join(["segshift", "train", str(self.config), "--out", str(self.path), "--resume"])


def _read_object(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InputError(
            f"{path}: is damaged, no JSON document of segshift; remove the file and train again with --resume"
        )
    return value
