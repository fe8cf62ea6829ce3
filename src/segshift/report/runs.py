"""Run folders as a report reads them: recipe, results, log, and which runs stand behind a folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from segshift.analysis.loss_curves import Curves, Record, curves, logged_scores, loss_curves
from segshift.documents import read_json_object
from segshift.engine.comparison import CONTROL, START
from segshift.engine.config_file import read_config
from segshift.engine.health import pseudo_label_advice, read_records, read_summary, replay
from segshift.engine.lineage import Leg, final_recipe, legs_behind, until
from segshift.engine.pseudo_label_folder import SUMMARY
from segshift.engine.recipe import Recipe
from segshift.engine.stages import stage_recipe
from segshift.engine.target_labels import saw_target_labels
from segshift.errors import InputError
from segshift.folders import RunFolder, captions, model_path, step_of
from segshift.report.content import Curve, CurveGroup

_LOGGED = ("losses", "lr", "unsupervised", "observed")
_ROLES = {
    "source": "source",
    "target": "target",
    "pseudo_labelled": "pseudo-labelled",
    "target_labelled": "target, labelled",
    "evaluated_on": "evaluated on",
}
_KINDS = {"translate": "translated images", "pseudo_label": "pseudo labels"}


@dataclass(frozen=True)
class Run:
    """A finished run that trained a segmenter.

    Attributes:
        name: short and unique in the report.
        folder: of the run.
        recipe: all of it, stages included.
        final: of the stage whose model the run stands for; `recipe` itself without stages.
        results: its results.json; of RUN@STEP what holds for every step, and nothing of an unfinished run.
        step: of RUN@STEP; None for the network that the run has ended with.
    """

    name: str
    folder: Path
    recipe: Recipe
    final: Recipe
    results: Mapping[str, Any]
    step: int | None = None

    @property
    def model(self) -> Path:
        """What the networks' loader takes."""
        return self.folder if self.step is None else RunFolder(self.folder).network(self.step)

    @property
    def recipe_text(self) -> str:
        """The resolved recipe, as YAML."""
        return RunFolder(self.folder).config.read_text(encoding="utf-8")

    @cached_property
    def environment(self) -> Mapping[str, Any]:
        """Versions and device of the training; empty where none was recorded."""
        return RunFolder(self.folder).read_environment() or {}

    @cached_property
    def legs(self) -> tuple[Leg, ...]:
        """The trainings behind its model, the last first."""
        return legs_behind(self.final)

    @property
    def uses_target_labels(self) -> bool | None:
        """Whether labels of the target took part; None where nobody knows."""
        return saw_target_labels(self.model)

    @property
    def data(self) -> dict[str, str]:
        """Which data sets the run saw, by role."""
        return {words: str(self.results[key]) for key, words in _ROLES.items() if self.results.get(key)}

    @property
    def method(self) -> str:
        """What was trained, in a few words: `align: advent, mean_teacher`."""
        return run_words(self.recipe)

    @cached_property
    def curves(self) -> tuple[Curve, ...]:
        """The lines of the log; the curves of a run with stages begin with the stage's name."""
        return tuple(
            curve
            for prefix, run in self._stages()
            if run.metrics.is_file()
            for curve in log_curves(self._log(run.metrics), prefix)
        )

    @cached_property
    def advice(self) -> tuple[str, ...]:
        """What looked sick in the log and in the pseudo labels of its stages, and what to try."""
        found = []
        for prefix, run in self._stages():
            if run.metrics.is_file():
                replayed = replay(self._log(run.metrics))
                found += [f"{prefix}from step {step} on: {one.line}" for step, one in replayed]
            if (run.path / SUMMARY).is_file():
                found += [prefix + one.line for one in pseudo_label_advice(read_summary(run.path / SUMMARY))]
        return tuple(found)

    def check_files(self) -> None:
        """Read what lies beside the model, so that a broken file is told before the measurements, not after.

        Raises:
            InputError: a log, a summary of pseudo labels or an environment that segshift has not written.
        """
        _ = self.curves, self.advice, self.environment

    def _log(self, path: Path) -> list[Record]:
        """The lines of a log, up to the step that is meant."""
        return [one for one in _read_log(path) if self.step is None or one["step"] <= self.step]

    def _stages(self) -> list[tuple[str, RunFolder]]:
        """The folders with logs, each with what its curves' names begin with."""
        if not self.recipe.stages:
            return [("", RunFolder(self.folder))]
        names = [stage.name for stage in self.recipe.stages]
        return [
            (f"{name}: ", folder)
            for name, folder in zip(names, RunFolder(self.folder).stages(names), strict=True)
        ]


