"""docs/reproduce.md: up to date, with all of the papers' tables and figures, commands that can be given."""

import re
import shlex
from functools import cache
from pathlib import Path

import click
import pytest
import typer
from tools.reproduce_page import PAGE, Line, page, papers, reasons

from segshift.analysis.diagnosis import DiagnosisSettings, SeparabilitySettings
from segshift.analysis.diagnosis.diagnose import PARTS
from segshift.cli import app
from segshift.cli.arguments import analysis_names
from segshift.data.labels import class_set, class_set_names
from segshift.data.resolve import catalog
from segshift.engine.presets import load_recipe, preset_names
from segshift.engine.recipe import Recipe
from segshift.engine.stages import stage_recipe
from segshift.report.analyze import ANALYSES

# The means in every table of the five papers, row by row (with two, mIoU and mIoU over 13 classes); None is
# a row without a number of its own.
TABLES: dict[tuple[str, str], list[float | tuple[float | None, float] | None]] = {
    ("adaptpatch", "1"): [36.6, 38.8, 41.3],
    ("adaptpatch", "2"): [36.6, 41.3, 41.4, 43.2, 42.2, 44.9, 41.8, 44.2, 44.5, 46.5],
    ("adaptpatch", "3"): [33.5, 37.0, 39.5, 39.9, 35.8, 37.0, 37.4, 38.9, 37.9, 40.0],
    ("adaptpatch", "4"): [27.1, 28.9, 28.1, 30.9, 34.8, 35.0, 37.5, 36.6, 39.3, 39.4, 41.4, 46.5],
    ("adaptpatch", "5"): [
        *[(20.2, 22.1), (29.0, 34.8), (None, 35.7), (23.9, 27.8), (None, 37.6), (33.7, 39.6)],
        *[(33.5, 38.6), (35.4, 40.8), (39.5, 45.9), (40.0, 46.5)],
    ],
    ("local_alignment", "1"): [
        *[(23.4, 26.8), (37.3, 43.5), (None, 38.6), (None, 46.7), (None, 47.8), (38.1, 44.2), (40.8, 47.6)],
        *[(41.2, 48.0), (34.9, 40.3), (42.6, 48.9), (42.8, 48.7), (43.4, 49.6), (43.8, 50.1), (42.7, 48.7)],
        (44.84, 51.99),
    ],
    ("local_alignment", "2"): [
        *[21.7, 39.5, 22.2, 39.7, 36.6, 42.4, 43.2, 42.3, 43.1, 43.8, 45.5, 29.2, 46.6],
        *[33.8, 45.9, 46.0, 46.1, 47.1, 45.9, 46.98],
    ],
    ("local_alignment", "3"): [
        *[(31.95, 36.86), (16.97, 20.04), (40.31, 47.3), (44.84, 51.99), (12.89, 15.13)]
    ],
    ("local_alignment", "4"): [37.76, 20.62, 40.56, 46.98, 9.22],
    ("clan", "1"): [
        *[24.3, 36.1, 24.9, 28.8, 22.3, 28.9, 17.9, 27.1, 29.2, 35.0, 36.6, 36.6, 41.4, 43.2],
    ],
    ("clan", "2"): [(None, star) for star in (26.2, 36.1, 20.2, 22.9, 35.7, 37.6, 39.3, 38.6, 45.9, 47.8)],
    ("lsd", "1"): [None],
    ("lsd", "2a"): [17.4, 20.2, 22.0, 29.0, 26.8, 36.1, 59.5],
    ("lsd", "2b"): [21.2, 27.1, 22.3, 28.9, 29.6, 37.1, 57.6],
    ("lsd", "3"): [21.5, 23.2, 26.8, 31.3, 34.5, 36.1, None],
    ("lsd", "4"): [22.2, 25.3, 28.3, 29.2, 34.5],
    ("lsd", "5"): [36.1, 44.4],
    ("fada", "1"): [
        *[38.2, 42.9, 50.9, 53.8, 54.7, 38.5, 42.5, 48.2, 51.6, 54.7],
        *[39.2, 42.8, 42.8, 49.9, 51.3, 35.1, 39.6, 39.6, 49.1, 52.7],
    ],
    ("fada", "2"): [
        *[(20.2, 22.9), (29.0, 34.8), (23.9, 27.8), (35.4, 36.1), (None, 37.6), (None, 37.2), (None, 39.3)],
        *[(33.7, 39.6), (31.4, 36.6), (25.6, 29.6), (31.0, 36.2), (39.5, 46.0), (None, 46.3), (None, 46.7)],
        *[(None, 47.8), (40.0, 46.5), (41.2, 48.0), (33.5, 38.6), (35.4, 40.8), (45.2, 52.5)],
    ],
    ("fada", "3"): [
        *[27.1, 28.9, 28.1, 36.1, 35.4, 35.0, 34.2, 36.6, 37.5, 36.1, 28.3, 34.1, 43.8],
        *[42.4, 42.6, 43.2, 46.5, 45.5, 36.8, 39.3, 49.2, 50.1],
    ],
    ("fada", "4"): [36.8, 46.9, 49.2, 50.1],
    ("fada", "5"): [39.4, 35.4, 45.7, 40.8, 46.9, 41.5],
    ("fada", "6"): [46.2, 46.3, 46.9, 45.7],
}
FIGURES = {"adaptpatch": 6, "local_alignment": 8, "clan": 6, "lsd": 4, "fada": 5}
# Not rows of these papers: DACS's own table, DAFormer's, MIC's, VFM-UDA's ...
OF_OTHER_PAPERS = {
    "mean_teacher_gta5_cityscapes_resnet101",
    *(
        f"{method}_{source}_cityscapes_{network}"
        for method in ("daformer", "mic", "sepico")
        for source in ("gta5", "synthia")
        for network in ("mitb5", "resnet101")
    ),
    *(
        f"{method}_{source}_cityscapes_mitb5"
        for method in ("hrda", "mic_hrda")
        for source in ("gta5", "synthia")
    ),
    *(f"vfm_uda{plus}_gta5_cityscapes_dinov2_large" for plus in ("", "_plus")),
    "vfm_uda_gta5_cityscapes_dinov2_base",
}

