"""`segshift doctor`: whether a method keeps the engine's contract."""

from dataclasses import dataclass
from typing import Annotated

import typer

from segshift.cli.command import Command
from segshift.cli.early import checked_recipe
from segshift.cli.options import Assignments


@dataclass(frozen=True)
class Doctor(Command):
    """Run a method on toy images and say whether it is sound; status 1 if it is not.

    Example: segshift doctor examples/sixth_paper/mcd.yaml
    """

    work = "segshift.cli.doctor:doctor"

    recipe: Annotated[str, typer.Argument(metavar="METHOD.yaml", help="A recipe of yours, or a preset.")]
    assignments: Assignments = None

    def refuse(self) -> None:
        """Refuse a recipe that cannot be read. Raises InputError."""
        super().refuse()
        checked_recipe(self.recipe, self.assignments or [])
