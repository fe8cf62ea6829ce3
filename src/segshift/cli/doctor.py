"""`segshift doctor`: whether a method keeps the engine's contract."""

import typer
from rich.table import Table
from rich.text import Text

from segshift.cli.commands.doctor import Doctor
from segshift.cli.output import print_json, results, working
from segshift.engine.doctor import examine
from segshift.engine.presets import load_recipe

_COLORS = {"ok": "green", "failed": "red", "declared": "yellow", "skipped": "dim"}


def doctor(options: Doctor) -> None:
    """What `segshift doctor` does."""
    loaded = load_recipe(options.recipe, options.assignments or [])
    with working("examining"):
        examinations = examine(loaded)
    if options.as_json:
        print_json([examination.to_dict() for examination in examinations])
    for examination in [] if options.as_json else examinations:
        table = Table(title=examination.name, title_justify="left", show_header=False)
        for schedule in dict.fromkeys(examination.schedules):
            steps = [str(i) for i, one in enumerate(examination.schedules) if one == schedule]
            table.add_row("schedule", "", f"{' '.join(schedule)}  (steps {', '.join(steps)})")
        for finding in examination.findings:
            verdict = Text(finding.verdict, _COLORS[finding.verdict])
            table.add_row(finding.check, verdict, finding.detail)
        results.print(table)
    if not all(examination.healthy for examination in examinations):
        raise typer.Exit(1)
