"""`segshift presets show --resolved`: every default stands in a class that needs PyTorch."""

import typer

from segshift.cli.commands.presets import ShowPreset
from segshift.cli.output import print_json
from segshift.documents import dump_yaml
from segshift.engine.presets import load_recipe
from segshift.methods import parse_method


def show_resolved(options: ShowPreset) -> None:
    """What `segshift presets show --resolved` does; `--json` prints the same."""
    recipe = load_recipe(options.name).model_dump(mode="json")
    recipe["method"] = parse_method(recipe["method"]).with_defaults()
    if options.as_json:
        print_json(recipe)
    else:
        typer.echo(dump_yaml(recipe), nl=False)