@dataclass(frozen=True)
class Row:
    """The runs that one row of the tables stands for: a run, or an arm of a comparison with one per seed.

    Attributes:
        name: short and unique in the report.
        runs: of the seeds; the first one's pictures, curves and analyses are shown.
    """

    name: str
    runs: tuple[Run, ...]


def run_words(recipe: Recipe) -> str:
    """What a whole run does: its method, or its stages one after the other."""
    if not recipe.stages:
        return method_words(recipe)
    parts = [
        method_words(stage_recipe(recipe, index)) if stage.kind == "train" else _KINDS[stage.kind]
        for index, stage in enumerate(recipe.stages)
    ]
    return ", then ".join(parts)


def method_words(recipe: Recipe) -> str:
    """A stage's method and terms, and which labels beside the source's it trains on."""
    # A user's own is FILE.py:CLASS, with a long path before it.
    name = Path(str(recipe.method.get("name", "align"))).name
    terms = list(dict.fromkeys(Path(str(one.get("term"))).name for one in recipe.method.get("terms", [])))
    labels = [
        *(["oracle"] if recipe.oracle else []),
        *(["pseudo-labelled target"] if recipe.pseudo_labelled is not None else []),
        *(["labelled target"] if recipe.target_labelled is not None else []),
    ]
    if name == "align" and not terms:
        return ", ".join(labels) or "source only"
    return ", ".join([*labels, f"{name}: {', '.join(terms)}" if terms else name])


def expand(folders: Sequence[Path]) -> dict[str, tuple[Path, ...]]:
    """The run folders that are meant, by the names of their rows; a comparison's stands for its arms.

    A run is a row, an arm of a comparison one with a run per seed. A comparison's control comes first.

    Raises:
        InputError: what is no run folder: a model file, a translator's run, an unfinished one, none at all.
    """
    found: list[tuple[str, tuple[Path, ...]]] = []
    single = [folder for folder in folders if RunFolder(folder).is_run or not _seed_folders(folder)]
    names = dict(zip(single, captions(single), strict=True))
    for folder in folders:
        found += [(names[folder], (folder,))] if folder in names else _arms(folder)
    for run in (run for _, runs in found for run in runs):
        _check_run(run)
    places = [runs[0].resolve() for _, runs in found]
    twice = next((runs[0] for (_, runs), at in zip(found, places, strict=True) if places.count(at) > 1), None)
    if twice is not None:
        raise InputError(f"report: {twice} stands twice; name every run once")
    listed = [name for name, _ in found]
    return {name if listed.count(name) == 1 else f"{name}, {runs[0]}": runs for name, runs in found}


def read_run(folder: Path, name: str) -> Run:
    """Read a folder that `expand` has let through. Raises InputError for a broken config or results file."""
    run, step = RunFolder.of(folder), step_of(folder)
    recipe = read_config(run)
    final = final_recipe(recipe, run)
    if step is None:
        return Run(name, run.path, recipe, final, run.read_results() or {})
    results = {**(run.read_results() or {}), "evaluation": None, "selected": f"step {step}"}
    return Run(name, run.path, recipe, until(final, step), results, step)


def log_curves(records: Sequence[Mapping[str, Any]], prefix: str = "") -> list[Curve]:
    """The lines of a metrics.jsonl by chart: losses, discriminators, scores, observed, learning rates."""
    own, against = loss_curves(records)
    groups: dict[CurveGroup, Curves] = {
        "loss": own,
        "discriminator": against,
        "score": logged_scores(records),
        "observed": curves(records, "observed"),
        "learning_rate": curves(records, "lr"),
    }
    return [
        Curve(group, prefix + name, *zip(*line, strict=True))
        for group, lines in groups.items()
        for name, line in lines.items()
    ]


