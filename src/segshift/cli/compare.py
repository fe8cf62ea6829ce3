"""`segshift compare` and `segshift demo`: methods against an equal-step control."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segshift.cli.arguments import parse_seeds, split_names
from segshift.cli.inference import train_on, usable_device
from segshift.cli.options import Device, Json, Source, Target
from segshift.cli.output import console, counting, print_json, results, working
from segshift.cli.outputs import folder_option
from segshift.config import apply_overrides, assignment
from segshift.documents import read_yaml
from segshift.errors import InputError, StoppedError
from segshift.files import write_json
from segshift.folders import RunFolder, check_name
from segshift.plain import say

if TYPE_CHECKING:
    from segshift.engine.comparison import Comparison
    from segshift.report.content import Report

Seeds = Annotated[str | None, typer.Option("--seeds", help="Seeds to run, e.g. 0,1,2.")]
Assignments = Annotated[list[str] | None, typer.Option("--set", help="Change a key of the comparison.")]

_DEMO = Path("runs/demo")


def demo(
    out: Annotated[Path, folder_option("--out", "Folder for runs and page.")] = _DEMO,
    seeds: Seeds = None,
    assignments: Assignments = None,
    as_json: Json = False,
) -> None:
    """Adapt a small network between two made-up cities, print the table, write a page with pictures.

    Takes a few minutes on two cores; what was trained before is not trained again. Example: segshift demo
    """
    from segshift.engine.comparison import load_comparison

    with _packaged("demo.yaml") as path:
        comparison = load_comparison(path, assignments or [])
    given = {"--seeds": seeds, "--set": assignments, "--out": None if out == _DEMO else out}
    _run(comparison, out, seeds, as_json, _command("demo", [], given))


def compare(
    file: Annotated[
        Path | None, typer.Argument(metavar="[YAML]", help="The comparison: recipe, start, arms, seeds.")
    ] = None,
    methods: Annotated[
        str | None, typer.Option(help="Arms that are presets, with commas: mean_teacher,clan.")
    ] = None,
    source: Source = None,
    target: Target = None,
    seeds: Seeds = None,
    assignments: Assignments = None,
    out: Annotated[Path | None, folder_option("--out", "Folder for runs and page.")] = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Train several methods from one start, with equal steps, beside a control and an oracle.

    Finished runs are not run again, so an interrupted comparison goes on where it was.

    Example: segshift compare --methods mean_teacher,clan --source city:game --target city:dusk --seeds 0,1

    Example: segshift compare benchmarks/camvid_day_dusk.yaml --seeds 0,1
    """
    arms = tuple(filter(None, split_names(methods) or ()))
    if file is None and not (arms and source and target):
        raise InputError("compare: give a YAML, or --methods PRESET,PRESET with --source and --target")
    changes = [assignment(key, value) for key, value in _data(source, target).items()]
    if file is not None:  # what cannot be read is said before PyTorch is loaded
        apply_overrides(read_yaml(file), [*changes, *(assignments or [])])

    from segshift.engine.comparison import load_comparison

    train_on(device)
    if file is None:
        comparison = _of_methods(arms, str(source), str(target), seeds, [*changes, *(assignments or [])])
    else:
        comparison = load_comparison(file, [*changes, *(assignments or [])], arms)
    folder = out or Path("runs") / ("compare" if file is None else check_name(file.stem, "comparison"))
    given = {
        "--methods": methods,
        "--source": source,
        "--target": target,
        "--seeds": seeds,
        "--set": assignments,
        "--out": out,
    }
    _run(comparison, folder, seeds, as_json, _command("compare", [file] if file else [], given), device)


def _packaged(name: str) -> AbstractContextManager[Path]:
    return resources.as_file(resources.files("segshift.comparisons") / name)


def _data(source: str | None, target: str | None) -> dict[str, str]:
    """The keys of a comparison that the options name."""
    found = {"recipe.source.dataset": source, "recipe.target.dataset": target}
    return {key: value for key, value in found.items() if value is not None}


def _of_methods(
    arms: tuple[str, ...], source: str, target: str, seeds: str | None, assignments: list[str]
) -> "Comparison":
    """The comparison that options alone describe; what is wrong with any of them is said at once."""
    from segshift.data.resolve import locate
    from segshift.engine.comparison import load_comparison
    from segshift.engine.plan import all_or_errors

    comparisons: list[Comparison] = []

    def load() -> None:
        with _packaged("methods.yaml") as path:
            comparisons.append(load_comparison(path, assignments, arms, where="--set"))

    checks: dict[str, Callable[[], object]] = {
        "": load,  # its messages say where
        "--source": partial(locate, source),
        "--target": partial(locate, target),
        "--seeds": partial(parse_seeds, seeds or "0"),
    }
    all_or_errors(checks, "options are wrong")
    comparison = _without_needless_oracle(comparisons[0], target)
    return comparison.model_copy(update={"name": f"{source} → {target}"})


def _without_needless_oracle(comparison: "Comparison", target: str) -> "Comparison":
    """No oracle where the target's training images have no labels to train it with."""
    from segshift.data.resolve import resolve
    from segshift.engine.comparison import ORACLE

    if resolve(target, "train", labels="optional").labelled:
        return comparison
    say(console, f"{target}: its training images have no labels, so there is no oracle")
    arms = {name: arm for name, arm in comparison.arms.items() if name != ORACLE}
    return comparison.model_copy(update={"arms": arms})


def _command(name: str, arguments: Sequence[Path], options: Mapping[str, object]) -> str:
    """The call that makes this comparison again."""
    words = ["segshift", name, *map(str, arguments)]
    for option, value in options.items():
        for one in value if isinstance(value, list) else [value]:
            words += [] if one is None else [option, str(one)]
    return shlex.join(words)


def _run(
    comparison: "Comparison",
    folder: Path,
    seeds: str | None,
    as_json: bool,
    command: str,
    device: str | None = None,
) -> None:
    from segshift.engine.comparison import run_comparison
    from segshift.report.numbers import to_dict
    from segshift.report.terminal import class_tables, rows_table

    if seeds is not None:
        comparison = comparison.model_copy(update={"seeds": parse_seeds(seeds)})
    try:
        result = run_comparison(comparison, folder, console, resume=True)
    except StoppedError as stop:
        say(console, f"{stop}. The same command goes on from there.")
        raise
    write_json(folder / "comparison.json", result.to_dict())
    page = RunFolder(folder).report
    report = _write_page(folder, page, comparison.name, command, device)
    if as_json:
        print_json({**result.to_dict(), "report": to_dict(report), "page": str(page)})
        return
    say(results, f"{report.title}: mIoU in % on {report.target}")
    results.print(rows_table(report))
    for table in class_tables(report, results.width):
        results.print(table)
    say(results, f"page  {page}")


def _write_page(folder: Path, page: Path, title: str, command: str, device: str | None) -> "Report":
    """Measure a finished comparison, and write its page and before_after.png."""
    from segshift.report.build import build_report
    from segshift.report.drawings.strips import draw_before_after
    from segshift.report.evidence import ReportSettings
    from segshift.report.page import write_report
    from segshift.report.runs import expand

    with working("measuring") as show:
        settings = ReportSettings(device=usable_device(device))
        report = build_report(
            expand([folder]), settings, title=title, command=command, progress=counting(show)
        )
        show("writing the page")
        write_report(page, report)
        draw_before_after(page.with_name("before_after.png"), report)
    return report
