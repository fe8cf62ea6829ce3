"""`segshift presets list` and `segshift presets show`."""

from dataclasses import dataclass
from typing import Annotated

import typer

from segshift.cli.command import Command
from segshift.cli.early import complete_preset


@dataclass(frozen=True)
class ListPresets(Command):
    """All presets with one line each: the small ones, then the papers' tables by paper.

    Example: segshift presets list clan
    """

    work = "segshift.cli.presets:list_presets"

    only: Annotated[str, typer.Argument(metavar="[PART]", help="Only names that hold this: clan, vgg16.")] = (
        ""
    )


@dataclass(frozen=True)
class ShowPreset(Command):
    """One preset's YAML, with the comments that say where its numbers come from.

    Example: segshift presets show advent --resolved
    """

    work = "segshift.cli.presets:show_preset"

    name: Annotated[str, typer.Argument(help="A preset's name.", autocompletion=complete_preset)]
    resolved: Annotated[bool, typer.Option("--resolved", help="With every default filled in.")] = False

    def home(self) -> str:
        """Another file if defaults are shown."""
        return "segshift.cli.resolved_preset:show_resolved" if self.resolved or self.as_json else self.work
