"""The folder of a run: where each of its files lies, and what is finished. The only place with the names."""

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segshift.documents import read_json_object
from segshift.errors import InputError
from segshift.files import expanded
from segshift.folders.remote import fetched_model, url_of

MODEL_FILE = "model.safetensors"
MODEL_SUFFIXES = (".safetensors", ".onnx", ".pt2", ".torchscript", ".pt", ".pth")
TRANSLATOR_FILE = "translator.safetensors"
_CHECKPOINT = re.compile(r"step_(\d{8})\.pt")
_STEP = re.compile(r"step_(\d{8})\.safetensors")
_EXPORT = re.compile(r"export(_step_\d{8})?")
_AT = re.compile(r"(?P<run>.+)@(?P<step>\d+)", re.DOTALL)
_DAMAGED = "is no JSON document of segshift; remove the file and train again with --resume"
_SEED = re.compile(r"seed_(\d+)")
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
        """The folder of the run that a model argument (see `model_path`) or the model file in one means."""
        path = _named(model)
        folder = path if path.is_dir() else path.parent
        of_a_step = _STEP.fullmatch(path.name) and folder.name == "checkpoints"
        is_export = not path.is_dir() and _EXPORT.fullmatch(folder.name) and cls(folder.parent).is_run
        return cls(folder.parent if of_a_step or is_export else folder)

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
    def comparison(self) -> Path:
        """The table of a comparison, whose folder this is."""
        return self.path / "comparison.json"

    def seed(self, seed: int) -> "RunFolder":
        """The folder of one seed of a comparison or of a sweep's combination."""
        return RunFolder(self.path / f"seed_{seed}")

    @property
    def is_seed(self) -> bool:
        """Whether it is called like the folder of a seed."""
        return _SEED.fullmatch(self.path.name) is not None

    def seeds_there(self) -> "dict[int, RunFolder]":
        """The folders of seeds that are there, ascending."""
        names = ((_SEED.fullmatch(path.name), path) for path in self.path.glob("seed_*"))
        return dict(sorted((int(name[1]), RunFolder(path)) for name, path in names if name))

    @property
    def pictures(self) -> Path:
        """The folder of what methods draw while they train."""
        return self.path / "pictures"

    @property
    def trackers(self) -> Path:
        """The folder of what experiment trackers keep with the run."""
        return self.path / "trackers"

    def exported(self, step: int | None = None) -> Path:
        """Where its model, or its network after `step` steps, is written for other programs."""
        return self.path / ("export" if step is None else f"export_step_{step:08d}")

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
        return self._steps(_CHECKPOINT)

    def unfinished_checkpoints(self) -> list[Path]:
        """What killed writers of checkpoints have left behind."""
        return list(self.checkpoints.glob(".step_*.partial.pt"))

    def network(self, step: int) -> Path:
        """What the run had trained after `step` steps, a segmenter or a translator: RUN@STEP."""
        return self.checkpoints / f"step_{step:08d}.safetensors"

    def network_steps(self) -> list[int]:
        """The steps done of which the networks are kept, ascending."""
        return self._steps(_STEP)

    def _steps(self, pattern: re.Pattern[str]) -> list[int]:
        if not self.checkpoints.is_dir():
            return []
        names = (pattern.fullmatch(path.name) for path in self.checkpoints.iterdir())
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
        results = _read_object(self.results)
        if results is not None and not _has_scores(results):
            raise InputError(f"{self.results}: {_DAMAGED}")
        return results

    def read_environment(self) -> dict[str, Any] | None:
        """The environment of a finished run, None where it is unknown. Raises InputError if damaged."""
        return _read_object(self.environment)

    def continue_command(self) -> str:
        """The command that goes on with the run."""
        return shlex.join(["segshift", "train", str(self.config), "--out", str(self.path), "--resume"])


def model_path(model: str | Path) -> Path:
    """What a model argument means: a run folder, a file, or RUN@STEP, the run's network after STEP steps.

    A file or folder that is really called so comes first. `~` is the home folder. Of a URL (`s3://...`), of a
    model file or of a run's folder, the file is copied into the cache.

    Returns:
        The path of a folder or a file; that it is there is checked for RUN@STEP alone.

    Raises:
        InputError: nothing is kept of that step; the message names the steps of which something is.
    """
    path = _named(model)
    if path != expanded(model) and not path.is_file():
        raise InputError(f"{model}: {_nothing_kept(RunFolder.of(path))}")
    return path


def model_file(model: str | Path) -> Path:
    """The file of a segmenter that `model_path` means; that it is there is not checked."""
    path = model_path(model)
    return RunFolder(path).model if path.is_dir() else path


def captions(paths: Sequence[Path]) -> list[str]:
    """Short different names: the last folder, or as many folders as it takes to tell them apart."""
    if not paths:
        return []
    bare = [path.parent if path.name == MODEL_FILE and path.parent.name else path for path in paths]
    parts = [path.parts for path in bare]
    length = 1
    while length < max(map(len, parts)) and len({part[-length:] for part in parts}) < len(parts):
        length += 1
    short = [str(Path(*part[-length:])) if part else "." for part in parts]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]


def step_of(model: str | Path) -> int | None:
    """The step of RUN@STEP or of its file; None of what is the network of a whole run."""
    path = _named(model)
    step = _STEP.fullmatch(path.name)
    return int(step[1]) if step and path.parent.name == "checkpoints" else None


def _named(model: str | Path) -> Path:
    url = url_of(model)
    if url is not None:
        return fetched_model(url, MODEL_FILE, MODEL_SUFFIXES)
    path = expanded(model)
    at = _AT.fullmatch(str(path))
    return path if at is None or path.exists() else RunFolder(Path(at["run"])).network(int(at["step"]))


def _nothing_kept(run: RunFolder) -> str:
    """Why a run has no networks of a step, and what to take instead."""
    if not run.path.is_dir():
        return f"there is no folder {run.path}; write RUN@STEP with the folder of a run"
    steps = run.network_steps()
    if steps:
        kept = ", ".join(map(str, steps))
        return f"the run kept its networks of the steps {kept}; training.keep_checkpoints: all keeps all"
    stages = [f"{stage.path}@STEP" for stage in run.stages_there() if stage.network_steps()]
    if stages:
        return f"has stages with steps of their own; write {' or '.join(stages)}"
    return "the run kept no networks of single steps; train with training.keep_checkpoints: all"


def _read_object(path: Path) -> dict[str, Any] | None:
    return read_json_object(path, _DAMAGED) if path.exists() else None


def _has_scores(results: dict[str, Any]) -> bool:
    """Whether an evaluation, where there is one, has its IoUs and, where there is one, a square of counts."""
    evaluation, confusion = results.get("evaluation"), results.get("confusion")
    if evaluation is None:
        return True
    iou = evaluation.get("iou") if isinstance(evaluation, dict) else None
    if not isinstance(iou, dict):
        return False
    return "confusion" not in results or (
        isinstance(confusion, list)
        and len(confusion) == len(iou)
        and all(isinstance(row, list) and len(row) == len(iou) for row in confusion)
        and all(type(count) is int and 0 <= count < 2**63 for row in confusion for count in row)
    )
