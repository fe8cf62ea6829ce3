"""`segshift bench`: what a step of a method costs on this machine."""

from dataclasses import dataclass
from typing import Annotated

import typer

from segshift.cli.arguments import parse_size
from segshift.cli.command import Command
from segshift.cli.early import checked_recipe
from segshift.cli.options import Assignments, Device

# One of every kind of step.
_DEFAULT = ["source_only", "adaptsegnet", "advent", "clan", "fada", "adaptpatch", "lsd", "mean_teacher"]


@dataclass(frozen=True)
class Bench(Command):
    """Measure training steps on this machine: time, operations and memory beside plain supervised training.

    Each step is timed in turn with one of the same network on source images alone, so that a busy machine
    favors neither. Images are rendered, weights are random, nothing is written. What a run on your own
    images will cost: segshift train --dry-run.

    Example: segshift bench advent mean_teacher --size 256x128 --batch-size 1
    """

    work = "segshift.cli.bench:bench"

    recipes: Annotated[
        list[str] | None,
        typer.Argument(help=f"Presets or YAML files; default: {', '.join(_DEFAULT)}."),
    ] = None
    size: Annotated[
        str | None, typer.Option(help="WxH of all images in px; default: each recipe's own crop.")
    ] = None
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images per step and domain; default: each recipe's own.")
    ] = None
    rounds: Annotated[int, typer.Option(min=1, help="Timed steps.")] = 5
    assignments: Assignments = None
    device: Device = None

    @property
    def names(self) -> list[str]:
        """What is measured."""
        return self.recipes or _DEFAULT

    def refuse(self) -> None:
        """Refuse recipes that cannot be read, and a bad size. Raises InputError."""
        super().refuse()
        if self.size is not None:
            parse_size(self.size, "--size")
        for name in self.names:
            checked_recipe(name, self.assignments or [])
