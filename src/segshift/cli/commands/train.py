"""`segshift train`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.command import Command
from segshift.cli.early import PresetOrYaml, check_images, checked_recipe
from segshift.cli.options import Assignments, Device, Source, Target
from segshift.cli.outputs import folder_option
from segshift.config import assignment
from segshift.engine.recipe_files import domain_changes
from segshift.folders import check_name


@dataclass(frozen=True)
class Train(Command):
    """Train a recipe (all its stages) and print how well it does on the target.

    Example: segshift train advent --source city:game --target my_streets.yaml --out runs/advent
    """

    work = "segshift.cli.train:train"

    recipe: PresetOrYaml
    source: Source = None
    target: Target = None
    assignments: Assignments = None
    out: Annotated[Path | None, folder_option("--out", "Run folder; default runs/NAME.")] = None
    resume: Annotated[bool, typer.Option("--resume", help="Continue the unfinished run in --out.")] = False
    select: Annotated[
        str | None,
        typer.Option(
            "--select", help="Keep the best checkpoint by this label-free score; default: the last."
        ),
    ] = None
    oracle_selection: Annotated[
        bool,
        typer.Option(
            "--oracle", "--oracle-selection", help="Select by the target's labels: an upper bound only."
        ),
    ] = False
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Read all files once, and leave out what cannot be used.")
    ] = False
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Two tiny steps on the built-in city: does the recipe run?")
    ] = False
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only say what it will cost: parameters, memory, time, disk."),
    ] = False
    device: Device = None

    @property
    def changes(self) -> list[str]:
        """The options as assignments to the recipe's keys."""
        changes = [*domain_changes(self.source, self.target), *(self.assignments or [])]
        changes += ["training.skip_bad=true"] if self.skip_bad else []
        changes += [] if self.select is None else [assignment("training.select", self.select)]
        if self.oracle_selection:
            selected = [] if self.select else ["training.select=target_miou"]
            changes += [*selected, "training.oracle_selection=true"]
        return changes

    def refuse(self) -> None:
        """Refuse a recipe that cannot be read, and images that are not there. Raises InputError."""
        super().refuse()
        recipe = checked_recipe(self.recipe, self.changes)
        if not self.smoke:
            check_images(recipe, self.out or Path("runs") / check_name(recipe.name, "recipe"))
