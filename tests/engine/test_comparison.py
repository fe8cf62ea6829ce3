"""Comparisons: the same start, equal steps, honest arithmetic."""

import json
import math
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from segshift.config import merge, parse
from segshift.engine.comparison import (
    Comparison,
    ComparisonResult,
    load_comparison,
    run_comparison,
    spread,
)
from segshift.engine.run import run_recipe
from segshift.engine.trainer import Trainer
from segshift.errors import InputError
from segshift.progress import SILENT, Progress
from tests.engine.recipes import toy_recipe

ARMS: dict[str, Any] = {
    "control": {"label": "source only"},
    "adabn": {
        "label": "AdaBN",
        "after": "control",
        "changes": {"method": {"name": "adabn"}, "training": {"steps": 0}},
    },
    "minent": {"label": "MinEnt", "changes": {"method": {"terms": [{"term": "minent", "weight": 0.1}]}}},
    "oracle": {"label": "oracle", "changes": {"oracle": True}},
}


def comparison(source: Path, target: Path, **changes: Any) -> Comparison:
    recipe = toy_recipe(source, target, training={"steps": 3}).model_dump(mode="json")
    data = {"name": "toys", "recipe": recipe, "start": {"training": {"steps": 2}}, "arms": ARMS}
    return parse(Comparison, merge(data, changes), "comparison")


def execute(made: Comparison, folder: Path) -> ComparisonResult:
    return run_comparison(made, folder, SILENT, resume=True)


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, toy_source: Path, toy_target: Path
) -> tuple[Comparison, Path, ComparisonResult]:
    made, folder = comparison(toy_source, toy_target, seeds=[0, 1]), tmp_path_factory.mktemp("comparison")
    return made, folder, execute(made, folder)


def written(folder: Path, seed: int, arm: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / f"seed_{seed}" / arm / "results.json").read_text())
    return data


def test_rows_hold_what_the_runs_wrote(finished: tuple[Comparison, Path, ComparisonResult]) -> None:
    _, folder, result = finished
    assert [row.name for row in result.rows] == ["start", "control", "adabn", "minent", "oracle"]
    assert result.class_names == ("sky", "ground", "box")
    for row in result.rows:
        runs = [written(folder, seed, row.name) for seed in (0, 1)]
        assert row.miou == tuple(run["evaluation"]["miou"] for run in runs)
        control = [written(folder, seed, "control")["evaluation"]["miou"] for seed in (0, 1)]
        assert row.gain == tuple(a - b for a, b in zip(row.miou, control, strict=True))
        ious = [run["evaluation"]["iou"].values() for run in runs]
        for mine, values in zip(row.class_iou, zip(*ious, strict=True), strict=True):
            known = [value for value in values if value is not None]
            assert mine == pytest.approx(statistics.fmean(known)) if known else math.isnan(mine)
        assert row.source_images_per_step == 2
        assert row.uses_target_labels == (row.name == "oracle")
    assert [row.steps for row in result.rows] == [0, 3, 3, 3, 3]
    assert result.rows[1].gain == (0.0, 0.0)
    assert len({row.miou for row in result.rows}) > 2


def test_all_arms_start_from_the_same_weights(finished: tuple[Comparison, Path, ComparisonResult]) -> None:
    _, folder, _ = finished
    for seed in (0, 1):
        here = folder / f"seed_{seed}"
        after = {"control": "start", "adabn": "control", "minent": "start", "oracle": "start"}
        for arm, before in after.items():
            config = yaml.safe_load((here / arm / "config.yaml").read_text())
            assert config["init_from"] == str(here / before) and config["seed"] == seed
        begin = load_file(here / "start" / "model.safetensors")
        control, adabn = (load_file(here / arm / "model.safetensors") for arm in ("control", "adabn"))
        minent = load_file(here / "minent" / "model.safetensors")
        head = "head.branches.0.weight"
        assert torch.equal(control[head], adabn[head]) and not torch.equal(control[head], begin[head])
        assert not torch.equal(control[head], minent[head])
        assert not torch.equal(control["backbone.stem.1.running_mean"], adabn["backbone.stem.1.running_mean"])
    starts = [load_file(folder / f"seed_{seed}" / "start" / "model.safetensors") for seed in (0, 1)]
    assert not torch.equal(starts[0][head], starts[1][head])


