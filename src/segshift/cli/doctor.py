"""`segshift doctor`: whether a method keeps the engine's contract."""

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from segshift.cli.early import check_recipe
from segshift.cli.options import Json
from segshift.cli.output import print_json, results, working

_COLORS = {"ok": "green", "failed": "red", "declared": "yellow", "skipped": "dim"}


def doctor(
    recipe: Annotated[str, typer.Argument(metavar="METHOD.yaml", help="A recipe of yours, or a preset.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="a.b=value, repeatable.")] = None,
    as_json: Json = False,
) -> None:
    """Run a method on toy images and say whether it is sound; status 1 if it is not.

    Example: segshift doctor examples/sixth_paper/mcd.yaml
    """
    check_recipe(recipe, set_ or [])

    from segshift.engine.doctor import examine
    from segshift.engine.presets import load_recipe

    loaded = load_recipe(recipe, set_ or [])
    with working("examining"):
        examinations = examine(loaded)
    if as_json:
        print_json([examination.to_dict() for examination in examinations])
    for examination in [] if as_json else examinations:
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
