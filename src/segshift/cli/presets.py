"""`segshift presets list` and `segshift presets show`."""

import re
from collections.abc import Mapping
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from segshift.cli.commands.presets import ListPresets, ShowPreset
from segshift.cli.output import print_json, results
from segshift.engine.recipe_files import preset_data, preset_names, preset_text
from segshift.errors import InputError

_SMALL, _OWN = "small (laptop)", "own"

app = typer.Typer(no_args_is_help=True, help="Recipes that come with segshift.")


def list_presets(options: ListPresets) -> None:
    """What `segshift presets list` does."""
    loaded = {name: preset_data(name) for name in preset_names() if options.only in name}
    if not loaded:
        raise InputError(f"no preset's name holds {options.only!r}; `segshift presets list` shows them all")
    if options.as_json:
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


def show_preset(options: ShowPreset) -> None:
    """What `segshift presets show` does."""
    typer.echo(preset_text(options.name), nl=False)
