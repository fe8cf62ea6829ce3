"""`segshift compare` and `segshift demo`: methods against an equal-step control."""

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segshift.cli.arguments import parse_seeds
from segshift.cli.output import console, counting, print_json, results, working
from segshift.cli.outputs import folder_option
from segshift.plain import say

if TYPE_CHECKING:
    from segshift.engine.comparison import Comparison
    from segshift.report.content import Report

Seeds = Annotated[str | None, typer.Option("--seeds", help="Seeds to run, e.g. 0,1,2.")]
Assignments = Annotated[list[str] | None, typer.Option("--set", help="Change a key of the comparison.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def demo(
    out: Annotated[Path, folder_option("--out", "Folder for runs and page.")] = Path("runs/demo"),
    seeds: Seeds = None,
    assignments: Assignments = None,
    as_json: Json = False,
) -> None:
    """Adapt a small network between two made-up cities, print the table, write a page with pictures.

    Takes a few minutes on two cores; what was trained before is not trained again. Example: segshift demo
    """
    from segshift.engine.comparison import load_comparison

    with resources.as_file(resources.files("segshift.comparisons") / "demo.yaml") as path:
        comparison = load_comparison(path, list(assignments or []))
    command = "segshift demo" + (f" --seeds {seeds}" if seeds else "")
    _run(comparison, out, seeds, as_json, command)


def compare(
    file: Annotated[Path, typer.Argument(metavar="YAML", help="The comparison: recipe, start, arms, seeds.")],
    source: Annotated[str | None, typer.Option("--source", help="Labelled dataset.")] = None,
    target: Annotated[str | None, typer.Option("--target", help="Dataset to adapt to.")] = None,
    seeds: Seeds = None,
    assignments: Assignments = None,
    out: Annotated[Path | None, folder_option("--out", "Folder for runs and page.")] = None,
    as_json: Json = False,
) -> None:
    """Train several methods from one start, with equal steps, beside a control and an oracle.

    Finished runs are not run again, so an interrupted comparison goes on where it was.
    Example: segshift compare benchmarks/camvid_day_dusk.yaml --seeds 0,1
    """
    from segshift.engine.comparison import load_comparison
    from segshift.folders import check_name

    changes = list(assignments or [])
    changes += [] if source is None else [f"recipe.source.dataset={source}"]
    changes += [] if target is None else [f"recipe.target.dataset={target}"]
    folder = out or Path("runs") / check_name(file.stem, "comparison")
    command = f"segshift compare {file}" + (f" --seeds {seeds}" if seeds else "")
    _run(load_comparison(file, changes), folder, seeds, as_json, command)


def _run(comparison: "Comparison", folder: Path, seeds: str | None, as_json: bool, command: str) -> None:
    from segshift.engine.comparison import run_comparison
    from segshift.errors import StoppedError
    from segshift.files import write_json
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
    page = folder / "report.html"
    report = _write_page(folder, page, comparison.name, command)
    if as_json:
        print_json({**result.to_dict(), "report": to_dict(report), "page": str(page)})
        return
    say(results, f"{report.title}: mIoU in % on {report.target}")
    results.print(rows_table(report))
    for table in class_tables(report, results.width):
        results.print(table)
    say(results, f"page  {page}")


def _write_page(folder: Path, page: Path, title: str, command: str) -> "Report":
    """Measure a finished comparison, and write its page and before_after.png."""
    from segshift.cli.inference import usable_device
    from segshift.report.build import build_report
    from segshift.report.drawings.strips import draw_before_after
    from segshift.report.evidence import ReportSettings
    from segshift.report.page import write_report
    from segshift.report.runs import expand

    with working("measuring") as show:
        settings = ReportSettings(device=usable_device(None))
        report = build_report(
            expand([folder]), settings, title=title, command=command, progress=counting(show)
        )
        show("writing the page")
        write_report(page, report)
        draw_before_after(page.with_name("before_after.png"), report)
    return report
