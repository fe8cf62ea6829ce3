"""`segshift presets list` and `segshift presets show`."""

import re
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from segshift.cli.output import print_json, results
from segshift.errors import InputError

if TYPE_CHECKING:
    from segshift.engine.recipe import Recipe

_SMALL = "small (laptop)"

app = typer.Typer(no_args_is_help=True, help="Recipes that come with segshift.")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


@app.command("list")
def list_presets(
    only: Annotated[
        str, typer.Argument(metavar="[PART]", help="Only names that hold this: clan, vgg16.")
    ] = "",
    as_json: Json = False,
) -> None:
    """All presets with one line each: the small ones, then the papers' tables by paper.

    Example: segshift presets list clan
    """
    from segshift.engine.presets import load_recipe, preset_names

    loaded = {name: load_recipe(name) for name in preset_names() if only in name}
    if not loaded:
        raise InputError(f"no preset's name holds {only!r}; `segshift presets list` shows them all")
    if as_json:
        print_json(
            [
                {
                    "name": name,
                    "group": recipe.group,
                    "description": recipe.description,
                    "paper": None if recipe.provenance is None else recipe.provenance.paper,
                    "table": None if recipe.provenance is None else recipe.provenance.table,
                }
                for name, recipe in loaded.items()
            ]
        )
        return
    groups = sorted({recipe.group for recipe in loaded.values()}, key=lambda group: (group != _SMALL, group))
    for group in groups:
        note = "" if group == _SMALL else "  with the mIoU that the paper reports, * over 13 classes"
        results.print(Text.assemble("\n", (group, "bold"), (note, "dim")))
        table = Table(box=None, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(style="dim")
        table.add_column()
        for name, recipe in loaded.items():
            if recipe.group == group:
                table.add_row(name, _short(recipe), recipe.description)
        results.print(table)
    results.print(
        "\n`segshift presets show NAME` prints one with its paper, table and deviations", style="dim"
    )


def _short(recipe: "Recipe") -> str:
    """First author and year of a preset's paper, or the mIoU that a table's row reports."""
    if recipe.provenance is None:
        return ""
    if recipe.group != _SMALL:
        reported = recipe.provenance.reported
        parts = [f"{reported['mIoU']:g}" if "mIoU" in reported else ""]
        parts += [f"{reported['mIoU_star']:g}*"] if "mIoU_star" in reported else []
        return " ".join(part for part in parts if part)
    author, _, rest = recipe.provenance.paper.partition(" et al.")
    years = re.findall(r"\b20\d\d\b", rest)
    return f"{author} {years[0]}" if years else ""


@app.command("show")
def show_preset(
    name: Annotated[str, typer.Argument(help="A preset's name.")],
    resolved: Annotated[bool, typer.Option("--resolved", help="With every default filled in.")] = False,
    as_json: Json = False,
) -> None:
    """One preset's YAML, with the comments that say where its numbers come from.

    Example: segshift presets show advent --resolved
    """
    from segshift.documents import dump_yaml
    from segshift.engine.presets import load_recipe, preset_text
    from segshift.methods import parse_method

    text = preset_text(name)
    recipe = load_recipe(name).model_dump(mode="json")
    recipe["method"] = parse_method(recipe["method"]).with_defaults()
    if as_json:
        print_json(recipe)
    else:
        typer.echo(dump_yaml(recipe) if resolved else text, nl=False)
