"""Plans: what is wrong with any stage of a recipe is said when it is read, with the stage and the key."""

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from segshift.config import parse
from segshift.engine.plan import all_or_errors, make_plan
from segshift.engine.presets import load_recipe, preset_names
from segshift.engine.recipe import Recipe
from segshift.engine.run import run_recipe
from segshift.engine.stages import stage_recipe
from segshift.errors import InputError
from segshift.progress import SILENT
from tests.engine.recipes import toy_recipe

OWN_TERM = """
from segshift.methods import Term, TermConfig
from segshift.config import Strict

class Config(TermConfig):
    strength: float = 1.0

class Own(Term):
    Config = Config
"""


def mistakes(recipe: Recipe, index: int | None) -> Iterator[tuple[dict[str, Any], str]]:
    """The recipe's data with one wrong key or value in one stage, each with what the refusal says of it."""
    staged = recipe if index is None else stage_recipe(recipe, index)
    kind = "train" if index is None else recipe.stages[index].kind

    def changed(change: Callable[[dict[str, Any], dict[str, Any]], None]) -> dict[str, Any]:
        data = recipe.model_dump(mode="json")
        stage = data if index is None else data["stages"][index]
        section = data if index is None else stage["changes"]
        section["method"] = copy.deepcopy(staged.method)
        change(section, stage)
        return data

    if kind == "train":
        place = "method.terms.0" if staged.method.get("terms") else "method"

        def inner(section: dict[str, Any]) -> dict[str, Any]:
            return (section["method"].get("terms") or [section["method"]])[0]

        yield (
            changed(lambda s, _: inner(s).update(nmae="x")),
            f"{place}: unknown key `nmae`; did you mean `name`",
        )
        for value in (-5, "abc"):
            key = "start_step" if place.endswith("0") else next(iter(_numbers(staged.method)))
            yield (
                changed(lambda s, _, v=value, k=key: inner(s).update({k: v})),
                f"{place}: `{key}` = {value!r}",
            )  # type: ignore[misc]
        yield (
            changed(lambda s, _: s.update(optimizers={"segmenter": {"lr": -1}})),
            "`optimizers.segmenter.lr` = -1",
        )
    else:
        key = "size" if kind == "translate" else "input_size"
        yield (
            changed(lambda _, stage: stage["settings"].update({key.replace("iz", "zi"): [3, 3]})),
            f"unknown key `{key.replace('iz', 'zi')}`; did you mean `{key}`",
        )
        yield changed(lambda _, stage: stage["settings"].update({key: [0, 3]})), f"`{key}.0` = 0"


def _numbers(method: dict[str, Any]) -> list[str]:
    return {
        "adabn": ["images"],
        "align": ["labelled_weight"],
        "cyclegan": ["cycle_weight"],
        "lsd": ["domain_weight"],
    }[method.get("name", "align")]


