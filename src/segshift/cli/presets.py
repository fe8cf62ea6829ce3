"""`segshift presets list` and `segshift presets show`."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from segshift.cli.early import complete_preset
from segshift.cli.options import Json
from segshift.cli.output import print_json, results
from segshift.documents import dump_yaml
from segshift.errors import InputError

_SMALL, _OWN = "small (laptop)", "own"

app = typer.Typer(no_args_is_help=True, help="Recipes that come with segshift.")


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
    from segshift.engine.recipe_files import preset_data, preset_names

    loaded = {name: preset_data(name) for name in preset_names() if only in name}
    if not loaded:
        raise InputError(f"no preset's name holds {only!r}; `segshift presets list` shows them all")
    if as_json:
        print_json(
            [
                {
                    "name": name,
                    "group": preset.get("group", _OWN),
                    "description": preset.get("description", ""),
                    "paper": _provenance(preset).get("paper"),
                    "table": _provenance(preset).get("table", "") if _provenance(preset) else None,
                }
                for name, preset in loaded.items()
            ]
        )
        return
    groups = {preset.get("group", _OWN) for preset in loaded.values()}
    for group in sorted(groups, key=lambda group: (group != _SMALL, group)):
        note = "" if group == _SMALL else "  with the mIoU that the paper reports, * over 13 classes"
        results.print(Text.assemble("\n", (group, "bold"), (note, "dim")))
        table = Table(box=None, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(style="dim")
        table.add_column()
        for name, preset in loaded.items():
            if preset.get("group", _OWN) == group:
                table.add_row(name, _short(preset), preset.get("description", ""))
        results.print(table)
    results.print(
        "\n`segshift presets show NAME` prints one with its paper, table and deviations", style="dim"
    )


def _provenance(preset: Mapping[str, Any]) -> Mapping[str, Any]:
    provenance: Mapping[str, Any] = preset.get("provenance") or {}
    return provenance


def _short(preset: Mapping[str, Any]) -> str:
    """First author and year of a preset's paper, or the mIoU that a table's row reports."""
    provenance = _provenance(preset)
    if not provenance:
        return ""
    if preset.get("group", _OWN) != _SMALL:
        reported = provenance.get("reported", {})
        parts = [f"{reported['mIoU']:g}" if "mIoU" in reported else ""]
        parts += [f"{reported['mIoU_star']:g}*"] if "mIoU_star" in reported else []
        return " ".join(part for part in parts if part)
    author, _, rest = provenance["paper"].partition(" et al.")
    years = re.findall(r"\b20\d\d\b", rest)
    return f"{author} {years[0]}" if years else ""


@app.command("show")
def show_preset(
    name: Annotated[str, typer.Argument(help="A preset's name.", autocompletion=complete_preset)],
    resolved: Annotated[bool, typer.Option("--resolved", help="With every default filled in.")] = False,
    as_json: Json = False,
) -> None:
    """One preset's YAML, with the comments that say where its numbers come from.

    Example: segshift presets show advent --resolved
    """
    from segshift.engine.recipe_files import preset_text

    text = preset_text(name)
    if not as_json and not resolved:
        typer.echo(text, nl=False)
        return
    # Defaults stand in the classes of networks and methods, which need PyTorch.
    from segshift.engine.presets import load_recipe
    from segshift.methods import parse_method

    recipe = load_recipe(name).model_dump(mode="json")
    recipe["method"] = parse_method(recipe["method"]).with_defaults()
    if as_json:
        print_json(recipe)
    else:
        typer.echo(dump_yaml(recipe), nl=False)
