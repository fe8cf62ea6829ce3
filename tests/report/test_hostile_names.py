"""Names that an output would read as commands, through everything that writes names."""

import csv
import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from segshift.data.labels import ClassSet
from segshift.evaluation import (
    EvaluationResult,
    format_results,
)
from segshift.pictures import legend, strip
from segshift.plain import csv_cell, latex, markdown_cell, one_line, visible
from segshift.report.drawings.bars import draw_class_bars
from segshift.report.drawings.confusion import draw_confusion
from segshift.report.drawings.lines import draw_sweep
from segshift.report.drawings.loss_curves import draw_loss_curves
from segshift.report.page import render
from segshift.report.plots import Bars, ClassBars, confusion
from segshift.report.terminal import class_tables, iou_table, single_table, summary_table
from segshift.terminal import Terminal, say
from tests.report.make import make_report

BRACKETS = ("lane [dashed]", "[/foo]", "lane [/]", "[red]x[/red]", "[link=file:///]a", ":train:")
OBEYED = (
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "a\x08\x08b",
    "a\rb",
    "\x9b31m",
    "a\u202eb",
    "a\u2028b",
    "a\x00b",
)
BROKEN = ("caf\udce9",)  # a file name that is not UTF-8, as Python holds it
FORMULAS = ("=cmd|' /C calc'!A0", "+1", "-1+2", "@SUM(A1)", "\t=1")
MARKUP = (
    "a|b",
    "a\nb",
    "<b>x</b>",
    "`x`",
    "$x_1$",
    r"\input{x}",
    "50 %",
    "a & b",
    "#1",
    "~^{}",
    '"quoted"',
    "_a",
)
HOSTILE = (*BRACKETS, *OBEYED, *BROKEN, *FORMULAS, *MARKUP)
CLASSES = ClassSet("hostile", HOSTILE, tuple((7 * number, 40, 200) for number in range(len(HOSTILE))))


@pytest.fixture(scope="module")
def result() -> EvaluationResult:
    return EvaluationResult(np.diag(np.arange(1, len(HOSTILE) + 1)).astype(np.int64), HOSTILE)


def printed(console: type[Console], table: Table) -> str:
    stream = io.StringIO()
    console(file=stream, width=400).print(table)
    return stream.getvalue()


@pytest.mark.parametrize("console", [Terminal, Console])
@pytest.mark.parametrize("make", [
    single_table,
    lambda one: iou_table({name: one for name in HOSTILE[:9]}, "lane [/]"),
    lambda one: summary_table({name: one for name in HOSTILE}, "[/foo]"),
    lambda one: class_tables({"[/foo]": one}, 80)[0],
])  # fmt: skip
def test_tables_show_names_as_they_are(
    result: EvaluationResult, make: Callable[[EvaluationResult], Table], console: type[Console]
) -> None:
    text = printed(console, make(result))
    assert "[/foo]" in text and not set(text) & set("\x1b\x07\x08\r\x9b\x00\u202e\u2028\udce9")
    if make is single_table:
        for name in HOSTILE:
            assert all(line in text for line in visible(name).replace("\t", "").split("\n")), name


@pytest.mark.parametrize("name", HOSTILE)
def test_lines_and_cells_of_the_terminal(name: str) -> None:
    stream = io.StringIO()
    console = Terminal(file=stream, width=200)
    say(console, name)
    console.print(name)
    say(Console(file=stream, width=200), name)
    shown = visible(name).replace("\t", "")
    assert stream.getvalue().replace(" ", "").replace("\t", "") == f"{shown}\n".replace(" ", "") * 3
    stream.getvalue().encode("utf-8")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", r"\x1b[31m"),
        ("a\rb\x00", r"a\rb\x00"),
        ("caf\udce9", r"caf\udce9"),
        ("a\u202eb", r"a\u202eb"),
        ("Straße, 路, é", "Straße, 路, é"),
        ("two\nlines\tand", "two\nlines\tand"),
    ],
)
def test_what_is_obeyed_is_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("escape", "text", "cell"),
    [
        (one_line, "a\n b\tc", "a b c"),
        (markdown_cell, "a|b\nc [x](y) <b> *z*", r"a\|b c \[x\](y) \<b\> \*z\*"),
        (csv_cell, "=cmd", "'=cmd"),
        (csv_cell, " -1", "' -1"),
        (csv_cell, "a=b", "a=b"),
        (latex, "50 % of $x_1$ & <b>", r"50 \% of \$x\_1\$ \& \textless{}b\textgreater{}"),
        (latex, "\\input{a}\nb", r"\textbackslash{}input\{a\} b"),
    ],
)
def test_cells(escape: Callable[[str], str], text: str, cell: str) -> None:
    assert escape(text) == cell


def test_markdown_has_a_cell_per_name_and_csv_no_formula(result: EvaluationResult) -> None:
    results = {name: result for name in HOSTILE}
    lines = format_results(results, "md").splitlines()
    unescaped = [line.replace(r"\|", "").count("|") for line in lines]
    assert len(lines) == 2 + len(HOSTILE) and len(set(unescaped)) == 1
    rows = list(csv.reader(io.StringIO(format_results(results, "csv"))))
    assert [row[0] for row in rows[1:]] == [csv_cell(name) for name in HOSTILE]
    assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    tex = format_results(results, "latex")
    assert r"\input" not in tex and "lane [dashed]" in tex
    for text in ("\n".join(lines), str(rows), tex):
        text.encode("utf-8")
        assert not set(text) & set("\x1b\x07\x08\r\x9b\x00\u202e\u2028")


@pytest.mark.filterwarnings("error:Glyph")
def test_charts_are_sound_files(tmp_path: Path) -> None:
    names: list[str] = list(HOSTILE)
    models = ("_a", "$x_1$", "\x1b[31m", "a\nb", "caf\udce9")
    rows = [Bars(name, place, np.ones(len(names)), mean=1.0) for place, name in enumerate(models)]
    bars = ClassBars("$a [/] $b\x1b", "$\\frac", names, rows)
    draw_class_bars(tmp_path / "bars", bars, "$\n\x1b")
    size = len(names)
    draw_confusion(tmp_path / "confusion", [confusion("$\x1b", 0, np.eye(size), names)], "linear", "$\x1b")
    draw_sweep(tmp_path / "sweep", "a_$b$", {name: {"x$\x1b": [0.1], "_y": [0.2]} for name in models}, "$")
    records = [{"step": step, "losses": {f"segmenter/{name}": 1.0 for name in HOSTILE}} for step in (1, 2)]
    draw_loss_curves(tmp_path / "curves", {"_$\x1b": records})
    for path in tmp_path.glob("*.svg"):
        ElementTree.parse(path)
    assert len(list(tmp_path.glob("*.svg"))) == len(list(tmp_path.glob("*.png"))) > 3


def test_pictures_take_any_caption() -> None:
    footer = legend(CLASSES, range(len(HOSTILE)))
    assert strip([[(name, np.zeros((4, 4, 3), np.uint8)) for name in HOSTILE]], footer=footer).width > 100


@pytest.mark.usefixtures("small_plotly")
def test_pages_hold_text_and_no_markup_of_names() -> None:
    page = render(make_report(HOSTILE[:6], classes=CLASSES, pictures=1, title="<b>\x1b[31m\udce9"))
    page.encode("utf-8")
    assert "<b>x" not in page and "\x1b" not in page and "lane [dashed]" in page
