"""`segshift data prepare`: convert a data set once, so that training reads it many times faster."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segshift.cli.arguments import parse_size
from segshift.cli.options import Json
from segshift.cli.output import console, print_json, results
from segshift.errors import InputError
from segshift.folders import SPEC, check_folder
from segshift.plain import counted, say, size_in_words

if TYPE_CHECKING:
    from segshift.data.prepare import PreparedSplit

_SHOWN = 20


class OnError(StrEnum):
    """What a bad file does."""

    stop = "stop"
    skip = "skip"


class Interpolation(StrEnum):
    """How images are resized."""

    bilinear = "bilinear"
    bicubic = "bicubic"


def prepare_dataset(
    data: Annotated[str, typer.Argument(help="gta5:ROOT, FILE.yaml ...; with :SPLIT for one split.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for images, labels and dataset.yaml.")],
    size: Annotated[str | None, typer.Option(help="WxH in px of the converted files.")] = None,
    split: Annotated[list[str] | None, typer.Option(help="Only this split; repeat for several.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default one per core.")] = None,
    on_error: Annotated[OnError, typer.Option(help="What a bad file does.", hidden=True)] = OnError.stop,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out samples that cannot be read, and list them.")
    ] = False,
    interpolation: Annotated[
        Interpolation, typer.Option(help="Of images, with anti-aliasing; labels take the nearest pixel.")
    ] = Interpolation.bilinear,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only compare the files with their recorded hashes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Convert to JPEG and PNG of one size, in parallel; a second call goes on, and mends what is damaged.

    Example: segshift data prepare gta5:/data/gta5 --size 1280x720 --out gta5_1280
    """
    from segshift.data.prepare import prepare

    if verify:
        _verify(out, workers, as_json)
        return
    # Not while the option is read, since what is only verified may lie where nobody writes.
    check_folder(out)
    if size is None:
        raise InputError("--size is missing; give the size that training reads, for example --size 1280x720")
    reports = prepare(
        data,
        out,
        size=parse_size(size, "--size"),
        splits=split or (),
        interpolation=interpolation.value,
        on_error="skip" if skip_bad else on_error.value,
        workers=workers,
        progress=not as_json and console.is_terminal,
    )
    spec = out / SPEC
    if as_json:
        print_json({"dataset": str(spec), "size": size, "splits": [vars(report) for report in reports]})
        return
    for report in reports:
        _print_report(report)
    say(results, f"use it as {spec}")


def _print_report(report: "PreparedSplit") -> None:
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
    from segshift.data.manifest import verify

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
