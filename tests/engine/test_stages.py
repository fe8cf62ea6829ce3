"""Recipes of several stages: what each gets from those before it."""

from io import StringIO
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from segshift.config import parse
from segshift.engine.presets import load_recipe
from segshift.engine.recipe import Recipe
from segshift.engine.run import run_recipe
from segshift.engine.stages import stage_recipe, stage_settings
from segshift.engine.target_labels import saw_target_labels
from segshift.errors import InputError
from segshift.terminal import TerminalProgress
from tests.engine.recipes import toy_recipe
from tests.engine.runs import assert_same_bits, run, weights


def staged(*stages: dict[str, object]) -> Recipe:
    return parse(Recipe, {"name": "three", "stages": list(stages)}, "three")


def test_placeholders_become_folders_everywhere() -> None:
    recipe = staged(
        {"name": "first"},
        {
            "name": "second",
            "changes": {
                "init_from": "{first}/model.safetensors",
                "source": {"also": [{"dataset": "{first}/dataset.yaml:train", "weight": 2}]},
            },
            "settings": {"model": "{first}", "portion": 0.2},
        },
    )
    made = stage_recipe(recipe, 1, {"first": "runs/1_first"})
    assert made.init_from == "runs/1_first/model.safetensors"
    assert made.source.also[0].dataset == "runs/1_first/dataset.yaml:train"
    assert stage_settings(recipe, 1, {"first": "X"}) == {"model": "X", "portion": 0.2}
    assert stage_recipe(recipe, 1).init_from == "{first}/model.safetensors"


def test_a_placeholder_must_name_an_earlier_stage() -> None:
    recipe = staged({"name": "first", "changes": {"init_from": "{second}"}}, {"name": "second"})
    with pytest.raises(InputError, match=r"three, stage first: .*names no earlier stage"):
        stage_recipe(recipe, 0)


