"""`segshift data prepare`: convert a data set once, so that training reads it many times faster."""

from pathlib import Path

import typer

from segshift.cli.arguments import parse_size
from segshift.cli.commands.prepare import Prepare
from segshift.cli.output import print_json, progress, results
from segshift.data.manifest import verify
from segshift.data.prepare import PreparedSplit, prepare
from segshift.errors import InputError
from segshift.folders import SPEC
from segshift.plain import counted, size_in_words
from segshift.terminal import say

_SHOWN = 20


def prepare_dataset(options: Prepare) -> None:
    """What `segshift data prepare` does."""
    if options.verify:
        _verify(options.out, options.workers, options.as_json)
        return
    if options.size is None:
        raise InputError("--size is missing; give the size that training reads, for example --size 1280x720")
    reports = prepare(
        options.data,
        options.out,
        size=parse_size(options.size, "--size"),
        splits=options.split or (),
        interpolation=options.interpolation.value,
        on_error="skip" if options.skip_bad else options.on_error.value,
        workers=options.workers,
        progress=progress,
    )
    spec = options.out / SPEC
    if options.as_json:
        print_json(
            {"dataset": str(spec), "size": options.size, "splits": [vars(report) for report in reports]}
        )
        return
    for report in reports:
        _print_report(report)
    say(results, f"use it as {spec}")


def _print_report(report: PreparedSplit) -> None:
    kind = "with labels" if report.labelled else "without labels"
    say(
        results,
        f"{report.name}: {counted(report.images, 'image')} {kind}, {report.converted} converted, "
        f"{report.kept} there before; {size_in_words(report.original_bytes)} became "
        f"{size_in_words(report.prepared_bytes)}",
    )
    if report.skipped:
        say(results, f"{report.name}: {counted(len(report.skipped), 'sample')} skipped")
        for line in report.skipped[:_SHOWN]:
            say(results, f"  {line}")
        if len(report.skipped) > _SHOWN:
            say(
                results,
                f"  and {len(report.skipped) - _SHOWN} more; skipped/{report.name}.txt lists them all",
            )


def _verify(out: Path, workers: int | None, as_json: bool) -> None:
    problems = verify(out, workers=workers)
    wrong = [line for lines in problems.values() for line in lines]
    if as_json:
        print_json({"folder": str(out), "splits": problems, "problems": len(wrong)})
    else:
        for line in wrong[:_SHOWN]:
            say(results, line)
        if len(wrong) > _SHOWN:
            say(results, f"and {len(wrong) - _SHOWN} more; --json lists them all")
        verdict = "call the same command without --verify to mend it" if wrong else "everything is as written"
        say(results, f"{', '.join(problems)}: {counted(len(wrong), 'file')} damaged or missing; {verdict}")
    if wrong:
        raise typer.Exit(2)
