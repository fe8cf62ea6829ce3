"""From run folders to a whole report."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from segshift.data.labels import ClassSet
from segshift.data.spec import Split
from segshift.engine.fairness import differences, steps_since_common_start
from segshift.engine.recipe import EvaluationConfig
from segshift.engine.target_labels import images_trained_on
from segshift.errors import InputError
from segshift.evaluation import EvaluationResult, PairedComparison, compare_paired, evaluate
from segshift.evaluation.items import LabelledItems
from segshift.files import json_ready
from segshift.models.inference_config import Inference
from segshift.models.loading import load
from segshift.models.segmenter import Segmenter
from segshift.plain import counted
from segshift.progress import Done, NamedDone
from segshift.report.colors import MOST_RUNS
from segshift.report.content import Report, ReportedRun, SeedRun
from segshift.report.data import own_source, own_target
from segshift.report.evidence import Network, ReportSettings, measure
from segshift.report.runs import Row, Run, read_run
from segshift.version import __version__

# The same network on the same images: what shows in the two digits of a gain. Below that lie single pixels,
# which another number of threads decides.
_SAME_MIOU = 1e-4
# On what a run is judged is the report's choice: the same for all, whatever their recipes say.
_CHOSEN_HERE = {f"evaluation.{key}" for key in EvaluationConfig.model_fields.keys() - Inference.model_fields}


def build_report(
    folders: Mapping[str, Path | Sequence[Path]],
    settings: ReportSettings,
    *,
    source: Split | None = None,
    target: Split | None = None,
    title: str | None = None,
    command: str = "",
    progress: NamedDone = lambda what, done, total: None,
) -> Report:
    """Read runs, measure them, and say what differs between them; the first row is the reference.

    Long for its arguments: it only hands on.

    Every run is scored; pictures, curves and analyses are those of each row's first run.

    Args:
        folders: of finished runs (see `segshift.report.runs.expand`), by the names of their rows: one, or one
            per seed.
        settings: see `ReportSettings`.
        source: labelled; None takes the first run's own.
        target: None takes what the runs were evaluated on.
        title: None makes one of the domains' names.
        command: that makes this report again.
        progress: called with what is being done and how many of how many images are.

    Raises:
        InputError: too many rows, such that cannot be compared, or whose data are gone.
    """
    if len(folders) > MOST_RUNS:
        raise InputError(
            f"report: {len(folders)} runs; at most {MOST_RUNS} can be told apart, so name those that "
            "matter, the reference first"
        )
    rows = [
        Row(name, tuple(read_run(folder, name) for folder in ([own] if isinstance(own, Path) else own)))
        for name, own in folders.items()
    ]
    runs = [run for row in rows for run in row.runs]
    for run in runs:
        run.check_files()
    classes = common_classes(runs)
    their_own = target is None
    target = own_target(runs) if target is None else target
    if source is None and settings.needs_source:
        source = own_source(runs)
    networks = {row.name: [_network(run, settings) for run in row.runs] for row in rows}
    measured = measure(networks, classes, source, target, settings, progress)
    reported = [
        _reported(row, rows[0], measured.results, settings, their_own, _seen(row.runs[0], target))
        for row in rows
    ]
    known_source = runs[0].data.get("source", "source" if runs[0].recipe.has_source else "no source images")
    domain = known_source.partition(" ")[0] if source is None else source.dataset
    return Report(
        title=title or f"{domain} → {target.dataset}",
        runs=tuple(_with_gap_shares(reported, rows)),
        classes=classes,
        source=known_source if source is None else _described(source, settings.images),
        target=_described(target, settings.images),
        target_labelled=target.labelled,
        shown=measured.shown,
        evidence=measured.evidence,
        command=command,
        version=__version__,
    )


def common_classes(runs: Sequence[Run]) -> ClassSet:
    """The classes of all runs' models.

    Raises:
        InputError: they differ, or a model cannot be read.
    """
    first, *others = runs
    classes = load(first.model).classes
    for run in others:
        names = load(run.model).class_names
        if names != classes.names:
            raise InputError(
                f"report: {first.name} has the classes {', '.join(classes.names)}, {run.name} has "
                f"{', '.join(names)}; report on runs for the same classes together"
            )
    return classes


def _network(run: Run, settings: ReportSettings) -> Network:
    """A run's network, judged as its recipe says, at the size that the settings ask for."""
    size = {} if settings.input_size is None else {"input_size": settings.input_size}
    inference = run.final.inference.model_copy(update=size)
    batch_size = run.final.evaluation.batch_size

    def judge(segmenter: Segmenter, items: LabelledItems, progress: Done) -> EvaluationResult:
        return evaluate(segmenter, items, inference, batch_size=batch_size, progress=progress)

    return Network(partial(load, run.model), judge)


def _described(split: Split, analyzed: int) -> str:
    count = len(split.samples)
    some = f", {analyzed} of them in the analyses" if analyzed < count else ""
    return f"{split.dataset} {split.name} ({counted(count, 'image')}{some})"


