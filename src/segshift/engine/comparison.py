"""Fair comparisons: arms from one start, with equal steps, against a source-only control.

A gain counts only against a control with the same start, the same steps and the same number of source
images per step; the table that comes out of here carries that row, AdaBN and an oracle by itself.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from segshift.config import Strict, apply_overrides, merge, parse
from segshift.documents import read_yaml
from segshift.engine.arms import check_arm, planned_arm
from segshift.engine.datasets import DomainFinder, check_arguments
from segshift.engine.fairness import steps_since_common_start
from segshift.engine.plan import Plan, all_or_errors, make_plan
from segshift.engine.presets import load_recipe
from segshift.engine.processes import held
from segshift.engine.recipe import Recipe
from segshift.engine.recipe_files import merge_recipe, recipe_data
from segshift.engine.run import check_data, needs_evaluation, run_recipe
from segshift.errors import InputError
from segshift.folders import RunFolder, check_names
from segshift.progress import Progress
from segshift.ranges import Seed

CONTROL, START, ORACLE = "control", "start", "oracle"
# What a method adds to the network; backbone and classifier are the comparison's.
_HEADS = ("auxiliary_head", "classifiers")


class Arm(Strict):
    """One row of the table.

    Attributes:
        label: what the table calls it.
        after: the arm whose model it starts from; "start" is the common start.
        changes: keys of the recipe that differ in this arm.
    """

    label: str
    after: str = START
    changes: dict[str, Any] = Field(default_factory=dict)


class Comparison(Strict):
    """A comparison as written in YAML.

    Attributes:
        name: title.
        recipe: the shared recipe, `extends:` allowed; by itself it is the source-only control.
        start: changes that make the common start (its number of steps, say).
        arms: rows by name; "control" must be there, "oracle" gives the gap that could be closed. An arm
            `{preset: clan}` is written out by `load_comparison`.
        seeds: every arm runs once per seed.
    """

    name: str
    recipe: dict[str, Any]
    start: dict[str, Any] = Field(default_factory=dict)
    arms: dict[str, Arm]
    seeds: list[Seed] = Field(default_factory=lambda: [0], min_length=1)

    @field_validator("seeds")
    @classmethod
    def _distinct_seeds(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed stands twice; a repeated run tells nothing about the spread")
        return seeds

    @field_validator("arms")
    @classmethod
    def _control_and_order(cls, arms: dict[str, Arm]) -> dict[str, Arm]:
        check_names([START, *arms], "arm")
        if START in arms:
            raise ValueError(f"an arm may not be named `{START}`, as the common start is")
        if CONTROL not in arms:
            raise ValueError("there must be an arm named `control`; gains are measured against it")
        seen = {START}
        for name, arm in arms.items():
            if arm.after not in seen:
                raise ValueError(f"arm {name!r} comes after {arm.after!r}, which must stand above it")
            seen.add(name)
        return arms


@dataclass(frozen=True)
class Row:
    """One arm's results over the seeds. IoU and mIoU are fractions in [0, 1]; NaN is n/a.

    Attributes:
        name: the arm.
        label: what the table calls it.
        steps: optimizer steps after the common start, those of the arm it came after included.
        source_images_per_step: batch size.
        uses_target_labels: an oracle, or another arm whose losses or choice of a checkpoint saw labels of the
            target.
        selection: the score that chose the checkpoint; None for the last one.
        miou: one value per seed.
        class_iou: (classes,) mean over the seeds.
        gain: mIoU minus the control's, one value per seed.
        gap_share: mean gain over the mean gap from control to oracle; None without an oracle or a gap.
    """

    name: str
    label: str
    steps: int
    source_images_per_step: int
    uses_target_labels: bool
    selection: str | None
    miou: tuple[float, ...]
    class_iou: tuple[float, ...]
    gain: tuple[float, ...]
    gap_share: float | None


@dataclass(frozen=True)
class ComparisonResult:
    """The finished table.

    Attributes:
        comparison: what was compared.
        folder: where the runs lie, as FOLDER/seed_S/ARM.
        class_names: of the class IoU columns.
        rows: start first, then the arms in order.
    """

    comparison: Comparison
    folder: Path
    class_names: tuple[str, ...]
    rows: tuple[Row, ...]

    def to_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "name": self.comparison.name,
            "seeds": self.comparison.seeds,
            "classes": list(self.class_names),
            "rows": [
                {
                    "arm": row.name,
                    "label": row.label,
                    "steps": row.steps,
                    "source_images_per_step": row.source_images_per_step,
                    "uses_target_labels": row.uses_target_labels,
                    "selection": row.selection,
                    "miou": list(row.miou),
                    "miou_mean": statistics.fmean(row.miou),
                    "miou_std": spread(row.miou),
                    "gain": list(row.gain),
                    "gain_mean": statistics.fmean(row.gain),
                    "gain_std": spread(row.gain),
                    "gap_share": row.gap_share,
                    "class_iou": list(row.class_iou),
                }
                for row in self.rows
            ],
        }


def spread(values: Sequence[float]) -> float | None:
    """Standard deviation over seeds (n - 1 in the denominator); None for a single seed."""
    return statistics.stdev(values) if len(values) > 1 else None


def load_comparison(
    path: str | Path, overrides: Sequence[str] = (), methods: Sequence[str] = (), where: str | None = None
) -> Comparison:
    """Read a comparison's YAML.

    Args:
        path: of the file.
        overrides: "a.b=value" assignments.
        methods: presets or recipe files that become arms, too, above the oracle.
        where: what messages call the file; None: its path.

    Raises:
        InputError: a file that is no comparison, or arms of presets that cannot be arms; all of them at once.
    """
    data = read_yaml(path)
    arms = data.get("arms")
    if isinstance(arms, dict):
        known = {name: {"preset": method} for method in methods for name in [Path(method).stem]}
        last = {name: arms.pop(name) for name in [ORACLE] if name in arms}
        data["arms"] = {**arms, **known, **last}
    data = apply_overrides(data, overrides)
    if isinstance(data.get("recipe"), dict):
        data["recipe"] = recipe_data(data["recipe"], str(path))
    if isinstance(data.get("arms"), dict):
        fill = {f"arm {name}": partial(_from_preset, arm) for name, arm in data["arms"].items()}
        data["arms"] = dict(zip(data["arms"], all_or_errors(fill, "arms cannot run"), strict=True))
    return parse(Comparison, data, where or str(path))


def _from_preset(arm: Any) -> Any:
    """An arm with `preset:` written out: the preset's method, heads and other optimizers, nothing else.

    Data, steps and the segmenter's optimizer stay the comparison's, so that the arms stay comparable. A
    preset without training, AdaBN's say, comes after the control.
    """
    if not isinstance(arm, dict) or "preset" not in arm:
        return arm
    name = str(arm["preset"])
    recipe = load_recipe(name)
    if recipe.stages:
        raise InputError(
            f"preset {name} has stages, whose steps are its own; write the arm's `changes` in a YAML"
        )
    written = recipe.model_dump(mode="json", exclude_unset=True)
    changes: dict[str, Any] = {"method": written.get("method", {})}
    heads = {key: value for key, value in written.get("model", {}).items() if key in _HEADS}
    others = {key: value for key, value in written.get("optimizers", {}).items() if key != "segmenter"}
    changes |= {"model": heads} if heads else {}
    changes |= {"optimizers": others} if others else {}
    changes |= {"oracle": True} if recipe.oracle else {}
    alone = recipe.training.steps == 0
    changes |= {"training": {"steps": 0}} if alone else {}
    given = {key: value for key, value in arm.items() if key != "preset"}
    filled = {"label": name.replace("_", " "), **({"after": CONTROL} if alone else {}), **given}
    return {**filled, "changes": merge(changes, given.get("changes") or {})}


def run_comparison(
    comparison: Comparison, folder: Path, progress: Progress, resume: bool
) -> ComparisonResult:
    """Run the start and every arm for every seed; finished runs are not run again.

    Raises:
        InputError: arms that differ in steps or batch size, or anything that `run_recipe` refuses.
    """
    names = [START, *comparison.arms]
    plan = {f"arm {name}": partial(_plan, comparison, name) for name in names}
    plans = dict(zip(names, all_or_errors(plan, "arms cannot run"), strict=True))
    steps = _steps_of_fair_arms(comparison, plans)
    find, recipes = DomainFinder(), {name: plan.recipe for name, plan in plans.items()}

    def find_data(name: str) -> None:
        for seed in comparison.seeds:
            check_data(plans[name], RunFolder(RunFolder(folder).seed(seed).path / name), find, "comparing")

    all_or_errors({f"arm {name}": partial(find_data, name) for name in names}, "arms cannot run")
    found: dict[str, list[Mapping[str, Any]]] = {name: [] for name in recipes}
    with held(folder):
        for seed in comparison.seeds:
            for name, recipe in recipes.items():
                here = RunFolder(folder).seed(seed).path
                update: dict[str, Any] = {"seed": seed}
                if name != START:
                    update["init_from"] = str(here / comparison.arms[name].after)
                title = f"{comparison.name} · seed {seed} · {name}"
                results = run_recipe(
                    recipe.model_copy(update={**update, "name": title}), here / name, progress, resume
                )
                if results["evaluation"] is None:
                    raise needs_evaluation(comparison.name, "comparing")
                found[name].append(results)
    return _tabulate(comparison, folder, recipes, steps, found)


def _plan(comparison: Comparison, name: str) -> Plan:
    data = recipe_data(comparison.recipe, comparison.name)
    data = merge({"name": comparison.name}, data)
    changes = comparison.start if name == START else comparison.arms[name].changes
    where = f"{comparison.name}, arm {name}"
    plan = make_plan(parse(Recipe, merge_recipe(data, changes), where), where)
    for job in plan.jobs:
        check_arguments(job.recipe, job.kind)
    return plan


def _steps_of_fair_arms(comparison: Comparison, plans: Mapping[str, Plan]) -> dict[str, int]:
    """Every arm's optimizer steps after the common start. Raises InputError for unfair arms, all at once."""
    planned = {START: planned_arm(START, plans[START], None)}
    for name, arm in comparison.arms.items():
        planned[name] = planned_arm(name, plans[name], planned[arm.after])
    control = planned[CONTROL]
    if control.uses_target_labels:
        raise InputError(
            "arm control: it must not use target labels; take `oracle`, `target_labelled` and "
            "`training.oracle_selection` out"
        )
    checks = {f"arm {name}": partial(check_arm, planned[name], control) for name in comparison.arms}
    all_or_errors(checks, "arms cannot run")
    return {START: 0} | {name: steps_since_common_start(planned[name], control) for name in comparison.arms}


