"""`segshift data`: list, check and make data sets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE
from rich.columns import Columns
from rich.table import Table
from rich.text import Text

from segshift.cli.arguments import parse_size
from segshift.cli.data_init import init_dataset
from segshift.cli.options import Json
from segshift.cli.output import print_json, results, working
from segshift.cli.outputs import file_option, folder_option
from segshift.cli.patch_modes import patch_modes
from segshift.cli.prepare import prepare_dataset
from segshift.cli.translate import translate_dataset
from segshift.plain import counted, say, visible

if TYPE_CHECKING:
    from segshift.data.check import CheckReport, SplitReport

app = typer.Typer(no_args_is_help=True, help="List, check and make data sets.")
app.command("init")(init_dataset)
app.command("patch-modes")(patch_modes)
app.command("prepare")(prepare_dataset)
app.command("translate")(translate_dataset)
_SHOWN_PROBLEMS = 20
_SHOWN_VALUES = 8


@app.command("list")
def list_datasets(as_json: Json = False) -> None:
    """The data sets that have a name, and how to write them. Example: segshift data list"""
    from segshift.data.resolve import catalog

    entries = catalog()
    if as_json:
        print_json(
            [
                {
                    "name": entry.name,
                    "argument": entry.argument,
                    "description": entry.description,
                    "license": entry.license,
                    "classes": list(entry.classes.names),
                    "splits": list(entry.splits),
                }
                for entry in entries
            ]
        )
        return
    table = Table(box=SIMPLE)
    table.add_column("write it as", no_wrap=True)
    table.add_column("classes", justify="right")
    table.add_column("what it is")
    for entry in entries:
        table.add_row(entry.argument.partition("[")[0], str(entry.classes.count), entry.description)
    table.add_row("FILE.yaml", "", "your own images; to write it: segshift data init DIR")
    results.print(table)
    say(results, "Where to get one, its license, folder tree and splits: segshift data show NAME")


@app.command("show")
def show_dataset(
    data: Annotated[str, typer.Argument(metavar="NAME", help="A name of `data list`, or FILE.yaml.")],
    as_json: Json = False,
) -> None:
    """Everything about one data set: where to get it, its folder tree, license, splits and classes.

    Example: segshift data show gta5
    """
    from segshift.data.resolve import describe

    entry = describe(data)
    spec = entry.spec
    facts: dict[str, Any] = {
        "name": entry.name,
        "description": entry.description,
        "argument": entry.argument,
        "homepage": spec.homepage if spec else "",
        "license": entry.license,
        "citation": spec.citation if spec else "",
        "layout": spec.layout if spec else "",
        "folder": (spec.folder or entry.name) if spec else "",
        "classes": list(entry.classes.names),
        "splits": {name: rule.model_dump(exclude_none=True) for name, rule in spec.splits.items()}
        if spec
        else {name: {} for name in entry.splits},
        "labels": spec.labels.model_dump() if spec else {},
        "yaml": None if entry.path is None else str(entry.path),
    }
    if as_json:
        print_json(facts)
        return
    named = spec is not None and entry.argument == f"{entry.name}:PATH"
    say(results, f"{entry.name}: {entry.description}" if entry.description else entry.name)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for title, value in (
        ("write it as", f"{entry.argument}[:SPLIT]"),
        ("or", f"{entry.name}[:SPLIT] with its files in $SEGSHIFT_DATA/{facts['folder']}" if named else ""),
        ("get it from", facts["homepage"]),
        ("license", entry.license),
        ("cite", facts["citation"]),
        ("classes", f"{entry.classes.count}: {', '.join(entry.classes.names)}"),
        ("described in", facts["yaml"]),
    ):
        if value:
            table.add_row(title, value)
    results.print(table)
    if spec is None:
        say(results, f"splits: {', '.join(entry.splits)}")
        return
    if spec.layout:
        say(results, "\nfolder tree below PATH")
        for line in spec.layout.splitlines():
            say(results, f"  {line}")
    say(results, "\nsplits")
    for name, rule in spec.splits.items():
        listed = f"  of {rule.list}" if rule.list is not None else ""
        say(results, f"  {name}\n    images  {rule.shown}{listed}\n    labels  {rule.labels or 'none'}")


@app.command("check")
def check_dataset(
    data: Annotated[
        str, typer.Argument(help="camvid:ROOT, FILE.yaml, city:game; with :SPLIT for one split.")
    ],
    sheet: Annotated[
        Path | None,
        file_option("--sheet", "Also write a contact sheet: images, labels, overlays (PNG)."),
    ] = None,
    html: Annotated[
        Path | None,
        file_option("--html", "Also write a page: problems, classes, where they lie, sizes, overlays."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read every file of a data set and say what is wrong with it; status 2 if anything is.

    Example: segshift data check my_streets.yaml --html check.html
    """
    from segshift.data.check import check
    from segshift.data.contact_sheet import contact_sheet

    with working("reading") as show:
        report = check(
            data,
            progress=lambda done, total: show(f"reading {done} of {total}"),
            maps=html is not None,
        )
    if html is not None:
        from segshift.report.check_page import write_check_page

        write_check_page(html, report)
    if sheet is not None and any(split.pairs or split.images for split in report.splits):
        contact_sheet(report, sheet)
    if as_json:
        written = {"sheet": sheet and str(sheet), "html": html and str(html)}
        print_json({**report.to_dict(), **written})
    else:
        _print_report(report)
        if sheet is not None:
            say(results, f"contact sheet  {sheet}")
        if html is not None:
            say(results, f"page  {html}")
    if report.errors:
        raise typer.Exit(2)


@app.command("synthesize")
def synthesize_city(
    city: Annotated[
        str, typer.Argument(metavar="city:STYLE", help="city:game, city:overcast, city:dusk ...")
    ],
    out: Annotated[Path, folder_option("--out", "Folder for images, labels and dataset.yaml.")],
    count: Annotated[int, typer.Option(min=1, help="Training images.")] = 2000,
    val: Annotated[int, typer.Option(min=0, help="Validation images.")] = 200,
    size: Annotated[str, typer.Option(help="WxH in px.")] = "480x360",
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default one per core.")] = None,
    as_json: Json = False,
) -> None:
    """Render labelled street scenes (Cityscapes classes) as an ordinary data set; goes on if interrupted.

    Example: segshift data synthesize city:game --count 2000 --size 480x360 --out city_game
    """
    from segshift.city import synthesize

    spec = synthesize(
        city.removeprefix("city:"),
        out,
        count=count,
        val=val,
        size=parse_size(size, "--size"),
        seed=seed,
        workers=workers,
        progress=not as_json,
    )
    if as_json:
        print_json({"dataset": str(spec), "train": count, "val": val, "size": size, "seed": seed})
    else:
        say(results, f"{count} + {counted(val, 'image')}; use them as {spec}")


def _print_report(report: "CheckReport") -> None:
    from segshift.data.problems import summed_up

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


def _split_table(report: "CheckReport", split: "SplitReport") -> Table:
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
