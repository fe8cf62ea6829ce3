"""`segshift report`: one HTML file about one or more runs."""

from segshift.cli.arguments import analysis_names, parse_size
from segshift.cli.commands.report import Report
from segshift.cli.inference import usable_device
from segshift.cli.output import console, counting, print_json, results, say_left_out, working
from segshift.data.resolve import resolve
from segshift.plain import size_in_words
from segshift.report.build import build_report
from segshift.report.evidence import ReportSettings
from segshift.report.numbers import to_dict
from segshift.report.page import write_report
from segshift.report.runs import expand
from segshift.report.terminal import rows_table
from segshift.terminal import say


def report(options: Report) -> None:
    """What `segshift report` does."""
    settings = ReportSettings(
        only=analysis_names(options.only),
        without=analysis_names(options.without) or (),
        images=options.images,
        pictures=options.pictures,
        points=options.points,
        input_size=None if options.size is None else parse_size(options.size, "--size"),
        seed=options.seed,
        device=usable_device(options.device),
    )
    with working("reading the runs") as show:
        made = build_report(
            expand(options.runs),
            settings,
            source=None if options.source is None else resolve(options.source, "train"),
            target=None if options.target is None else resolve(options.target, "val", labels="optional"),
            title=options.title,
            command=options.again("report"),
            progress=counting(show),
        )
        show("writing the page")
        write_report(options.out, made)
    written = options.out.stat().st_size
    for run in made.runs:
        for note in run.notes:
            say(console, f"{run.name}: {note}")
    if options.as_json:
        print_json({**to_dict(made), "seed": options.seed, "page": str(options.out), "bytes": written})
        return
    say(results, f"mIoU in % on {made.target}")
    results.print(rows_table(made))
    for run in made.runs:
        for reason in run.unfair if run.gain is not None else ():
            say(results, f"{run.name}: {reason}")
    say_left_out(made.evidence.skipped)
    say(results, f"page  {options.out} ({size_in_words(written)})")