LINES = [
    (f"{name} {number} {line.row or line.shows}", line)
    for name, paper in papers().items()
    for number, lines in [
        *((number, table.rows) for number, table in paper.tables.items()),
        *((number, [figure]) for number, figure in paper.figures.items()),
    ]
    for line in lines
]
COMMANDS = [(f"{where}: {command}", command) for where, line in LINES for command in line.commands]


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python tools/reproduce_page.py"


def test_every_row_of_every_table_is_there_with_its_number() -> None:
    for (name, number), means in TABLES.items():
        rows = [(line.miou, line.star) for line in papers()[name].tables[number].rows]
        for mean in means:
            wanted = mean if isinstance(mean, tuple) else (mean, None)
            assert wanted in rows, f"{name}, table {number}: {wanted}"
            rows.remove(wanted)


def test_nothing_else_is_called_a_table_and_every_figure_is_there() -> None:
    for name, paper in papers().items():
        numbered = {number for number in paper.tables if not number.startswith("section")}
        assert numbered == {number for paper_name, number in TABLES if paper_name == name}
        figures = {int(found[0]) for number in paper.figures if (found := re.match(r"\d+", number))}
        assert figures == set(range(1, FIGURES[name] + 1))


@pytest.mark.parametrize("line", [line for _, line in LINES if line.preset], ids=lambda line: line.row)
def test_a_presets_row_has_a_number_that_the_preset_reports(line: Line) -> None:
    assert line.preset is not None
    recipe = _loaded(line.preset, *line.set)
    assert recipe.provenance is not None
    for index in range(len(recipe.stages)):
        stage_recipe(recipe, index)
    reported = recipe.provenance.reported
    # An ablation's number stands in the row alone, where the preset reports its own.
    if not line.set and line.unreported is None:
        numbers = {number for number in (line.miou, line.star) if number is not None}
        assert numbers <= set(reported.values())


