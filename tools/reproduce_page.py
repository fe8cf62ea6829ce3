"""Write docs/reproduce.md, a command for every row and figure of a paper: `python tools/reproduce_page.py`.

The rows are listed in tools/reproduce, one file per paper. A test compares the page with what this makes, the
numbers with the papers' tables and the presets' provenance, and tries every command.
"""

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from segshift.config import Strict, parse
from segshift.documents import read_yaml
from segshift.engine.presets import load_recipe

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reproduce.md"
LISTS = Path(__file__).resolve().parent / "reproduce"
PAPERS = ("adaptpatch", "local_alignment", "clan", "lsd", "fada")

_INTRODUCTION = """\
# Reproducing the papers

<!-- Written by tools/reproduce_page.py from tools/reproduce and the presets; change those and run it. -->

A line for every row of every table and for every figure of the five papers: the command, or why there is
none. The presets have the papers' networks, sizes and steps, so each needs a large GPU for a day or more;
`segshift presets show NAME --resolved` prints one with all that it does otherwise than its paper. **The
numbers are the papers': none of these rows has been run here yet.** mIoU in %, \\* over 13 classes.

Set `SEGSHIFT_DATA` to the folder of the data sets first ([datasets.md](datasets.md)); a run goes to
`runs/NAME`. Papers report the best of many snapshots on the labelled target; these commands report the last
step. Rows that a paper cites from another are the method's preset here, where there is one.
"""


class Line(Strict):
    """One row or figure: a preset with changes, a command, or why there is neither.

    Attributes:
        row, shows: what it is, for a table and for a figure.
        miou, star: what the paper reports, in %; star is over 13 classes.
        preset: trained for it, with the assignments of `set`.
        command: one command a line, instead of a preset.
        why: a sentence, or the key of one in reasons.yaml; beside a command, what that does not show.
        unreported: why the number is not among those that the preset's provenance reports, likewise.
    """

    row: str = ""
    shows: str = ""
    miou: float | None = None
    star: float | None = None
    preset: str | None = None
    set: list[str] = Field(default_factory=list)
    command: str | None = None
    why: str | None = None
    unreported: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.row) == bool(self.shows):
            raise ValueError("give row or shows")
        if (self.preset is None) == (self.command is None and self.why is None):
            raise ValueError("give a preset, or a command or why there is none")
        return self

    @property
    def commands(self) -> list[str]:
        """What to type, one command each."""
        if self.command is not None:
            return self.command.splitlines()
        return [] if self.preset is None else [_training(self.preset, self.set)]


class Table(Strict):
    """One table, or results in a section's text."""

    title: str
    rows: list[Line]


class Paper(Strict):
    """One paper: its tables and figures by number."""

    short: str
    paper: str
    tables: dict[str, Table]
    figures: dict[str, Line]


@cache
def papers() -> dict[str, Paper]:
    """The papers' lists by name."""
    return {name: parse(Paper, read_yaml(LISTS / f"{name}.yaml"), f"{name}.yaml") for name in PAPERS}


@cache
def reasons() -> dict[str, str]:
    """Sentences that several rows share."""
    return {key: str(value) for key, value in read_yaml(LISTS / "reasons.yaml").items()}


def page() -> str:
    """The text of docs/reproduce.md."""
    return _INTRODUCTION + "".join(_section(paper) for paper in papers().values())


def _section(paper: Paper) -> str:
    parts = [f"\n## {paper.short}\n\n{paper.paper}\n"]
    for number, table in paper.tables.items():
        name = f"Table {number}" if number[0].isdigit() else number.capitalize()
        parts.append(f"\n### {name}: {table.title}\n\n| row | reported | command |\n|---|---|---|\n")
        parts += [f"| {line.row} | {_reported(line)} | {_how(line)} |\n" for line in table.rows]
    parts.append("\n### Figures\n\n| figure | shows | command |\n|---|---|---|\n")
    parts += [f"| {number} | {line.shows} | {_how(line)} |\n" for number, line in paper.figures.items()]
    return "".join(parts)


def _reported(line: Line) -> str:
    numbers = [_percent(line.miou), _percent(line.star) + "\\*"]
    return " ".join(number for number in numbers if number[0].isdigit())


def _percent(number: float | None) -> str:
    """As the papers print it: with one decimal, or two where the second is not 0."""
    return "-" if number is None else f"{number:.2f}".removesuffix("0")


def _how(line: Line) -> str:
    sentence = "" if line.why is None else reasons().get(line.why, line.why)
    note = reasons().get(line.unreported or "", line.unreported)
    return "<br>".join(part for part in (sentence, *(f"`{one}`" for one in line.commands), note) if part)


def _training(preset: str, changes: list[str]) -> str:
    """The command; a preset with changes gets a folder of its own."""
    words = ["segshift", "train", preset]
    for change in changes:
        words += ["--set", change]
    if changes:
        key, _, value = changes[0].partition("=")
        words += ["--out", f"runs/{load_recipe(preset).name}-{_slug(key.split('.')[-1])}-{_slug(value)}"]
    return shlex.join(words)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "", text.lower()) or "none"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