def _seed_folders(folder: Path) -> dict[int, Path]:
    """The folders of a comparison's seeds; none if the folder is no comparison."""
    there = RunFolder(folder).seeds_there()
    return {seed: one.path for seed, one in there.items() if RunFolder(one.path / CONTROL).is_run}


def _arms(folder: Path) -> list[tuple[str, tuple[Path, ...]]]:
    """A comparison's arms with their runs of all seeds that are finished, the control first."""
    seeds = _seed_folders(folder)
    labels: dict[str, str] = {}
    if RunFolder(folder).comparison.is_file():
        labels, listed = _listed(RunFolder(folder).comparison)
        # What an earlier comparison left here is no part of this one.
        seeds = {seed: seeds[seed] for seed in listed if seed in seeds} or seeds
    first, *others = seeds.values()
    known = labels or sorted(path.parent.name for path in first.glob(f"*/{RunFolder(first).config.name}"))
    arms = [arm for arm in dict.fromkeys([CONTROL, START, *known]) if RunFolder(first / arm).is_run]
    whole = [first, *(seed for seed in others if all(_finished(seed / arm) for arm in arms))]
    return [(labels.get(arm, arm), tuple(seed / arm for seed in whole)) for arm in arms]


def _listed(table: Path) -> tuple[dict[str, str], list[int]]:
    """What a comparison.json calls its arms, with the score that chose their checkpoints; and its seeds."""
    document = _read_json(table)
    try:
        labels = {
            str(row["arm"]): str(row.get("label", row["arm"]))
            + (f", best by {row['selection']}" if row.get("selection") else "")
            for row in document["rows"]
        }
        return labels, [int(seed) for seed in document.get("seeds", ())]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(f"{table}: names no arms in `rows`; compare again, or name the arms") from None


def _finished(folder: Path) -> bool:
    return RunFolder(folder).is_finished and RunFolder(folder).model.is_file()


def _check_run(folder: Path) -> None:
    run = RunFolder.of(folder) if step_of(folder) is not None else RunFolder(folder)
    if step_of(folder) is not None:
        model_path(folder)  # says which steps there are instead
        if not run.is_run:
            raise InputError(
                f"{run.path}: holds no {run.config.name}, so it is no run folder; give RUN@STEP of one"
            )
        return
    if folder.is_file():
        raise InputError(
            f"{folder}: is a file; a report needs the run folder with its config.yaml and metrics.jsonl "
            "(for a model alone: segshift analyze)"
        )
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of a finished run")
    if not run.is_run:
        below = sorted({path.parent for path in folder.glob(f"**/{run.config.name}")})
        hint = f", for example {below[0]}" if below else ""
        raise InputError(f"{folder}: holds no {run.config.name}, so it is no run folder; give one{hint}")
    if not run.model.is_file() and run.translator.is_file():
        raise InputError(
            f"{folder}: trained a translator and no segmenter, so there is nothing to score; report on the "
            "run that trains with the translated images"
        )
    for file in (run.results, run.model):
        if not file.is_file():
            raise InputError(
                f"{folder}: has no {file.name}, the run is not finished; to go on: {run.continue_command()}"
            )


def _read_log(path: Path) -> list[Record]:
    """A metrics.jsonl whose values are numbers, or null where they were not finite."""
    try:
        records = read_records(path)
    except UnicodeDecodeError:
        raise InputError(f"{path}: is no text; this is no metrics.jsonl of segshift") from None
    for record in records:
        for key in _LOGGED:
            values = record.get(key) or {}
            if not isinstance(values, dict) or not all(
                value is None or isinstance(value, int | float) for value in values.values()
            ):
                raise InputError(
                    f"{path}, step {record['step']}: `{key}` holds what is no number; this is no "
                    "metrics.jsonl of segshift"
                )
    return records


def _read_json(path: Path) -> dict[str, Any]:
    return read_json_object(path, "is no JSON document of segshift; train or compare again")