def test_the_first_checkpoint_of_an_arm_is_the_start(
    toy_source: Path, toy_target: Path, tmp_path: Path
) -> None:
    arms = {"control": ARMS["control"], "minent": ARMS["minent"]}
    made = comparison(toy_source, toy_target).model_dump()
    made["arms"] = arms
    made["recipe"]["training"]["keep_checkpoints"] = 9
    execute(parse(Comparison, made, "comparison"), tmp_path)
    begin = load_file(tmp_path / "seed_0" / "start" / "model.safetensors")
    for arm in arms:
        path = tmp_path / "seed_0" / arm / "checkpoints" / "step_00000000.pt"
        state = torch.load(path, weights_only=True)["method"]
        assert all(torch.equal(state[f"segmenter.{name}"], value) for name, value in begin.items())


def test_finished_runs_are_not_run_again(
    finished: tuple[Comparison, Path, ComparisonResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, folder, result = finished

    def refuse(self: Trainer) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(Trainer, "run", refuse)
    again = execute(made, folder)
    assert json.dumps(again.to_dict()) == json.dumps(result.to_dict())
    one = execute(made.model_copy(update={"seeds": [1]}), folder)
    assert [row.miou for row in one.rows] == [row.miou[1:] for row in result.rows]


def test_the_document_has_the_means_and_spreads(finished: tuple[Comparison, Path, ComparisonResult]) -> None:
    document = finished[2].to_dict()
    assert document["seeds"] == [0, 1] and document["classes"] == ["sky", "ground", "box"]
    for row in document["rows"]:
        first, second = row["gain"]
        assert row["gain_mean"] == pytest.approx((first + second) / 2)
        assert row["gain_std"] == pytest.approx(abs(first - second) / math.sqrt(2))
        assert row["miou_mean"] == pytest.approx(sum(row["miou"]) / 2)


def pretend(monkeypatch: pytest.MonkeyPatch, scores: dict[str, list[float]]) -> list[str]:
    """Runs that train nothing and score what a test tells them to; returns the list of those run."""
    ran: list[str] = []

    def run(recipe: Any, folder: Path, progress: Progress, resume: bool) -> dict[str, Any]:
        ran.append(f"{folder.parent.name}/{folder.name}")
        score = scores[folder.name][recipe.seed]
        return {"evaluation": {"miou": score, "iou": {"a": score, "b": None}}}

    monkeypatch.setattr("segshift.engine.comparison.run_recipe", run)
    return ran


SCORES = {
    "start": [0.1, 0.2],
    "control": [0.2, 0.3],
    "adabn": [0.1, 0.2],
    "minent": [0.4, 0.4],
    "oracle": [0.6, 0.7],
}


def test_gains_and_the_share_of_the_gap(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    ran = pretend(monkeypatch, SCORES)
    result = execute(comparison(toy_source, toy_target, seeds=[0, 1]), tmp_path)
    rows = {row.name: row for row in result.rows}
    assert rows["minent"].gain == pytest.approx((0.2, 0.1))
    assert rows["minent"].gap_share == pytest.approx(0.15 / 0.4)
    assert rows["adabn"].gap_share == pytest.approx(-0.1 / 0.4)
    assert rows["oracle"].gap_share == pytest.approx(1.0)
    assert rows["start"].gap_share is None and rows["control"].gap_share is None
    assert rows["minent"].class_iou[0] == pytest.approx(0.4) and math.isnan(rows["minent"].class_iou[1])
    assert ran[:2] == ["seed_0/start", "seed_0/control"] and len(ran) == 10


@pytest.mark.parametrize("oracle", [None, [0.1, 0.1]])
def test_without_an_oracle_above_the_control_there_is_no_share(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, toy_source: Path, toy_target: Path, oracle: Any
) -> None:
    pretend(monkeypatch, {**SCORES, "oracle": oracle})
    made = comparison(toy_source, toy_target, seeds=[0, 1]).model_dump()
    if oracle is None:
        del made["arms"]["oracle"]
    result = execute(parse(Comparison, made, ""), tmp_path)
    assert all(row.gap_share is None for row in result.rows)


def test_the_spread_is_that_of_a_sample() -> None:
    assert spread([1.0]) is None
    assert spread([1.0, 3.0]) == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {"steps": 4}}, "arm minent: 4 steps after the start, the control has 3"),
        ({"training": {"batch_size": 4}}, r"arm minent: training\.batch_size = 4, the control has 2"),
        ({"trainnig": {}}, "arm minent: unknown key `trainnig`; did you mean `training`"),
    ],
)
def test_unfair_arms_are_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    toy_source: Path,
    toy_target: Path,
    changes: dict[str, Any],
    message: str,
) -> None:
    ran = pretend(monkeypatch, SCORES)
    made = comparison(toy_source, toy_target, arms={"minent": {"changes": changes}})
    with pytest.raises(InputError, match=message) as error:
        execute(made, tmp_path)
    assert ran == [] and len(str(error.value).splitlines()) == 1


