"""`segshift sweep`: mIoU against the settings of a recipe."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.arguments import parse_seeds
from segshift.cli.command import Command
from segshift.cli.early import PresetOrYaml, check_data, checked_recipe
from segshift.cli.options import Device, Source, Target
from segshift.cli.outputs import folder_option
from segshift.engine.recipe_files import domain_changes


@dataclass(frozen=True)
class Sweep(Command):
    """Train every combination of some settings and plot the mIoU: sweep.md, sweep.json, sweep.png and .svg.

    Finished runs are not run again, so the same command goes on where it was, also with more values or seeds.

    Example: segshift sweep advent --set method.terms.0.weight=0.0003,0.001,0.003 --seeds 0,1 --out runs/w
    """

    work = "segshift.cli.sweep:sweep"

    recipe: PresetOrYaml
    assignments: Annotated[
        list[str],
        typer.Option("--set", help="A key and its values: a.b=1,2,3. One value: the same in every run."),
    ]
    out: Annotated[Path, folder_option("--out", "Folder for the runs, the table and the curve.")]
    source: Source = None
    target: Target = None
    seeds: Annotated[str, typer.Option("--seeds", help="Seeds to run, e.g. 0,1,2.")] = "0"
    device: Device = None

    @property
    def fixed(self) -> list[str]:
        """Assignments that are the same in every run."""
        return domain_changes(self.source, self.target)

    def refuse(self) -> None:
        """Refuse a recipe that cannot be read. Raises InputError."""
        super().refuse()
        checked_recipe(self.recipe, self.fixed)
        parse_seeds(self.seeds)
        check_data(self.source, self.target)
