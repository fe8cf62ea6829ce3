"""Sweeps: the grid, the folders, what runs and what does not run again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from segshift.cli.sweep import markdown
from segshift.engine import sweep
from segshift.engine.health import read_records
from segshift.engine.sweep import folder_name, parse_grid, run_sweep
from segshift.errors import InputError, NonFiniteLossError
from segshift.progress import SILENT
from segshift.report.drawings.lines import draw_sweep
from tests.engine.recipes import ADVERSARIAL, toy_recipe


def test_values_are_those_of_a_yaml_list() -> None:
    grid = parse_grid(["a.b=1,2.5,0.001", "c=x,true,null", "d=[1,2],[3]", 'e="p,q"', "f={g: 1}"])
    assert grid == {
        "a.b": [1, 2.5, 0.001],
        "c": ["x", True, None],
        "d": [[1, 2], [3]],
        "e": ["p,q"],
        "f": [{"g": 1}],
    }


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["a"], "write it as key.subkey=value,value"),
        (["=1"], "write it as key.subkey=value,value"),
        (["a="], "holds no value"),
        (["a=[1"], "are not YAML values"),
        (["a=1,1"], "a value stands twice"),
        (["a=1", "a=2"], "a stands twice"),
        (["seed=1,2"], "use --seeds"),
    ],
)
def test_bad_grids_are_said(assignments: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_grid(assignments)


def test_a_folders_name_depends_on_its_values_alone() -> None:
    assert folder_name({"a.b": 0.001, "c": "x"}) == "a.b=0.001__c=x"
    strange = [folder_name({"a": value}) for value in ([1, 2], [1, 3], "x/y", "x_y", "x" * 300)]
    assert len(set(strange)) == 5 and all(len(name) < 120 and "/" not in name for name in strange)


@pytest.fixture
def recipe(toy_source: Path, toy_target: Path, tmp_path: Path) -> str:
    made = toy_recipe(toy_source, toy_target, training={"steps": 2, "checkpoint_every": 50})
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump(made.model_dump(mode="json")))
    return str(path)


def test_what_the_discriminators_lost(toy_source: Path, toy_target: Path, tmp_path: Path) -> None:
    made = toy_recipe(toy_source, toy_target, method=ADVERSARIAL, training={"steps": 12})
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(made.model_dump(mode="json")))
    grid = {"method.terms": [[], ADVERSARIAL["terms"]]}
    found = run_sweep(str(tmp_path / "toy.yaml"), grid, [0], tmp_path / "runs", SILENT)
    alone, playing = found.rows
    # The last line of twelve is their last tenth.
    losses = read_records(playing.folder / "seed_0" / "metrics.jsonl")[11]["losses"]
    assert alone.adversary_loss == {}
    assert playing.adversary_loss == {0: pytest.approx(losses["advent/source"] + losses["advent/target"])}
    assert list(found.adversary_lines()[""].values()) == [[], [playing.adversary_loss[0]]]
    heading, _, without, against = markdown(found).splitlines()
    assert heading.endswith("| discriminators' loss |") and without.endswith("| n/a |")
    assert against.endswith(f"| {playing.adversary_loss[0]:.3f} |")
    assert found.to_dict()["rows"][1]["adversary_loss"] == {"0": playing.adversary_loss[0]}
    draw_sweep(tmp_path / "curve", "terms", found.lines(), "of a test", found.adversary_lines())
    assert (tmp_path / "curve.svg").is_file()


def test_a_sweep_is_the_product_and_finished_runs_stay(recipe: str, tmp_path: Path) -> None:
    grid = {"training.steps": [1, 2], "optimizers.segmenter.lr": [0.01]}
    found = run_sweep(recipe, grid, [0, 1], tmp_path / "runs", SILENT)
    assert found.swept == ("training.steps",) and found.seeds == (0, 1)
    assert [dict(row.values) for row in found.rows] == [
        {"training.steps": steps, "optimizers.segmenter.lr": 0.01} for steps in (1, 2)
    ]
    for row in found.rows:
        for seed, score in row.miou.items():
            config = yaml.safe_load((row.folder / f"seed_{seed}" / "config.yaml").read_text())
            assert config["seed"] == seed and config["training"]["steps"] == row.values["training.steps"]
            assert score is not None and 0 <= score <= 1
    models = sorted((tmp_path / "runs").glob("*/seed_*/model.safetensors"))
    times = [path.stat().st_mtime_ns for path in models]
    more = run_sweep(recipe, {**grid, "training.steps": [1, 2, 3]}, [0, 1], tmp_path / "runs", SILENT)
    assert len(models) == 4 and [path.stat().st_mtime_ns for path in models] == times
    assert [dict(row.miou) for row in more.rows[:2]] == [dict(row.miou) for row in found.rows]
    assert len(sorted((tmp_path / "runs").glob("*/seed_*/model.safetensors"))) == 6
    assert more.best() in more.rows and more.best().mean == max(row.mean for row in more.rows)  # type: ignore[union-attr,type-var]


def test_all_combinations_are_read_before_the_images_of_any_are_looked_for(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked(*_: Any) -> None:
        raise AssertionError("looked for images")

    monkeypatch.setattr("segshift.engine.sweep.check_data", looked)
    with pytest.raises(InputError, match=r"2 of 3 combinations cannot run: .*'abc'.*; .* = -3"):
        run_sweep(recipe, {"optimizers.segmenter.lr": [0.1, "abc", -3]}, [0], tmp_path / "runs", SILENT)
    assert not (tmp_path / "runs").exists()


def test_label_free_scores_choose_a_row(recipe: str, tmp_path: Path) -> None:
    grid = {"training.steps": [1, 2], "training.evaluate_every": [1]}
    found = run_sweep(recipe, grid, [0, 1], tmp_path / "runs", SILENT)
    for row in found.rows:
        records = [read_records(row.folder / f"seed_{seed}" / "metrics.jsonl")[-1] for seed in (0, 1)]
        expected = [record["unsupervised"]["information_maximization"] for record in records]
        assert row.label_free_mean("information_maximization") == pytest.approx(sum(expected) / 2)
    means = [row.label_free_mean("information_maximization") or 0.0 for row in found.rows]
    assert found.best_without_labels() is found.rows[means.index(max(means))]
    heading, _, first, _ = markdown(found).splitlines()
    assert heading.endswith("| information\\_maximization |") and first.endswith(f"| {means[0]:.3f} |")
    assert set(found.to_dict()["rows"][0]["label_free"]) == {"0", "1"}
    bound = replace(found, rows=tuple(replace(row, uses_target_labels=True) for row in found.rows))
    assert bound.best_without_labels() is None


def test_rows_say_when_target_labels_were_used(recipe: str, tmp_path: Path) -> None:
    found = run_sweep(recipe, {"oracle": [False, True]}, [0], tmp_path / "runs", SILENT)
    assert [row.uses_target_labels for row in found.rows] == [False, True]
    assert [row["uses_target_labels"] for row in found.to_dict()["rows"]] == [False, True]
    assert [line.count("(uses target labels)") for line in markdown(found).splitlines()] == [0, 0, 0, 1]


def test_a_diverged_run_is_noted_and_the_others_go_on(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fake(recipe: Any, folder: Path, console: Any, resume: bool) -> dict[str, Any]:
        if recipe.training.steps == 2:
            raise NonFiniteLossError(1, ("segmenter",), {"loss": float("nan")})
        miou = recipe.training.steps / 10 + recipe.seed / 100
        return {"evaluation": {"miou": miou}, "evaluated_on": "toy:val", "uses_target_labels": False}

    monkeypatch.setattr(sweep, "run_recipe", fake)
    grid = {"training.steps": [1, 2], "training.batch_size": [2, 4], "name": ["x"]}
    found = run_sweep(recipe, grid, [0, 3], tmp_path, SILENT)
    assert [dict(row.miou) for row in found.rows] == [{0: 0.1, 3: 0.13}] * 2 + [{0: None, 3: None}] * 2
    assert found.rows[2].mean is None and found.best() is found.rows[0]
    assert found.lines() == {
        "training.batch_size = 2": {1: [0.1, 0.13], 2: []},
        "training.batch_size = 4": {1: [0.1, 0.13], 2: []},
    }
    document = found.to_dict()
    assert document["rows"][0]["miou_mean"] == pytest.approx(0.115)
    assert document["rows"][0]["miou_std"] == pytest.approx(0.0212, abs=1e-4)
    assert document["rows"][2]["miou_std"] is None


def test_nothing_runs_before_all_values_are_known_to_be_good(
    recipe: str, toy_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="no setting has several values"):
        run_sweep(recipe, {"training.steps": [1]}, [0], tmp_path, SILENT)
    with pytest.raises(InputError, match=r"training.steps.*= -1"):
        run_sweep(recipe, {"training.steps": [1, -1]}, [0], tmp_path / "runs", SILENT)
    assert not (tmp_path / "runs").exists()
    monkeypatch.setattr(sweep, "run_recipe", lambda *a, **k: {"evaluation": None, "evaluated_on": None})
    with pytest.raises(InputError, match="needs a labelled evaluation set"):
        run_sweep(recipe, {"training.steps": [1, 2]}, [0], tmp_path, SILENT)