def test_steps_after_another_arm_add_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    """An arm that trains on after the control has had more steps than the control."""
    pretend(monkeypatch, SCORES)
    made = comparison(toy_source, toy_target, arms={"minent": {"after": "control"}})
    with pytest.raises(InputError, match="arm minent: 6 steps after the start"):
        execute(made, tmp_path)


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ({"minent": {"label": "x"}}, "there must be an arm named `control`"),
        (
            {"control": {"label": "x"}, "a": {"label": "x", "after": "b"}},
            "'a' comes after 'b', which must stand above it",
        ),
        (
            {"control": {"label": "x"}, "a": {"label": "x", "after": "b"}, "b": {"label": "x"}},
            "'a' comes after 'b', which must stand above it",
        ),
        ({"control": {}}, r"the key `arms\.control\.label` is missing"),
        ({"control": {"label": "x", "chagnes": {}}}, "did you mean `changes`"),
    ],
)
def test_bad_arms_are_one_line(tmp_path: Path, arms: dict[str, Any], message: str) -> None:
    path = tmp_path / "comparison.yaml"
    path.write_text(yaml.safe_dump({"name": "x", "recipe": {}, "arms": arms}, sort_keys=False))
    with pytest.raises(InputError, match=message) as error:
        load_comparison(path)
    assert str(error.value).startswith(str(path)) and len(str(error.value).splitlines()) == 1


def test_assignments_change_a_comparison(tmp_path: Path) -> None:
    path = tmp_path / "comparison.yaml"
    path.write_text(yaml.safe_dump({"name": "x", "recipe": {}, "arms": ARMS}, sort_keys=False))
    made = load_comparison(
        path, ["recipe.training.steps=5", "arms.minent.changes.oracle=true", "seeds=[3, 4]"]
    )
    assert made.recipe == {"training": {"steps": 5}} and made.seeds == [3, 4]
    assert made.arms["minent"].changes["oracle"] is True


def test_a_comparison_without_labels_to_judge_by_is_refused(
    tmp_path: Path, toy_source: Path, toy_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(recipe: Any, *_: Any) -> dict[str, Any]:
        return {"evaluation": None}

    monkeypatch.setattr("segshift.engine.comparison.run_recipe", run)
    with pytest.raises(InputError, match="needs a labelled evaluation set"):
        execute(comparison(toy_source, toy_target), tmp_path)


def test_a_trained_run_is_judged_anew_when_the_evaluation_changes(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    quiet = SILENT
    first = run_recipe(toy_recipe(toy_source, toy_target, training={"steps": 2}), tmp_path, quiet)
    weights = (tmp_path / "model.safetensors").read_bytes()
    other = toy_recipe(toy_source, toy_target, training={"steps": 2}, evaluation={"dataset": str(toy_source)})
    second = run_recipe(other, tmp_path, quiet)
    assert second["confusion"] != first["confusion"]
    assert sum(map(sum, second["confusion"])) == second["evaluation"]["pixels"]
    assert (tmp_path / "model.safetensors").read_bytes() == weights


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"changes": {"evaluation": {"split": "train"}}}, "`evaluation` differs"),
        ({"changes": {"source": {"split": "val"}}}, "`source` differs"),
        ({"changes": {"source": {"augmentation": {"flip": False}}}}, "another source.augmentation than"),
        ({"changes": {"evaluation": {"flip": True}}}, "judged with flip: True, control with False"),
        ({"changes": {"stages": [{"name": "a"}, {"name": "b"}]}}, "12 steps after the start"),
        (
            {"changes": {"stages": [{"name": "a", "changes": {"source": {"split": "val"}}}]}},
            "arm other: `source` differs",
        ),
        (
            {"changes": {"model": {"head": "linear"}}},
            r"arm other: model = segshift_tiny does not fit .* \(\d+ parameters missing",
        ),
        ({"changes": {"classes": ["sky", "box"]}}, "arm other: `classes` differ from those of the model"),
        ({"changes": {"method": {"name": "cyclegan"}}}, "arm other: trains no segmenter"),
        ({"changes": {"evaluation": {"dataset": "camvd:x"}}}, "arm other: .*did you mean `camvid`"),
    ],
)
def test_arms_differ_in_nothing_but_the_method(
    tmp_path: Path, toy_source: Path, toy_target: Path, arm: dict[str, Any], message: str
) -> None:
    recipe = toy_recipe(toy_source, toy_target).model_dump(mode="json")
    data = {
        "name": "unfair",
        "recipe": recipe,
        "arms": {"control": {"label": "c"}, "other": {"label": "o", **arm}},
    }
    with pytest.raises(InputError, match=message):
        run_comparison(parse(Comparison, data, "unfair"), tmp_path, SILENT, resume=True)