def _tabulate(
    comparison: Comparison,
    folder: Path,
    recipes: Mapping[str, Recipe],
    steps: Mapping[str, int],
    found: Mapping[str, list[Mapping[str, Any]]],
) -> ComparisonResult:
    miou = {name: [_number(r["evaluation"]["miou"]) for r in results] for name, results in found.items()}
    gap = statistics.fmean(miou[ORACLE]) - statistics.fmean(miou[CONTROL]) if ORACLE in miou else 0.0
    class_names = tuple(found[CONTROL][0]["evaluation"]["iou"])
    rows = []
    for name, results in found.items():
        gain = tuple(mine - control for mine, control in zip(miou[name], miou[CONTROL], strict=True))
        per_seed = [[_number(v) for v in r["evaluation"]["iou"].values()] for r in results]
        rows.append(
            Row(
                name=name,
                label="common start" if name == START else comparison.arms[name].label,
                steps=steps[name],
                source_images_per_step=recipes[name].source_images_per_step,
                # Of a recipe with stages, only the results know what one of them used.
                uses_target_labels=recipes[name].uses_target_labels
                or any(r.get("uses_target_labels") for r in results),
                selection=(results[0].get("selection") or {}).get("score"),
                miou=tuple(miou[name]),
                class_iou=tuple(_mean(values) for values in zip(*per_seed, strict=True)),
                gain=gain,
                gap_share=statistics.fmean(gain) / gap if gap > 0 and name not in (START, CONTROL) else None,
            )
        )
    return ComparisonResult(comparison, folder, class_names, tuple(rows))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return statistics.fmean(known) if known else math.nan
