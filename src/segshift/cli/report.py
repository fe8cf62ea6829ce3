"""`segshift report`: one HTML file about one or more runs."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segshift.cli.arguments import analysis_names, parse_size
from segshift.cli.early import check_runs
from segshift.cli.inference import usable_device
from segshift.cli.options import Device, Images, Json, OneSize, Pictures, Points, Seed
from segshift.cli.output import console, counting, print_json, results, say_left_out, working
from segshift.cli.outputs import file_option
from segshift.errors import InputError
from segshift.plain import say, size_in_words

if TYPE_CHECKING:
    pass

_IMAGES, _PICTURES, _POINTS = 200, 6, 40
_OUT = Path("report.html")


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run folders, the reference first; or a comparison's folder."),
    ],
    out: Annotated[Path, file_option("--out", "The page.")] = _OUT,
    source: Annotated[
        str | None, typer.Option("--source", help="Labelled; default: the first run's own.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="Default: what the runs were evaluated on.")
    ] = None,
    images: Images = _IMAGES,
    pictures: Pictures = _PICTURES,
    points: Points = _POINTS,
    size: OneSize = None,
    title: Annotated[str | None, typer.Option(help="Heading; default: the domains.")] = None,
    only: Annotated[
        str | None, typer.Option(help="With commas: centers, retrieval, embedding, entropy, strips.")
    ] = None,
    without: Annotated[str | None, typer.Option(help="The same analyses, to be left out.")] = None,
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """See in one HTML file whether adaptation helped, where, and how sure that is.

    Example: segshift report runs/source_only runs/advent --out report.html

    \f
    Long, since every option is an argument and a line of its own.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out {out}: the report is a page; name the file something.html")
    check_runs(runs)

    from segshift.data.resolve import resolve
    from segshift.report.build import build_report
    from segshift.report.evidence import ReportSettings
    from segshift.report.numbers import to_dict
    from segshift.report.page import write_report
    from segshift.report.runs import expand
    from segshift.report.terminal import rows_table

    settings = ReportSettings(
        only=analysis_names(only),
        without=analysis_names(without) or (),
        images=images,
        pictures=pictures,
        points=points,
        input_size=None if size is None else parse_size(size, "--size"),
        seed=seed,
        device=usable_device(device),
    )
    command = _command(
        runs,
        {
            "--out": (out, _OUT),
            "--source": (source, None),
            "--target": (target, None),
            "--images": (images, _IMAGES),
            "--pictures": (pictures, _PICTURES),
            "--points": (points, _POINTS),
            "--size": (size, None),
            "--title": (title, None),
            "--only": (only, None),
            "--without": (without, None),
            "--seed": (seed, 0),
        },
    )
    with working("reading the runs") as show:
        made = build_report(
            expand(runs),
            settings,
            source=None if source is None else resolve(source, "train"),
            target=None if target is None else resolve(target, "val", labels="optional"),
            title=title,
            command=command,
            progress=counting(show),
        )
        show("writing the page")
        write_report(out, made)
    written = out.stat().st_size
    for run in made.runs:
        for note in run.notes:
            say(console, f"{run.name}: {note}")
    if as_json:
        print_json({**to_dict(made), "seed": seed, "page": str(out), "bytes": written})
        return
    say(results, f"mIoU in % on {made.target}")
    results.print(rows_table(made))
    for run in made.runs:
        for reason in run.unfair if run.gain is not None else ():
            say(results, f"{run.name}: {reason}")
    say_left_out(made.evidence.skipped)
    say(results, f"page  {out} ({size_in_words(written)})")


def _command(runs: list[Path], options: dict[str, tuple[Any, Any]]) -> str:
    """The call that makes this report again: the options that are not at their defaults."""
    given = [
        part for name, (value, usual) in options.items() if value != usual for part in (name, str(value))
    ]
    return shlex.join(["segshift", "report", *map(str, runs), *given])
