"""`segshift data init`: propose the YAML of a folder of images."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from segshift.cli.options import Json
from segshift.cli.output import console, print_json, results, working
from segshift.cli.outputs import file_option
from segshift.errors import InputError
from segshift.plain import counted, say

if TYPE_CHECKING:
    from segshift.dataset_init.propose import Found, Proposal


def init_dataset(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with the images and labels.")],
    out: Annotated[
        Path | None, file_option("--out", "YAML to write; default: the folder's name, here.")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(help="A class set, names in the order of the values, or 7=road,11=car (#804080=road)."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the YAML.")] = False,
    as_json: Json = False,
) -> None:
    """Look at a folder tree and write the YAML that describes it, with all findings as comments.

    Example: segshift data init ~/data/warehouse --classes floor,rack,person
    """
    from segshift.dataset_init.propose import ask_for_classes, explore, write_proposal

    path = out or Path(f"{folder.resolve().name}.yaml")
    if path.suffix not in (".yaml", ".yml"):
        raise InputError(f"--out {path}: a data set's file ends in .yaml; name it {path.name}.yaml")
    if path.exists() and not force:
        raise InputError(f"{path} is there already; name another file with --out, or overwrite with --force")
    with working(f"looking through {folder}"):
        found = explore(folder, f"{path.stem}_lists", classes)
    interactive = not as_json and classes is None and sys.stdin.isatty() and found.values is not None
    if interactive:
        _show_values(found, console)
        found = ask_for_classes(
            found,
            lambda text: str(typer.prompt(text, default="", show_default=False, err=True)),
            lambda text: say(console, text),
        )
    proposal = write_proposal(found, path, force=force)
    if as_json:
        print_json(proposal.to_dict())
        return
    if not interactive:
        _show_values(found, results)
    _show(proposal)


def _show_values(found: "Found", where: Console) -> None:
    from segshift.dataset_init.propose import value_rows

    rows = value_rows(found)
    if rows and found.values is not None:
        files = f"{found.values.sampled} of {found.values.of} label files"
        table = Table(title=f"values in {files}", title_justify="left", box=SIMPLE)
        table.add_column("color" if found.values.kind == "rgb" else "id", justify="right", no_wrap=True)
        table.add_column("pixels", justify="right")
        table.add_column("files", justify="right")
        table.add_column("class")
        for value, share, in_files, name in rows:
            table.add_row(value, share, in_files, name)
        where.print(table)
    say(where, found.meaning.reason)


def _show(proposal: "Proposal") -> None:
    path = proposal.path
    say(results, "")
    for count in proposal.counts:
        kind = f"{counted(count.images, 'image')} {'with' if count.labelled else 'without'} labels"
        missing = f", {counted(count.without_label, 'label')} missing" if count.without_label else ""
        say(results, f"{count.name}: {kind}{missing}")
    for note in proposal.found.notes:
        say(results, f"look at this: {note}")
    say(results, f"\nwritten to {path}; next:")
    say(results, f"  segshift data check {path} --html check.html")
    # A set whose training images have no labels can be adapted to, not learnt from, whatever its others have.
    trained = [count for count in proposal.counts if count.name == "train"] or proposal.counts
    labelled = any(count.labelled for count in trained)
    other = "--target YOUR_TARGET" if labelled else "--source YOUR_SOURCE"
    role = "--source" if labelled else "--target"
    say(results, f"  segshift train mean_teacher {role} {path} {other} --out runs/first")
