"""A recipe trained with several values of its settings: every combination, for every seed, each once."""

import hashlib
import itertools
import json
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from segshift.config import assignment, split_assignment
from segshift.documents import parse_yaml_value
from segshift.engine.comparison import spread
from segshift.engine.datasets import DomainFinder
from segshift.engine.health import final_adversary_loss, read_records
from segshift.engine.plan import all_or_errors, make_plan
from segshift.engine.presets import load_recipe
from segshift.engine.processes import held
from segshift.engine.recipe import Recipe
from segshift.engine.run import check_data, needs_evaluation, run_recipe
from segshift.errors import InputError, NonFiniteError, shown
from segshift.folders import RunFolder, name_fault
from segshift.label_free_scores import SCORES, goodness
from segshift.progress import Progress

RANKING_SCORE = "information_maximization"
"""The label-free score that ranked runs best (docs/health.md)."""
_LONGEST_NAME = 100
_CANNOT = "combinations cannot run"
_UNFIT = re.compile(r"[^A-Za-z0-9._=+-]+")


@dataclass(frozen=True)
class SweepRow:
    """One combination of values.

    Attributes:
        values: by key.
        miou: by seed, in [0, 1]; None for a run that ended with a loss that is not finite.
        folder: of its runs, each in seed_S.
        uses_target_labels: an oracle, or a run with labelled target images.
        adversary_loss: by seed, at the end of the run (see `health.final_adversary_loss`); without runs that
            have no adversary.
        label_free: by seed, the label-free scores at the end of the run by name (docs/health.md); without
            runs that have none, as `training.evaluate_every` makes them.
    """

    values: Mapping[str, Any]
    miou: Mapping[int, float | None]
    folder: Path
    uses_target_labels: bool = False
    adversary_loss: Mapping[int, float] = field(default_factory=dict)
    label_free: Mapping[int, Mapping[str, float]] = field(default_factory=dict)

    @property
    def scores(self) -> list[float]:
        """The mIoU of the seeds that came to an end."""
        return [score for score in self.miou.values() if score is not None]

    @property
    def mean(self) -> float | None:
        """Over these seeds."""
        return statistics.fmean(self.scores) if self.scores else None

    def label_free_mean(self, score: str) -> float | None:
        """A label-free score's mean over the seeds that have it."""
        values = [scores[score] for scores in self.label_free.values() if score in scores]
        return statistics.fmean(values) if values else None


@dataclass(frozen=True)
class SweepResult:
    """The finished sweep.

    Attributes:
        name: of the recipe.
        keys: the settings, in the order given.
        swept: those with more than one value.
        seeds: that every combination ran with.
        evaluated_on: the data set of the mIoU.
        rows: in the order of the product, the last key fastest.
    """

    name: str
    keys: tuple[str, ...]
    swept: tuple[str, ...]
    seeds: tuple[int, ...]
    evaluated_on: str
    rows: tuple[SweepRow, ...]

    def best(self) -> SweepRow | None:
        """The row with the highest mean; None if no run came to an end."""
        return max((row for row in self.rows if row.scores), key=lambda row: row.mean or 0.0, default=None)

    def best_without_labels(self) -> SweepRow | None:
        """The row that `RANKING_SCORE` prefers, as on a target without labels; None without scores."""
        ranked = [
            (goodness(RANKING_SCORE, value), row)
            for row in self.rows
            for value in [row.label_free_mean(RANKING_SCORE)]
            if value is not None and not row.uses_target_labels
        ]
        return max(ranked, key=lambda pair: pair[0])[1] if ranked else None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "keys": list(self.keys),
            "swept": list(self.swept),
            "seeds": list(self.seeds),
            "evaluated_on": self.evaluated_on,
            "rows": [
                {
                    "values": dict(row.values),
                    "miou": {str(seed): score for seed, score in row.miou.items()},
                    "miou_mean": row.mean,
                    "miou_std": spread(row.scores),
                    "adversary_loss": {str(seed): loss for seed, loss in row.adversary_loss.items()},
                    "label_free": {str(seed): dict(scores) for seed, scores in row.label_free.items()},
                    "folder": str(row.folder),
                    "uses_target_labels": row.uses_target_labels,
                }
                for row in self.rows
            ],
        }

    def lines(self) -> dict[str, dict[Any, list[float]]]:
        """The mIoU of all seeds as a curve over the first swept key shows it: a line per combination of the
        other swept keys. Values that are no plain numbers or words (lists) stand as text.
        """
        return self._lines(lambda row: row.scores)

    def adversary_lines(self) -> dict[str, dict[Any, list[float]]]:
        """The same of the adversaries' losses; empty where no run has an adversary."""
        played = any(row.adversary_loss for row in self.rows)
        return self._lines(lambda row: list(row.adversary_loss.values())) if played else {}

    def _lines(self, of: Callable[[SweepRow], list[float]]) -> dict[str, dict[Any, list[float]]]:
        key, *others = self.swept
        lines: dict[str, dict[Any, list[float]]] = {}
        for row in self.rows:
            name = ", ".join(f"{other} = {in_words(row.values[other])}" for other in others)
            value = row.values[key]
            plain = value if isinstance(value, int | float | str) else in_words(value)
            lines.setdefault(name, {})[plain] = of(row)
        return lines