@pytest.mark.parametrize(("where", "command"), COMMANDS, ids=[where for where, _ in COMMANDS])
def test_every_command_can_be_given(where: str, command: str) -> None:
    program, *words = shlex.split(command)
    assert program == "segshift"
    found: click.Command = typer.main.get_command(app)
    while isinstance(found, click.Group) or hasattr(found, "commands"):
        found, words = found.commands[words[0]], words[1:]
    context = found.make_context(str(found.name), list(words), resilient_parsing=False)
    assert context.params
    written = [folder for _, command in COMMANDS for folder in _outputs(shlex.split(command))]
    for run in (word for word in words if word.startswith("runs/") and word not in written):
        name, _, stage = run.removeprefix("runs/").partition("/")
        recipe = _loaded(name)
        assert not stage or stage in [one.name for one in recipe.stages]
    for option in ("--source", "--target", "--data"):
        if option in words:
            assert words[words.index(option) + 1].partition(":")[0] in {entry.name for entry in catalog()}
    if "--classes" in words:
        named = words[words.index("--classes") + 1]
        known = class_set("cityscapes19").names if found.name == "analyze" else class_set_names()
        assert set(named.split(",")) <= set(known)
    if "--only" in words:
        parts = {"analyze": ANALYSES, "diagnose": PARTS}[str(found.name)]
        assert set(analysis_names(words[words.index("--only") + 1]) or ()) <= set(parts)


def test_the_separability_figure_is_made_at_the_papers_settings() -> None:
    """Section 4.1: maps of 512x1024, 500 held out, validation every 100 iterations, rate 1e-3, three runs."""
    command = next(command for _, command in COMMANDS if command.startswith("segshift diagnose"))
    given = dict(zip(words := shlex.split(command), words[1:], strict=False))
    patches = tuple(int(side) for side in given["--patches"].split(","))
    assert given["--size"] == given["--canvas"] == "1024x512" and given["--held-out"] == "500"
    sizes = DiagnosisSettings(size=(1024, 512), canvas=(1024, 512), patches=patches).patch_sizes()
    assert list(sizes) == ["64", "128", "256", "512", "whole"]
    experiment = SeparabilitySettings()
    assert (float(given["--lr"]), int(given["--validate-every"])) == (1e-3, 100)
    assert (experiment.momentum, experiment.weight_decay, len(experiment.seeds)) == (0.9, 1e-4, 3)
    assert int(given["--images"]) >= 2 * int(given["--held-out"])


@cache
def _loaded(name: str, *changes: str) -> Recipe:
    return load_recipe(name, changes)


def _outputs(words: list[str]) -> list[str]:
    return [words[index + 1] for index, word in enumerate(words) if word == "--out"]


@pytest.mark.parametrize("where", [name for name, command in COMMANDS if "segshift sweep" in command])
def test_what_is_swept_is_a_setting_of_the_preset(where: str) -> None:
    words = shlex.split(dict(COMMANDS)[where])
    key, _, values = words[words.index("--set") + 1].partition("=")
    recipes = [load_recipe(words[2], [f"{key}={value}"]) for value in values.split(",")]
    assert all(isinstance(recipe, Recipe) for recipe in recipes)


def test_every_preset_at_a_papers_scale_is_on_the_page() -> None:
    text = page()
    scale = [name for name in preset_names() if not _loaded(name).group.startswith("small")]
    absent = {name for name in scale if f"{name}`" not in text and f"{name} " not in text}
    assert absent == OF_OTHER_PAPERS
    assert set(reasons()) <= {text for _, line in LINES for text in (line.why, line.unreported)}


def test_examples_that_the_page_names_are_there() -> None:
    root = Path(__file__).resolve().parents[2]
    for file in set(re.findall(r"examples/[\w/]+\.yaml", page())):
        assert load_recipe(root / file).name
