"""`segshift compare` and `segshift demo`: methods against an equal-step control."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from importlib import resources
from pathlib import Path

from segshift.cli.arguments import parse_seeds
from segshift.cli.commands.compare import Compare, Demo
from segshift.cli.inference import train_on, usable_device
from segshift.cli.output import console, counting, print_json, progress, results, working
from segshift.data.resolve import check_argument, resolve
from segshift.engine.comparison import ORACLE, Comparison, load_comparison, run_comparison
from segshift.engine.plan import all_or_errors
from segshift.errors import StoppedError
from segshift.files import write_json
from segshift.folders import RunFolder, check_name
from segshift.report.build import build_report
from segshift.report.content import Report
from segshift.report.drawings.strips import draw_before_after
from segshift.report.evidence import ReportSettings
from segshift.report.numbers import to_dict
from segshift.report.page import write_report
from segshift.report.runs import expand
from segshift.report.terminal import row_class_tables, rows_table
from segshift.terminal import say


def demo(options: Demo) -> None:
    """What `segshift demo` does."""
    with _packaged("demo.yaml") as path:
        comparison = load_comparison(path, options.assignments or [])
    _run(comparison, options.out, options, options.again("demo"))


def compare(options: Compare) -> None:
    """What `segshift compare` does."""
    train_on(options.device)
    if options.file is None:
        name, comparison = "compare", _of_methods(options)
    else:
        name = check_name(options.file.stem, "comparison")
        comparison = load_comparison(options.file, options.changes, options.arms)
    folder = options.out or Path("runs") / name
    _run(comparison, folder, options, options.again("compare"), options.device)


def _packaged(name: str) -> AbstractContextManager[Path]:
    return resources.as_file(resources.files("segshift.comparisons") / name)


def _of_methods(options: Compare) -> Comparison:
    """The comparison that options alone describe; what is wrong with any of them is said at once."""
    source, target = str(options.source), str(options.target)
    comparisons: list[Comparison] = []

    def load() -> None:
        with _packaged("methods.yaml") as path:
            comparisons.append(load_comparison(path, options.changes, options.arms, where="--set"))

    checks: dict[str, Callable[[], object]] = {
        "": load,  # its messages say where
        "--source": partial(check_argument, source),
        "--target": partial(check_argument, target),
        "--seeds": partial(parse_seeds, options.seeds or "0"),
    }
    all_or_errors(checks, "options are wrong")
    comparison = _without_needless_oracle(comparisons[0], target)
    return comparison.model_copy(update={"name": f"{source} → {target}"})


def _without_needless_oracle(comparison: Comparison, target: str) -> Comparison:
    """No oracle where the target's training images have no labels to train it with."""
    if resolve(target, "train", labels="optional").labelled:
        return comparison
    say(console, f"{target}: its training images have no labels, so there is no oracle")
    arms = {name: arm for name, arm in comparison.arms.items() if name != ORACLE}
    return comparison.model_copy(update={"arms": arms})


def _run(
    comparison: Comparison, folder: Path, options: Demo | Compare, command: str, device: str | None = None
) -> None:
    if options.seeds is not None:
        comparison = comparison.model_copy(update={"seeds": parse_seeds(options.seeds)})
    try:
        result = run_comparison(comparison, folder, progress, resume=True)
    except StoppedError as stop:
        say(console, f"{stop}. The same command goes on from there.")
        raise
    write_json(RunFolder(folder).comparison, result.to_dict())
    page = RunFolder(folder).report
    report = _write_page(folder, page, comparison.name, command, device)
    if options.as_json:
        print_json({**result.to_dict(), "report": to_dict(report), "page": str(page)})
        return
    say(results, f"{report.title}: mIoU in % on {report.target}")
    results.print(rows_table(report))
    for table in row_class_tables(report, results.width):
        results.print(table)
    say(results, f"page  {page}")


def _write_page(folder: Path, page: Path, title: str, command: str, device: str | None) -> Report:
    """Measure a finished comparison, and write its page and before_after.png."""
    with working("measuring") as show:
        settings = ReportSettings(device=usable_device(device))
        report = build_report(
            expand([folder]), settings, title=title, command=command, progress=counting(show)
        )
        show("writing the page")
        write_report(page, report)
        draw_before_after(page.with_name("before_after.png"), report)
    return report