def parse_grid(assignments: Sequence[str]) -> dict[str, list[Any]]:
    """The values of every key from "key=1,2,3": what a YAML list of them holds.

    `key=[1,2],[3,4]` are two lists, `key="a,b"` is one text.

    Raises:
        InputError: another form, no value, a key or a value that stands twice, or the key `seed`.
    """
    grid: dict[str, list[Any]] = {}
    for one in assignments:
        key, text = split_assignment(one, "value,value")
        try:
            values = parse_yaml_value(f"[{text}]", "the values")
        except InputError as error:
            raise InputError(
                f"--set {one}: {shown(text)} are not YAML values; quote them ({error})"
            ) from None
        if not values:
            raise InputError(f"--set {one}: holds no value; give one or more, with commas")
        if key == "seed":
            raise InputError(f"--set {one}: seeds are no setting to choose; use --seeds 0,1,2")
        if key in grid:
            raise InputError(f"--set {one}: {key} stands twice; give all its values with commas")
        texts = [in_words(value) for value in values]
        if len(set(texts)) < len(texts):
            raise InputError(f"--set {one}: a value stands twice; name each once")
        grid[key] = values
    return grid


@dataclass
class _Found:
    """What the runs of one combination found so far; see `SweepRow`."""

    miou: dict[int, float | None] = field(default_factory=dict)
    adversary_loss: dict[int, float] = field(default_factory=dict)
    label_free: dict[int, dict[str, float]] = field(default_factory=dict)
    uses_target_labels: bool = False
    evaluated_on: str = ""

    def train(self, recipe: Recipe, title: str, folder: Path, progress: Progress) -> None:
        """One run. Raises as `run_sweep`, but for a loss that is not finite."""
        try:
            outcome = run_recipe(recipe, folder, progress, resume=True)
        except NonFiniteError as error:
            progress.say(f"{title}, seed {recipe.seed}: {error}; noted, the sweep goes on")
            self.miou[recipe.seed] = None
            return
        if outcome["evaluation"] is None:
            raise needs_evaluation(recipe.name, "a sweep")
        self.evaluated_on = outcome["evaluated_on"]
        self.uses_target_labels |= bool(outcome["uses_target_labels"])
        self.miou[recipe.seed] = float(outcome["evaluation"]["miou"] or 0.0)
        records = _last_records(folder)
        loss = final_adversary_loss(records)
        self.adversary_loss |= {} if loss is None else {recipe.seed: loss}
        scored = [record["unsupervised"] for record in records if record.get("unsupervised")]
        if scored:
            last = {name: value for name, value in scored[-1].items() if name in SCORES and value is not None}
            self.label_free[recipe.seed] = last