def test_a_wrong_reference_is_told_before_any_stage_runs(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    stages = [{"name": "first"}, {"name": "second", "changes": {"init_from": "{frist}"}}]
    with pytest.raises(InputError, match="did you mean `first`"):
        run(toy_recipe(toy_source, toy_target, stages=stages), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_last_stages_model_and_results_lie_in_the_run_folder(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    stages = [
        {"name": "start", "changes": {"training": {"steps": 2}}},
        {"name": "fresh", "changes": {"training": {"steps": 1}, "init_from": None}},
        {"name": "back", "changes": {"training": {"steps": 1}, "init_from": "{start}"}},
    ]
    recipe = toy_recipe(toy_source, toy_target, stages=stages)
    results = run(recipe, tmp_path / "run")
    assert_same_bits(weights(tmp_path / "run"), weights(tmp_path / "run" / "3_back"))
    assert results["steps"] == 1 and (tmp_path / "run" / "results.json").is_file()
    # `back` goes on from the first stage, which is what a run of its own from there gives.
    single = toy_recipe(
        toy_source, toy_target, training={"steps": 1}, init_from=str(tmp_path / "run" / "1_start")
    )
    run(single, tmp_path / "single")
    assert_same_bits(weights(tmp_path / "run"), weights(tmp_path / "single"))
    assert load_recipe(tmp_path / "run" / "config.yaml") == recipe


def test_extends_takes_a_list_and_the_last_wins(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(
        yaml.safe_dump({"seed": 1, "training": {"steps": 5, "batch_size": 2}})
    )
    (tmp_path / "method.yaml").write_text(yaml.safe_dump({"seed": 2, "training": {"steps": 7}}))
    (tmp_path / "both.yaml").write_text("extends: [data.yaml, method.yaml]\nname: both")
    recipe = load_recipe(tmp_path / "both.yaml")
    assert (recipe.seed, recipe.training.steps, recipe.training.batch_size) == (2, 7, 2)
    assert recipe.name == "both"


def test_target_labels_in_use_are_told(tmp_path: Path, toy_source: Path, toy_target: Path) -> None:
    few = {"dataset": str(toy_target), "augmentation": {"resize": [40, 32]}}
    recipe = toy_recipe(toy_source, toy_target, target_labelled=few, training={"steps": 2})
    results = run(recipe, tmp_path / "few")
    assert results["uses_target_labels"] is True
    assert results["target_labelled"] == "toy train (6 images)"
    plain = run(toy_recipe(toy_source, toy_target, training={"steps": 2}), tmp_path / "plain")
    assert plain["uses_target_labels"] is False and plain["target_labelled"] is None
    start = str(tmp_path / "few" / "model.safetensors")
    after = run(
        toy_recipe(toy_source, toy_target, training={"steps": 1}, init_from=start), tmp_path / "after"
    )
    assert after["uses_target_labels"] is True, "what the start has seen cannot be undone"
    assert [saw_target_labels(tmp_path / name) for name in ("after", "plain", "none")] == [True, False, None]


@pytest.mark.parametrize("oracle", [True, False])
def test_pseudo_labels_pass_on_what_their_network_saw(
    tmp_path: Path, toy_source: Path, toy_target: Path, oracle: bool
) -> None:
    """To a network that starts anew, whether they stand beside the source, in its mixture or in its place."""
    few = {"dataset": str(toy_target), "augmentation": {"resize": [40, 32]}}
    given = {"dataset": "{labels}/dataset.yaml:train", "augmentation": {"resize": [40, 32]}}
    stages = [
        {"name": "first", "changes": {"target_labelled": few if oracle else None}},
        {"name": "labels", "kind": "pseudo_label", "settings": {"rule": "none"}},
        {"name": "beside", "changes": {"init_from": None, "pseudo_labelled": given}},
        {
            "name": "mixed",
            "changes": {"init_from": None, "source": {"also": [{"dataset": given["dataset"]}]}},
        },
        {"name": "instead", "changes": {"init_from": None, "source": given}},
        {"name": "without", "changes": {"init_from": None}},
    ]
    output = StringIO()
    recipe = toy_recipe(toy_source, toy_target, training={"steps": 1}, stages=stages)
    run_recipe(recipe, tmp_path / "run", TerminalProgress(Console(file=output, width=200)))
    told = [
        saw_target_labels(tmp_path / "run" / f"{index + 1}_{stage['name']}")
        for index, stage in enumerate(stages)
        if stage["name"] != "labels"
    ]
    assert told == [oracle, oracle, oracle, oracle, False]
    assert "toy, stage mixed  step 1/1" in output.getvalue()
    output.truncate(0)
    run_recipe(recipe, tmp_path / "run", TerminalProgress(Console(file=output, width=200)))
    for stage in stages:
        assert f"toy, stage {stage['name']}: finished before, in" in output.getvalue()


def test_another_method_brings_all_of_its_settings() -> None:
    method = {"name": "align", "auxiliary_weight": 0.2, "terms": [{"term": "minent"}]}
    stages = [
        {"name": "own", "changes": {"method": {"auxiliary_weight": 0.3}}},
        {"name": "other", "changes": {"method": {"name": "adabn", "images": 5}}},
    ]
    recipe = parse(Recipe, {"name": "two", "method": method, "stages": stages}, "two")
    assert stage_recipe(recipe, 0).method == {**method, "auxiliary_weight": 0.3}
    assert stage_recipe(recipe, 1).method == {"name": "adabn", "images": 5}


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"kind": "pseudo_label", "settings": {"rule": "nonee"}}, "three, stage late, settings.*rule"),
        ({"kind": "translate", "settings": {"sise": [1, 2]}}, "unknown key `sise`"),
        ({"settings": {"rule": "none"}}, "a training stage has none"),
    ],
)
def test_a_late_stages_settings_are_checked_before_the_first_trains(
    tmp_path: Path, stage: dict[str, object], message: str
) -> None:
    recipe = staged({"name": "first"}, {"name": "late", **stage})
    with pytest.raises(InputError, match=message):
        run(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()