@pytest.mark.parametrize("seeds", [[0, 0], []])
def test_seeds_are_distinct_and_there_is_one(toy_source: Path, seeds: list[int]) -> None:
    data = {"name": "c", "recipe": {}, "arms": {"control": {"label": "c"}}, "seeds": seeds}
    with pytest.raises(InputError, match="seeds"):
        parse(Comparison, data, "c")


def test_a_comparison_that_was_moved_is_not_run_again(
    tmp_path: Path, toy_source: Path, toy_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = toy_recipe(toy_source, toy_target, training={"steps": 1}).model_dump(mode="json")
    comparison = parse(Comparison, {"name": "c", "recipe": recipe, "arms": {"control": {"label": "c"}}}, "c")
    first = run_comparison(comparison, tmp_path / "here", SILENT, resume=True)
    (tmp_path / "here").rename(tmp_path / "there")

    def refuse(self: Trainer) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(Trainer, "run", refuse)
    again = run_comparison(comparison, tmp_path / "there", SILENT, resume=True)
    assert again.to_dict() == first.to_dict()


def test_what_is_wrong_with_several_arms_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    ran = pretend(monkeypatch, SCORES)
    arms = {
        "minent": {"changes": {"method": {"terms": [{"term": "minent", "weigth": 1}]}}},
        "adabn": {"changes": {"pseudo_labelled": {"dataset": "gone.yaml"}}},
    }
    made = comparison(toy_source, toy_target, arms=arms)
    with pytest.raises(InputError) as error:
        execute(made, tmp_path)
    for part in (
        "2 of 5 arms",
        "arm minent: method.terms.0: unknown key `weigth`",
        "arm adabn: ",
        "gone.yaml",
    ):
        assert part in str(error.value), error.value
    assert not ran


def test_presets_become_arms_above_the_oracle(tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    arms = {"control": {"label": "c"}, "strong": {"preset": "clan", "changes": {"model": {"classifiers": 1}}}}
    data = {
        "name": "two",
        "recipe": {},
        "arms": {**arms, "oracle": {"label": "o", "changes": {"oracle": True}}},
    }
    path.write_text(yaml.safe_dump(data))
    made = load_comparison(path, ["arms.clan.label=CLAN"], ["clan", "adabn", "adaptsegnet"])
    assert list(made.arms) == ["control", "strong", "clan", "adabn", "adaptsegnet", "oracle"]
    clan = made.arms["clan"]
    assert clan.label == "CLAN" and clan.after == "start"
    assert clan.changes["model"] == {"classifiers": 2} and set(clan.changes["optimizers"]) == {"adversary"}
    assert clan.changes["method"]["terms"][0]["term"] == "clan"
    # Data, steps and backbone are the comparison's.
    assert set(clan.changes) == {"method", "model", "optimizers"}
    assert made.arms["strong"].changes["model"] == {"classifiers": 1} and made.arms["strong"].label == "clan"
    assert (made.arms["adabn"].after, made.arms["adabn"].changes["training"]) == ("control", {"steps": 0})
    assert made.arms["adaptsegnet"].changes["model"] == {"auxiliary_head": True}


def test_all_arms_that_cannot_be_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump({"name": "two", "recipe": {}, "arms": {"control": {"label": "c"}}}))
    with pytest.raises(InputError) as refused:
        load_comparison(path, [], ["claan", "clan", "cbst"])
    message = str(refused.value)
    assert "2 of 4 arms" in message and "did you mean `clan`?" in message
    assert "arm cbst: preset cbst has stages" in message and "\n" not in message