def run_sweep(
    preset_or_file: str,
    grid: Mapping[str, Sequence[Any]],
    seeds: Sequence[int],
    folder: Path,
    progress: Progress,
    fixed: Sequence[str] = (),
) -> SweepResult:
    """Train every combination for every seed below `folder`; finished runs are not run again.

    All recipes are read, and their images found, before the first one trains, and all that is wrong is said
    at once. A run whose loss is no longer finite is noted, and the sweep goes on.

    Args:
        preset_or_file: the recipe.
        grid: the values by key; keys with one value are the same in every run.
        seeds: of the runs.
        folder: each run is in FOLDER/KEY=VALUE.../seed_S.
        progress: who hears how it goes.
        fixed: further "a.b=value" assignments.

    Raises:
        InputError: no key with several values, bad settings or data, or no labels to evaluate on.
        errors.StoppedError: Ctrl-C or SIGTERM, after saving; the same call goes on from there.
    """
    swept = tuple(key for key, values in grid.items() if len(values) > 1)
    if not swept:
        raise InputError(
            "sweep: no setting has several values; give some, for example --set training.steps=500,1000"
        )
    combinations = [
        dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
    ]  # fmt: skip
    folders = [folder / folder_name({key: values[key] for key in swept}) for values in combinations]
    titles = [settings_words(values, swept) for values in combinations]
    recipes = _checked(preset_or_file, fixed, combinations, titles, folders, seeds)
    found = [_Found() for _ in combinations]
    total = len(seeds) * len(combinations)
    # Seeds outermost: a first whole curve stands early.
    with held(folder):
        for number, (seed, index) in enumerate(itertools.product(seeds, range(len(combinations))), start=1):
            progress.say(f"run {number} of {total}: {titles[index]}, seed {seed}")
            recipe = recipes[index].model_copy(update={"seed": seed})
            found[index].train(recipe, titles[index], RunFolder(folders[index]).seed(seed).path, progress)
    rows = [
        SweepRow(values, one.miou, here, one.uses_target_labels, one.adversary_loss, one.label_free)
        for values, one, here in zip(combinations, found, folders, strict=True)
    ]
    evaluated_on = next((one.evaluated_on for one in reversed(found) if one.evaluated_on), "")
    return SweepResult(recipes[0].name, tuple(grid), swept, tuple(seeds), evaluated_on, tuple(rows))


def _checked(
    preset_or_file: str,
    fixed: Sequence[str],
    combinations: Sequence[Mapping[str, Any]],
    titles: Sequence[str],
    folders: Sequence[Path],
    seeds: Sequence[int],
) -> list[Recipe]:
    """The recipes of all combinations. Raises InputError that tells of all that cannot run."""

    def read(index: int) -> Recipe:
        changes = [assignment(key, value) for key, value in combinations[index].items()]
        return load_recipe(preset_or_file, [*fixed, *changes])

    # All are read before the images of any are looked for.
    recipes = all_or_errors({title: partial(read, index) for index, title in enumerate(titles)}, _CANNOT)
    find = DomainFinder()

    def look(index: int) -> None:
        for seed in seeds:
            check_data(make_plan(recipes[index]), RunFolder(folders[index]).seed(seed), find, "a sweep")

    all_or_errors({title: partial(look, index) for index, title in enumerate(titles)}, _CANNOT)
    return recipes


def _last_records(folder: Path) -> list[Mapping[str, Any]]:
    """The log of a run, or of the last of its stages that trained."""
    run = RunFolder(folder)
    stages = run.stages_there() if folder.is_dir() else []
    trained = [one for one in (run, *stages) if one.metrics.is_file()]
    return list(read_records(trained[-1].metrics)) if trained else []


def in_words(value: Any) -> str:
    """A value as it is written after `--set key=`."""
    return value if isinstance(value, str) else json.dumps(value)


def settings_words(values: Mapping[str, Any], swept: Sequence[str]) -> str:
    """`a.b = 1, c = 2`: a combination by its swept keys."""
    return ", ".join(f"{key} = {in_words(values[key])}" for key in swept)


def folder_name(values: Mapping[str, Any]) -> str:
    """A folder's name for some settings: the same for the same values, whatever else is swept over them.

    What a file system may not like is replaced, and then a short hash tells names apart.
    """
    exact = ",".join(f"{key}={in_words(value)}" for key, value in values.items())
    name = _UNFIT.sub("_", exact.replace(",", "__"))
    if name != exact.replace(",", "__") or len(name) > _LONGEST_NAME or name_fault(name):
        digest = hashlib.sha256(exact.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        name = f"{name[:_LONGEST_NAME]}_{digest}"
    return name