@pytest.mark.parametrize("name", preset_names())
def test_a_wrong_key_and_a_wrong_value_in_any_stage_of_a_preset_are_refused(name: str) -> None:
    recipe = load_recipe(name)
    assert [job.kind for job in make_plan(recipe).jobs] == [stage.kind for stage in recipe.stages] or [
        "train"
    ]
    for index in range(len(recipe.stages)) if recipe.stages else [None]:
        stage = "" if index is None else f"stage {recipe.stages[index].name}"
        for data, message in mistakes(recipe, index):
            with pytest.raises(InputError) as error:
                make_plan(parse(Recipe, data, name))
            assert message in str(error.value) and stage in str(error.value)
            assert name in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("preset", "change", "message"),
    [
        (
            "fada_stages",
            "stages.1.changes.method.terms=[{term: fada, weigth: 1}]",
            r"stage adversarial: method\.terms\.0: unknown key `weigth`; did you mean `weight`\?",
        ),
        (
            "fada_stages",
            "stages.1.changes.method.terms=[{term: fada, weight: -5}]",
            "stage adversarial: .*`weight` = -5",
        ),
        (
            "fada_stages",
            "stages.1.changes.method.terms=[{term: fada, weight: abc}]",
            "stage adversarial: .*`weight` = 'abc'",
        ),
        ("advent", "method.terms.0.term=advnt", "did you mean `advent`"),
        ("advent", "method.name=[1]", r"method.name = \[1\]: unknown method"),
        ("advent", "method.terms.0.term=[1]", r"term = \[1\]: unknown term"),
        ("advent", "method.name=null", "unknown method"),
        ("advent", "method.terms=[3]", r"`terms.0` = 3"),
        ("advent", "method=3", "`method` = 3"),
        (
            "advent",
            "optimizers.advetn.lr=1",
            "optimizers.advetn: the method has no such network; did you mean `advent`",
        ),
        ("lsd", "optimizers.genrator.lr=1", "the method has no such network; did you mean `generator`"),
        ("advent", "optimizers.advent.lr=-1", "`optimizers.advent.lr` = -1"),
        ("advent", "classes=camvid12", "`classes` = 'camvid12': .*did you mean `camvid11`"),
        ("advent", "classes=[road, road]", r"`classes` = \['road', 'road'\]: .*'road' stands twice"),
        (
            "advent",
            "model.backbone=resnet10",
            "advent: model: backbone = resnet10: unknown to timm .*did you mean resnet1",
        ),
        ("advent", "model.head=fcn8s", "advent: model: auxiliary_head = true: head fcn8s has none"),
        (
            "advent",
            "model.auxiliary_head=false",
            r"advent: method\.terms\.1\.level = 'auxiliary': .* has no auxiliary head",
        ),
        (
            "fada_stages",
            "stages.1.changes.model.backbone=resnet10",
            "fada_stages, stage adversarial: model: backbone = resnet10: unknown",
        ),
        (
            "advent",
            "training.select=entrpy",
            "`training.select` = 'entrpy': is no score .*did you mean `entropy`",
        ),
        (
            "advent",
            "optimizers.segmenter.schedule.kidn=poly",
            "unknown key `optimizers.segmenter.schedule.kidn`",
        ),
    ],
)
def test_loading_refuses(preset: str, change: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_recipe(preset, [change])


def test_names_of_networks_that_there_are_pass() -> None:
    assert load_recipe("advent", ["optimizers.advent.lr=1"]).optimizers["advent"].lr == 1
    assert load_recipe("lsd", ["optimizers.generator.lr=1"]).optimizers["generator"].lr == 1


def test_a_term_of_ones_own_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN_TERM)
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("extends: source_only\nmethod: {terms: [{term: own.py:Own, strenght: 2}]}\n")
    with pytest.raises(InputError, match="unknown key `strenght`; did you mean `strength`"):
        load_recipe(recipe)
    recipe.write_text(recipe.read_text().replace("strenght", "strength"))
    assert make_plan(load_recipe(recipe)).jobs[0].method.terms[0][1].strength == 2


def test_all_that_fails_is_told_at_once() -> None:
    def fail(word: str) -> int:
        raise InputError(f"{word} is wrong")

    good = {"one": lambda: 1, "two": lambda: 2}
    assert all_or_errors(good, "arms cannot run") == [1, 2]
    with pytest.raises(InputError, match=r"^three: this is wrong$"):
        all_or_errors({**good, "three": lambda: fail("this")}, "arms cannot run")
    with pytest.raises(
        InputError, match=re.escape("2 of 4 arms cannot run: a: this is wrong; b: that is wrong")
    ):
        all_or_errors({**good, "a": lambda: fail("this"), "b": lambda: fail("that")}, "arms cannot run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"model": {"head": "linear"}},
            "stage later: model = segshift_tiny does not fit",
        ),
        ({"classes": ["sky", "box"]}, "stage later: `classes` differ"),
        (
            {"source": {"dataset": "{first}/dataset.yaml"}, "target": {"dataset": "citi:day"}},
            "'citi'",
        ),
        ({"evaluation": {"split": "vall"}}, "no split 'vall'; did you mean `val`"),
        ({"source": {"also": [{"dataset": "city:noon"}]}}, "'noon' is no style of the city"),
        (
            {"init_from": "nowhere/model.safetensors"},
            "stage later: init_from = nowhere/model.safetensors: there is no",
        ),
        ({"source": {"also": [{"dataset": "city:game", "split": "test"}]}}, "'test' is no split of the city"),
    ],
)
def test_what_a_later_stage_cannot_start_from_or_find_is_said_before_the_first_one_trains(
    change: dict[str, Any], message: str, toy_source: Path, toy_target: Path, tmp_path: Path
) -> None:
    stages = [{"name": "first"}, {"name": "later", "changes": change}]
    recipe = toy_recipe(toy_source, toy_target, stages=stages)
    with pytest.raises(InputError, match=message):
        run_recipe(recipe, tmp_path / "run", SILENT)
    assert not (tmp_path / "run" / "1_first").exists()


def test_a_later_stage_may_start_anew_or_add_a_classifier(toy_source: Path, toy_target: Path) -> None:
    changes = [{"init_from": None, "model": {"head": "linear"}}, {"model": {"classifiers": 2}}]
    for change in changes:
        stages = [{"name": "first"}, {"name": "later", "changes": change}]
        assert len(make_plan(toy_recipe(toy_source, toy_target, stages=stages)).jobs) == 2