def _reported(
    row: Row,
    reference: Row,
    results: Mapping[str, Sequence[EvaluationResult]],
    settings: ReportSettings,
    their_own: bool,
    seen: tuple[str, ...],
) -> ReportedRun:
    run, first = row.runs[0], reference.runs[0]
    provenance = run.recipe.provenance
    own = results.get(row.name, ())
    notes = [
        note
        for one, result in zip(row.runs, own, strict=False)
        for note in (_changed(one, result) if their_own else ())
    ]
    advice = [
        (f"seed {one.recipe.seed}: " if len(row.runs) > 1 else "") + line
        for one in row.runs
        for line in one.advice
    ]
    seeds, gain = _gains(row, reference, results, settings.seed)
    one_size = settings.input_size is not None
    return ReportedRun(
        name=row.name,
        folder=str(run.folder),
        method=run.method,
        steps=steps_since_common_start(run, first),
        source_images_per_step=run.final.source_images_per_step,
        uses_target_labels=run.uses_target_labels,
        selected=str(run.results.get("selected", "last checkpoint")),
        unfair=() if row is reference else (*unfair(run, first, same_size=one_size), *seen),
        result=own[0] if own else None,
        gain=gain,
        recipe=run.recipe_text,
        provenance={} if provenance is None else provenance.model_dump(mode="json"),
        environment=run.environment,
        data=run.data,
        curves=run.curves,
        advice=tuple(advice),
        notes=(*notes, *(seen if row is reference else ())),
        seeds=seeds,
    )


def unfair(run: Run, reference: Run, *, same_size: bool = False) -> tuple[str, ...]:
    """What else differs between a run and the reference, a clause each; empty for a fair comparison.

    Args:
        run: the run that claims a gain.
        reference: what the gain is over.
        same_size: both see images at one size that the report's reader has chosen.
    """
    same_for_all = {"classes", *_CHOSEN_HERE, *(["evaluation.input_size"] if same_size else [])}
    return tuple(one.words for one in differences(run, reference) if one.key not in same_for_all)


def _seen(run: Run, target: Split) -> tuple[str, ...]:
    """A clause on scored images whose labels the run was trained on."""
    trained_on = images_trained_on(run.folder, target)
    scored = f"the {counted(len(target.samples), 'image')} that are scored"
    return (f"trained on {trained_on} of {scored}, with labels",) if trained_on else ()


def _gains(
    row: Row, reference: Row, results: Mapping[str, Sequence[EvaluationResult]], seed: int
) -> tuple[tuple[SeedRun, ...], PairedComparison | None]:
    """Every training beside the reference's of the same seed, and all of them together."""
    own: Sequence[EvaluationResult | None] = results.get(row.name) or [None] * len(row.runs)
    theirs = dict(
        zip((one.recipe.seed for one in reference.runs), results.get(reference.name, ()), strict=False)
    )
    pairs: list[tuple[EvaluationResult, EvaluationResult]] = []
    seeds = []
    for run, result in zip(row.runs, own, strict=True):
        # Two runs alone are compared whatever their seeds are.
        other = theirs.get(run.recipe.seed) if len(row.runs) > 1 else next(iter(theirs.values()), None)
        gain = None
        if row is not reference and result is not None and other is not None:
            pairs.append((other, result))
            gain = compare_paired(other, result, seed=seed)
        seeds.append(SeedRun(run.recipe.seed, str(run.folder), result, gain))
    if len(pairs) < 2:
        return tuple(seeds), next((one.gain for one in seeds if one.gain is not None), None)
    return tuple(seeds), compare_paired([one for one, _ in pairs], [other for _, other in pairs], seed=seed)


def _with_gap_shares(reported: Sequence[ReportedRun], rows: Sequence[Row]) -> Iterator[ReportedRun]:
    """Each fair gain as a share of the way to the oracle, where there is one above the reference."""
    oracle = next((one for one, row in zip(reported, rows, strict=True) if row.runs[0].final.oracle), None)
    gap = math.nan if oracle is None or oracle.gain is None else oracle.gain.difference
    for run in reported:
        fair = run.gain is not None and (not run.unfair or run is oracle)
        share = run.gain.difference / gap if run.gain is not None and fair and gap > 0 else None
        yield replace(run, gap_share=share)


def _changed(run: Run, result: EvaluationResult) -> tuple[str, ...]:
    """A note if the same evaluation gives another score than at the end of the training."""
    stored = run.results.get("evaluation")
    if not isinstance(stored, dict) or stored.get("miou") is None:
        return ()
    now = result.to_dict()
    before, after = (
        {key: value for key, value in (one.get("protocol") or {}).items() if key != "versions"}
        for one in (stored, json_ready(now))
    )
    if (
        before != after
        or now["miou"] is None
        or math.isclose(stored["miou"], now["miou"], abs_tol=_SAME_MIOU)
    ):
        return ()
    return (
        f"its results.json has {100 * stored['miou']:.4f} % mIoU, the same evaluation now gives "
        f"{100 * now['miou']:.4f} %: the data, the versions or the machine have changed",
    )
