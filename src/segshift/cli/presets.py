"""`segshift presets list` and `segshift presets show`."""

from typing import Annotated

import typer
from rich.table import Table

from segshift.cli.output import print_json, results

app = typer.Typer(no_args_is_help=True, help="Recipes that come with segshift.")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


@app.command("list")
def list_presets(as_json: Json = False) -> None:
    """All presets with one line each, by group. Example: segshift presets list --json"""
    from segshift.engine.presets import load_recipe, preset_names

    loaded = {name: load_recipe(name) for name in preset_names()}
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
    for group in dict.fromkeys(recipe.group for recipe in loaded.values()):
        table = Table("preset", "what it does", "source", title=group, title_justify="left", expand=False)
        for name, recipe in loaded.items():
            if recipe.group == group:
                paper = recipe.provenance.paper if recipe.provenance else ""
                table.add_row(name, recipe.description, paper)
        results.print(table)


@app.command("show")
def show_preset(
    name: Annotated[str, typer.Argument(help="A preset's name.")],
    resolved: Annotated[bool, typer.Option("--resolved", help="With every default filled in.")] = False,
    as_json: Json = False,
) -> None:
    """One preset's YAML, with the comments that say where its numbers come from.

    Example: segshift presets show advent --resolved
    """
    import yaml

    from segshift.engine.presets import load_recipe, preset_text

    text = preset_text(name)
    recipe = load_recipe(name).model_dump(mode="json")
    if as_json:
        print_json(recipe)
    else:
        typer.echo(yaml.safe_dump(recipe, sort_keys=False) if resolved else text, nl=False)
