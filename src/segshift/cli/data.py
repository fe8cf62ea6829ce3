"""`segshift data list` and `segshift data show`: the data sets that have a name."""

from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from segshift.cli.commands.data import ListData, ShowData
from segshift.cli.output import print_json, results
from segshift.data.resolve import catalog, describe
from segshift.terminal import say


def list_datasets(options: ListData) -> None:
    """What `segshift data list` does."""
    entries = catalog()
    if options.as_json:
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


def show_dataset(options: ShowData) -> None:
    """What `segshift data show` does."""
    entry = describe(options.data)
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
    if options.as_json:
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
