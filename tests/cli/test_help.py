"""`--help`, `--version` and the lists."""

from pathlib import Path

import click
import pytest
import typer
import yaml

from segshift import __version__
from segshift.cli import app
from segshift.config import parse
from segshift.engine.presets import load_recipe, preset_names, preset_text
from segshift.engine.recipe import Recipe
from tests.cli.conftest import Segshift


def commands() -> list[list[str]]:
    """Every command as the words that call it."""

    def below(group: click.Command, words: list[str]) -> list[list[str]]:
        listed = getattr(group, "commands", None)
        if listed is None:
            return [words]
        return [found for name, command in listed.items() for found in below(command, [*words, name])]

    return below(typer.main.get_command(app), [])


def test_the_commands_are_all_there() -> None:
    names = {" ".join(words) for words in commands()}
    assert {"demo", "train", "compare", "evaluate", "predict", "data check", "presets list"} <= names


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_commands_help_has_an_example(segshift: Segshift, words: list[str]) -> None:
    outcome = segshift(*words, "--help")
    assert outcome.status == 0
    text = " ".join(outcome.out.split())
    assert f"Example: segshift {' '.join(words)}" in text


def test_the_version(segshift: Segshift) -> None:
    outcome = segshift("--version")
    assert (outcome.status, outcome.out) == (0, f"segshift {__version__}\n")


def test_without_arguments_the_help_is_shown(segshift: Segshift) -> None:
    outcome = segshift()
    assert "Usage" in outcome.out + outcome.err and "Traceback" not in outcome.err


def test_the_list_of_presets(segshift: Segshift) -> None:
    listed = segshift("presets", "list", "--json").json()
    assert [entry["name"] for entry in listed] == preset_names()
    for entry in listed:
        recipe = load_recipe(entry["name"])
        assert recipe.provenance is not None
        assert (entry["description"], entry["paper"]) == (recipe.description, recipe.provenance.paper)
    text = segshift("presets", "list").out
    assert all(name in text for name in preset_names())


def test_a_preset_is_shown_as_written_resolved_and_as_json(segshift: Segshift) -> None:
    assert segshift("presets", "show", "advent").out == preset_text("advent")
    resolved = yaml.safe_load(segshift("presets", "show", "advent", "--resolved").out)
    written, recipe = parse(Recipe, resolved, "resolved"), load_recipe("advent")
    assert written.model_copy(update={"method": recipe.method}) == recipe
    for filled, term in zip(written.method["terms"], recipe.method["terms"], strict=True):
        assert filled == {"name": None, "start_step": 0, "level": "main", "normalized": False} | term
    assert segshift("presets", "show", "advent", "--json").json() == resolved


def test_the_list_of_data(segshift: Segshift) -> None:
    listed = {entry["name"]: entry for entry in segshift("data", "list", "--json").json()}
    assert listed["camvid"]["argument"] == "camvid:PATH"
    assert len(listed["camvid"]["classes"]) == 11 and "day_train" in listed["camvid"]["splits"]
    assert listed["city:game"]["splits"] == ["train", "val"] and len(listed["city:game"]["classes"]) == 19
    text = segshift("data", "list").out
    assert "camvid" in text and "FILE.yaml" in text and "cityscapes_train_ids:PATH" in text


def test_one_data_set_is_shown_with_its_tree(segshift: Segshift, toy_source: Path) -> None:
    text = segshift("data", "show", "cross_city_rio").out
    for part in ("segmentation_adaptation", "cross_city_rio:PATH[:SPLIT]", "$SEGSHIFT_DATA/cross_city"):
        assert part in text
    assert "Rio/Labels/Test/{stem}_eval.png" in text and "Google Street View" in text
    shown = segshift("data", "show", "synthia", "--json").json()
    assert shown["license"] == "CC BY-NC-SA 3.0" and shown["labels"]["channel"] == 0
    assert shown["splits"] == {"train": {"images": "RGB/*.png", "labels": "GT/LABELS/{stem}.png"}}
    assert "city:dusk" in segshift("data", "show", "city:dusk").out
    assert segshift("data", "show", toy_source, "--json").json()["classes"] == ["sky", "ground", "box"]
    assert "did you mean `gta5`?" in segshift("data", "show", "gta").refusal()
