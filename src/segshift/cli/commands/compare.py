"""`segshift compare` and `segshift demo`: methods against an equal-step control."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.arguments import split_names
from segshift.cli.command import Command
from segshift.cli.options import Device, Source, Target
from segshift.cli.outputs import folder_option
from segshift.config import apply_overrides, assignment
from segshift.documents import read_yaml
from segshift.errors import InputError

Seeds = Annotated[str | None, typer.Option("--seeds", help="Seeds to run, e.g. 0,1,2.")]
Assignments = Annotated[list[str] | None, typer.Option("--set", help="Change a key of the comparison.")]


@dataclass(frozen=True)
class Demo(Command):
    """Adapt a small network between two made-up cities, print the table, write a page with pictures.

    Takes a few minutes on two cores; what was trained before is not trained again. Example: segshift demo
    """

    work = "segshift.cli.compare:demo"

    out: Annotated[Path, folder_option("--out", "Folder for runs and page.")] = Path("runs/demo")
    seeds: Seeds = None
    assignments: Assignments = None


@dataclass(frozen=True)
class Compare(Command):
    """Train several methods from one start, with equal steps, beside a control and an oracle.

    Finished runs are not run again, so an interrupted comparison goes on where it was.

    Example: segshift compare --methods mean_teacher,clan --source city:game --target city:dusk --seeds 0,1

    Example: segshift compare benchmarks/camvid_day_dusk.yaml --seeds 0,1
    """

    work = "segshift.cli.compare:compare"

    file: Annotated[
        Path | None, typer.Argument(metavar="[YAML]", help="The comparison: recipe, start, arms, seeds.")
    ] = None
    methods: Annotated[
        str | None, typer.Option(help="Arms that are presets, with commas: mean_teacher,clan.")
    ] = None
    source: Source = None
    target: Target = None
    seeds: Seeds = None
    assignments: Assignments = None
    out: Annotated[Path | None, folder_option("--out", "Folder for runs and page.")] = None
    device: Device = None

    @property
    def arms(self) -> tuple[str, ...]:
        """The presets of `--methods`."""
        return tuple(filter(None, split_names(self.methods) or ()))

    @property
    def changes(self) -> list[str]:
        """The options as assignments to the comparison's keys."""
        data = {"recipe.source.dataset": self.source, "recipe.target.dataset": self.target}
        named = [assignment(key, value) for key, value in data.items() if value is not None]
        return [*named, *(self.assignments or [])]

    def refuse(self) -> None:
        """Refuse a file that cannot be read, or too little to compare. Raises InputError."""
        super().refuse()
        if self.file is not None:
            apply_overrides(read_yaml(self.file), self.changes)
        elif not (self.arms and self.source and self.target):
            raise InputError("compare: give a YAML, or --methods PRESET,PRESET with --source and --target")
