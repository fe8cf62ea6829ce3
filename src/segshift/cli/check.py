"""`segshift data check`: what is wrong with a data set."""

import typer
from rich.columns import Columns
from rich.table import Table
from rich.text import Text

from segshift.cli.commands.data import CheckData
from segshift.cli.output import print_json, results, working
from segshift.data.check import CheckReport, SplitReport, check
from segshift.data.contact_sheet import contact_sheet
from segshift.data.problems import summed_up
from segshift.plain import counted, visible
from segshift.report.check_page import write_check_page
from segshift.terminal import say

_SHOWN_PROBLEMS = 20
_SHOWN_VALUES = 8


def check_dataset(options: CheckData) -> None:
    """What `segshift data check` does."""
    with working("reading") as show:
        report = check(
            options.data,
            progress=lambda done, total: show(f"reading {done} of {total}"),
            maps=options.html is not None,
        )
    if options.html is not None:
        write_check_page(options.html, report)
    if options.sheet is not None and any(split.pairs or split.images for split in report.splits):
        contact_sheet(report, options.sheet)
    if options.as_json:
        written = {"sheet": options.sheet and str(options.sheet), "html": options.html and str(options.html)}
        print_json({**report.to_dict(), **written})
    else:
        _print_report(report)
        if options.sheet is not None:
            say(results, f"contact sheet  {options.sheet}")
        if options.html is not None:
            say(results, f"page  {options.html}")
    if report.errors:
        raise typer.Exit(2)


def _print_report(report: CheckReport) -> None:
    for split in report.splits:
        if split.images == 0:
            continue
        results.print(_split_table(report, split))
        for value, share in list(split.unmapped.items())[:_SHOWN_VALUES]:
            say(results, f"  {value} is not mapped to any class: {100 * share:.3f} % of the pixels")
        if len(split.unmapped) > _SHOWN_VALUES:
            say(
                results,
                f"  and {counted(len(split.unmapped) - _SHOWN_VALUES, 'more value')}; --json lists them all",
            )
    problems = summed_up(report.problems)
    for problem in problems[:_SHOWN_PROBLEMS]:
        color = "red" if problem.severity == "error" else "yellow"
        line = Text.assemble((problem.severity, color), " ", visible(problem.message))
        results.print(line, soft_wrap=True)
    rest = len(problems) - _SHOWN_PROBLEMS
    if rest > 0:
        results.print(f"and {rest} more; --json lists them all")
    if not problems:
        results.print("no problems found")


def _split_table(report: CheckReport, split: SplitReport) -> Table:
    # In columns, since running text would be broken between a number and its "%".
    sizes = Columns([f"{w}x{h} ({count})" for (w, h), count in split.sizes.items()], padding=(0, 2))
    table = Table(title=f"{report.dataset} {split.name}", title_justify="left", show_header=False)
    table.add_row("images", f"{split.images}, {split.pairs} with label")
    table.add_row("sizes", sizes)
    if split.class_frequencies is not None:
        listed = sorted(split.class_frequencies.items(), key=lambda item: -item[1])
        shares = [f"{name} {100 * share:.2f} %" for name, share in listed]
        table.add_row("classes", Columns(shares, padding=(0, 2)))
    if split.ignored_share is not None:
        table.add_row("ignored", f"{100 * split.ignored_share:.2f} % of the label pixels")
    return table
