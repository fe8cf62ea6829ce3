"""Whole runs: folders, stages, saved recipes, the oracle, bad recipes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from segshift.data.labels import class_set
from segshift.data.resolve import classes_of
from segshift.engine.datasets import resolve_domains
from segshift.engine.presets import load_recipe
from segshift.engine.trainer import Trainer
from segshift.errors import InputError, StoppedError
from tests.engine.recipes import ADVERSARIAL, MEAN_TEACHER, toy_recipe
from tests.engine.runs import assert_same_bits, run, weights


def test_what_a_run_folder_holds(tmp_path: Path, toy_source: Path, toy_target: Path) -> None:
    recipe = toy_recipe(toy_source, toy_target, method=ADVERSARIAL, training={"evaluate_every": 2})
    results = run(recipe, tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        "config.yaml",
        "metrics.jsonl",
        "results.json",
        "checkpoints",
        "model.safetensors",
        "environment.json",
    }
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "losses" in line] == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in lines if "evaluation" in line] == [2, 4, 6]
    assert set(lines[0]["lr"]) == {"segmenter", "advent"}
    assert results["selected"] == "last checkpoint" and results["uses_target_labels"] is False
    assert set(results["evaluation"]["iou"]) == {"sky", "ground", "box"}


def test_the_saved_config_runs_again_to_the_same_bits(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:

    recipe = toy_recipe(toy_source, toy_target, method=MEAN_TEACHER, training={"steps": 2})
    run(recipe, tmp_path / "first")
    again = load_recipe(tmp_path / "first" / "config.yaml")
    assert again == recipe
    run(again, tmp_path / "second")
    assert_same_bits(weights(tmp_path / "first"), weights(tmp_path / "second"))


def test_the_oracle_trains_on_target_labels_and_says_so(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    results = run(toy_recipe(toy_source, toy_target, oracle=True), tmp_path / "run")
    assert results["uses_target_labels"] is True
    assert results["source"] == results["target"] == "toy train (6 images)"
    other = toy_recipe(toy_target, toy_target, source={"dataset": str(toy_target)})
    run(other, tmp_path / "supervised")
    assert_same_bits(weights(tmp_path / "run"), weights(tmp_path / "supervised"))


def test_an_oracle_needs_no_source(tmp_path: Path, toy_source: Path, toy_target: Path) -> None:
    run(toy_recipe(toy_source, toy_target, oracle=True), tmp_path / "with")
    without = toy_recipe(toy_source, toy_target, oracle=True, source={"dataset": None})
    results = run(without, tmp_path / "without")
    assert results["source"] == results["target"] == "toy train (6 images)"
    assert_same_bits(weights(tmp_path / "with"), weights(tmp_path / "without"))


@pytest.mark.parametrize("classes", [None, ["box", "ground", "sky"]])
def test_an_oracle_takes_only_the_classes_of_a_source_that_is_not_there(
    tmp_path: Path, toy_source: Path, toy_target: Path, classes: list[str] | None
) -> None:
    shutil.copy(toy_source, tmp_path / "source.yaml")
    whole = toy_recipe(tmp_path / "source.yaml", toy_target, oracle=True, classes=classes)
    lines = [line for line in toy_source.read_text().splitlines() if not line.startswith("root:")]
    (tmp_path / "source.yaml").write_text("\n".join([*lines, f"root: {tmp_path / 'nowhere'}"]))
    domains = resolve_domains(whole)
    assert domains.classes.names == tuple(classes or ("sky", "ground", "box"))
    assert domains.source == domains.target
    with pytest.raises(InputError):
        resolve_domains(whole.model_copy(update={"oracle": False}))


def test_an_oracle_with_a_public_source_needs_no_folder_of_it(toy_target: Path) -> None:
    recipe = toy_recipe(Path("gta5"), toy_target, oracle=True, classes=None)
    with pytest.raises(InputError, match=r"gta5 and toy:train: .*different classes"):
        resolve_domains(recipe)
    for name in ("gta5", "gta5:/nowhere:train", "city:game,size=64x48,count=6", "city:dusk:val"):
        assert classes_of(name).names == class_set("cityscapes19").names
    with pytest.raises(InputError, match="'gta6' is no data set; did you mean `gta5`"):
        classes_of("gta6")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"oracle": True, "target": {"split": "unlabelled"}}, "labelled --target"),
        ({"source": {"split": "unlabelled"}}, "has no labels"),
        ({"source": {"dataset": None}}, "give --source"),
        ({"method": ADVERSARIAL, "target": {"dataset": None}}, "give --target"),
        ({"training": {"micro_batches": 3}}, "must be a multiple of 3"),
        ({"optimizers": {"advnt": {}}}, "no such network"),
        ({"optimizers": {"segmenter": {"lr_multipliers": {"hed": 10}}}}, "no parameter's name starts so"),
        ({"method": {"name": "align", "terms": [{"term": "advnt"}]}}, "did you mean `advent`"),
        ({"method": {"name": "align", "terms": [{"term": "advent", "wieght": 1}]}}, "did you mean `weight`"),
        (
            {"method": {"name": "align", "terms": [{"term": "minent", "level": "auxiliary"}]}},
            "auxiliary_head: true",
        ),
        ({"evaluation": {"split": "tset"}}, "tset"),
        ({"evaluation": {"dataset": "DATA", "split": "unlabelled"}}, "has no labels"),
    ],
)
def test_bad_recipes_are_one_line(
    tmp_path: Path, toy_source: Path, toy_target: Path, changes: dict[str, Any], message: str
) -> None:
    if changes.get("evaluation", {}).get("dataset") == "DATA":
        changes = {"evaluation": {**changes["evaluation"], "dataset": str(toy_target)}}
    with pytest.raises(InputError, match=message) as error:
        run(toy_recipe(toy_source, toy_target, **changes), tmp_path / "run")
    assert "\n" not in str(error.value)


def test_a_folder_with_another_run_is_not_touched(tmp_path: Path, toy_source: Path) -> None:
    recipe = toy_recipe(toy_source, None, training={"steps": 2})
    run(recipe, tmp_path / "run")
    before = weights(tmp_path / "run")
    other = toy_recipe(toy_source, None, training={"steps": 3})
    with pytest.raises(InputError, match="other settings"):
        run(other, tmp_path / "run", resume=True)
    (tmp_path / "run" / "results.json").unlink()
    with pytest.raises(InputError, match="--resume"):
        run(recipe, tmp_path / "run")
    with pytest.raises(InputError, match="other settings"):
        run(other, tmp_path / "run", resume=True)
    assert_same_bits(before, weights(tmp_path / "run"))


def test_a_finished_run_is_not_run_again(
    tmp_path: Path, toy_source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = toy_recipe(toy_source, None, training={"steps": 1})
    first = run(recipe, tmp_path / "run")

    def refuse(self: Trainer) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(Trainer, "run", refuse)
    assert run(recipe, tmp_path / "run") == first


def test_stages_feed_each_other_and_finished_ones_are_kept(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    stages = [
        {"name": "source", "changes": {"training": {"steps": 2}}},
        {"name": "adapt", "changes": {"training": {"steps": 1}, "method": ADVERSARIAL}},
    ]
    recipe = toy_recipe(toy_source, toy_target, stages=stages)
    run(recipe, tmp_path / "run")
    assert (tmp_path / "run" / "2_adapt" / "model.safetensors").is_file()
    start = toy_recipe(toy_source, toy_target, training={"steps": 2})
    run(start, tmp_path / "start")
    adapted = toy_recipe(
        toy_source, toy_target, training={"steps": 1}, method=ADVERSARIAL, init_from=str(tmp_path / "start")
    )
    run(adapted, tmp_path / "adapted")
    assert_same_bits(weights(tmp_path / "run" / "2_adapt"), weights(tmp_path / "adapted"))


def test_a_target_without_any_labels_trains_and_resumes_from_its_saved_config(
    tmp_path: Path, toy_source: Path, toy_target: Path, stop_after: Any, monkeypatch: pytest.MonkeyPatch
) -> None:

    bare = tmp_path / "bare.yaml"
    images = f"root: {toy_target.parent}\nsplits:\n  train: {{images: 'images/train/*.png'}}"
    bare.write_text(f"name: bare\n{images}\nclasses: [sky, ground, box]\n")
    stop_after(1)
    with pytest.raises(StoppedError):
        run(toy_recipe(toy_source, bare, method=MEAN_TEACHER), tmp_path / "run")
    monkeypatch.undo()
    results = run(load_recipe(tmp_path / "run" / "config.yaml"), tmp_path / "run", resume=True)
    assert results["evaluation"] is None and results["evaluated_on"] is None
    assert results["target"] == "bare train (6 images)"
