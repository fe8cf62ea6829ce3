"""`segshift data init`: propose the YAML of a folder of images."""

import sys
from pathlib import Path

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from segshift.cli.commands.data_init import InitData
from segshift.cli.output import console, print_json, results, working
from segshift.dataset_init.propose import (
    Found,
    Proposal,
    ask_for_classes,
    explore,
    value_rows,
    write_proposal,
)
from segshift.errors import InputError
from segshift.plain import counted
from segshift.terminal import say


def init_dataset(options: InitData) -> None:
    """What `segshift data init` does."""
    path = options.out or Path(f"{options.folder.resolve().name}.yaml")
    if path.suffix not in (".yaml", ".yml"):
        raise InputError(f"--out {path}: a data set's file ends in .yaml; name it {path.name}.yaml")
    if path.exists() and not options.force:
        raise InputError(f"{path} is there already; name another file with --out, or overwrite with --force")
    with working(f"looking through {options.folder}"):
        found = explore(options.folder, f"{path.stem}_lists", options.classes)
    interactive = (
        not options.as_json and options.classes is None and sys.stdin.isatty() and found.values is not None
    )
    if interactive:
        _show_values(found, console)
        found = ask_for_classes(
            found,
            lambda text: str(typer.prompt(text, default="", show_default=False, err=True)),
            lambda text: say(console, text),
        )
    proposal = write_proposal(found, path, force=options.force)
    if options.as_json:
        print_json(proposal.to_dict())
        return
    if not interactive:
        _show_values(found, results)
    _show(proposal)


def _show_values(found: Found, where: Console) -> None:
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


def _show(proposal: Proposal) -> None:
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
