"""Which checkpoint is kept: by label-free scores, over a stop, and never by target labels unasked."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from segshift.engine.comparison import Comparison, ComparisonResult, run_comparison
from segshift.engine.datasets import resolve_domains
from segshift.engine.fingerprint import is_current, recipe_fingerprint
from segshift.engine.recipe import Recipe
from segshift.engine.selection import Selection, source_validation_split
from segshift.engine.smoke import smoke_recipe
from segshift.errors import InputError, StoppedError
from segshift.label_free_scores import LARGEST_CLASS_SHARE, SCORES
from segshift.models.segmenter import Segmenter
from segshift.progress import SILENT
from tests.engine.recipes import toy_recipe
from tests.engine.runs import assert_same_bits, run, weights
from tests.engine.test_processes import GAME, PROGRAM, finish, train, write_recipe

SCRIPT = {2: 0.1, 4: 0.9, 6: 0.5}


def steps_of(segmenter: Segmenter) -> int:
    """How many batches its batch norms have seen, which is its steps."""
    return max(int(v) for k, v in segmenter.state_dict().items() if k.endswith("num_batches_tracked"))


@pytest.fixture
def scripted() -> Iterator[None]:
    """Scores that are a function of the step: the second of three evaluations is the best."""

    def score(segmenter: Segmenter, *_: Any, **__: Any) -> dict[str, float]:
        return {"snd": SCRIPT[steps_of(segmenter)], LARGEST_CLASS_SHARE: 0.5}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segshift.engine.selection.score_unlabelled", score)
        yield


def selecting(source: Path, target: Path | None, select: str, **training: Any) -> Recipe:
    own_val = {"dataset": str(source), "split": "val"}
    return toy_recipe(
        source, target, training={"evaluate_every": 2, "select": select, **training}, evaluation=own_val
    )


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def results(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "results.json").read_text())
    del data["seconds_of_last_session"]
    return data


def test_the_best_of_all_evaluations_becomes_the_model_also_over_stops(
    tmp_path: Path,
    toy_source: Path,
    toy_target: Path,
    stop_after: Any,
    scripted: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = selecting(toy_source, toy_target, "snd")
    outcome = run(recipe, tmp_path / "straight")
    assert outcome["selected"] == "best by snd at step 4 (label-free)"
    assert outcome["selection"] == {"score": "snd", "step": 4, "value": 0.9, "uses_target_labels": False}
    assert outcome["uses_target_labels"] is False
    evaluations = {r["step"]: r for r in records(tmp_path / "straight") if "evaluation" in r}
    assert [r["unsupervised"]["snd"] for r in evaluations.values()] == list(SCRIPT.values())
    # results.json is about the model that is kept, not about the last one.
    assert outcome["evaluation"]["miou"] == evaluations[4]["evaluation"]["miou"]
    assert steps_of(Segmenter.load(tmp_path / "straight")) == 4
    assert [p.name for p in (tmp_path / "straight" / "best").iterdir()] == ["step_00000004.safetensors"]
    judged = recipe.model_copy(update={"evaluation": recipe.evaluation.model_copy(update={"flip": True})})
    anew = run(judged, tmp_path / "straight")
    assert anew["selection"] == outcome["selection"] and anew["evaluation"] != outcome["evaluation"]
    assert steps_of(Segmenter.load(tmp_path / "straight")) == 4
    run(recipe, tmp_path / "straight")
    plain = recipe.model_copy(update={"training": recipe.training.model_copy(update={"select": "last"})})
    run(plain, tmp_path / "last")
    last = torch.load(tmp_path / "last" / "checkpoints" / "step_00000006.pt", weights_only=True)
    same = torch.load(tmp_path / "straight" / "checkpoints" / "step_00000006.pt", weights_only=True)
    assert_same_bits(last["method"], same["method"])  # selecting does not change what is trained

    # Stopped in the step after the best evaluation; checkpoints are rarer than evaluations.
    rare = selecting(toy_source, toy_target, "snd", checkpoint_every=100)
    stop_after(4)
    with pytest.raises(StoppedError):
        run(rare, tmp_path / "resumed")
    # As if killed before the checkpoint of the stop: the best model has one of its own.
    monkeypatch.undo()
    (tmp_path / "resumed" / "checkpoints" / "step_00000005.pt").unlink()
    assert (tmp_path / "resumed" / "checkpoints" / "step_00000004.pt").is_file()
    run(rare, tmp_path / "resumed", resume=True)
    assert_same_bits(weights(tmp_path / "straight"), weights(tmp_path / "resumed"))
    assert results(tmp_path / "straight") == results(tmp_path / "resumed")
    assert records(tmp_path / "straight") == records(tmp_path / "resumed")


@pytest.fixture
def stopped(
    tmp_path: Path,
    toy_source: Path,
    toy_target: Path,
    stop_after: Any,
    scripted: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Recipe:
    """Of a run in `tmp_path` that a signal has ended in step 4."""
    recipe = selecting(toy_source, toy_target, "snd")
    stop_after(4)
    with pytest.raises(StoppedError):
        run(recipe, tmp_path)
    monkeypatch.undo()
    return recipe


def test_a_kill_between_the_checkpoint_and_its_line_is_caught_up(tmp_path: Path, stopped: Recipe) -> None:
    (tmp_path / "checkpoints" / "step_00000005.pt").unlink()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    kept = [line for line in lines if "unsupervised" not in line or json.loads(line)["step"] < 4]
    (tmp_path / "metrics.jsonl").write_text("\n".join(kept) + "\n")
    (tmp_path / "best" / "step_00000002.safetensors").write_bytes(b"not yet removed")
    assert run(stopped, tmp_path, resume=True)["selection"]["step"] == 4
    assert steps_of(Segmenter.load(tmp_path)) == 4
    assert len(list((tmp_path / "best").iterdir())) == 1


def test_a_resumed_run_without_its_best_model_says_so_at_once(tmp_path: Path, stopped: Recipe) -> None:
    (tmp_path / "best" / "step_00000004.safetensors").unlink()
    with pytest.raises(InputError, match="the model that snd selects is gone"):
        run(stopped, tmp_path, resume=True)


def test_real_scores_need_no_target_label(
    tmp_path: Path, toy_source: Path, toy_target: Path, opened_labels: list[Path]
) -> None:
    run(selecting(toy_source, toy_target, "information_maximization", steps=4), tmp_path)
    assert opened_labels and not [path for path in opened_labels if toy_target.parent in path.parents]
    scored = [r["unsupervised"] for r in records(tmp_path) if "unsupervised" in r]
    assert len(scored) == 2 and all(set(s) == {*SCORES, LARGEST_CLASS_SHARE} for s in scored)
    best = max(scored, key=lambda s: s["information_maximization"])
    assert results(tmp_path)["selection"]["value"] == best["information_maximization"]


def test_the_oracles_choice_is_marked_everywhere(tmp_path: Path, toy_source: Path, toy_target: Path) -> None:
    made = toy_recipe(toy_source, toy_target, training={"steps": 2}, evaluation={"input_size": [40, 32]})
    chosen = {"training": {"evaluate_every": 1, "select": "target_miou", "oracle_selection": True}}
    free = {"training": {"evaluate_every": 1, "select": "bnm"}}
    data = {
        "name": "c",
        "recipe": made.model_dump(mode="json"),
        "arms": {
            "control": {"label": "plain"},
            "chosen": {"label": "chosen", "changes": chosen},
            "free": {"label": "free", "changes": free},
        },
    }
    found: ComparisonResult = run_comparison(Comparison.model_validate(data), tmp_path, SILENT, resume=True)
    rows = {row.name: row for row in found.rows}
    assert [rows[name].uses_target_labels for name in ("control", "chosen", "free")] == [False, True, False]
    assert [rows[name].selection for name in ("control", "chosen", "free")] == [None, "target_miou", "bnm"]
    outcome = results(tmp_path / "seed_0" / "chosen")
    assert outcome["uses_target_labels"] and "(uses target labels)" in outcome["selected"]
    mious = [r["evaluation"]["miou"] for r in records(tmp_path / "seed_0" / "chosen") if "evaluation" in r]
    assert outcome["evaluation"]["miou"] == max(mious) and len(mious) == 2
    data["arms"]["control"]["changes"] = chosen  # type: ignore[index]
    with pytest.raises(InputError, match="control: it must not use target labels"):
        run_comparison(Comparison.model_validate(data), tmp_path, SILENT, resume=True)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"select": "target_miou", "evaluate_every": 1}, "goes with oracle_selection: true"),
        ({"select": "snd", "evaluate_every": 1, "oracle_selection": True}, "that with nothing else"),
        ({"select": "snd"}, "set training.evaluate_every"),
        ({"select": "entropi", "evaluate_every": 1}, "did you mean `entropy`"),
    ],
)
def test_selections_that_cannot_be_meant(toy_source: Path, training: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        toy_recipe(toy_source, None, training=training)


def test_selections_that_the_data_cannot_give(tmp_path: Path, toy_source: Path, toy_target: Path) -> None:
    def refusal(recipe: Recipe) -> str:
        with pytest.raises(InputError) as refused:
            Selection(recipe, resolve_domains(recipe), tmp_path)
        return str(refused.value)

    assert "needs target images" in refusal(selecting(toy_source, None, "snd"))
    same = toy_recipe(toy_source, toy_source, training={"evaluate_every": 1, "select": "source_validation"})
    assert "needs labelled source images" in refusal(same)
    with pytest.raises(InputError, match=r"needs evaluation\.unsupervised_images above 0"):
        toy_recipe(
            toy_source,
            toy_target,
            training={"evaluate_every": 1, "select": "snd"},
            evaluation={"unsupervised_images": 0},
        )


def test_source_validation_images_are_never_trained_on(toy_source: Path, toy_target: Path) -> None:
    def found(target: Path | None = toy_target, **changes: Any) -> list[str] | None:
        recipe = toy_recipe(toy_source, target, **changes)
        split = source_validation_split(recipe, resolve_domains(recipe))
        return (
            None
            if split is None
            else [str(one.image.relative_to(toy_source.parent)) for one in split.samples]
        )

    val = [f"images/val/{k:03d}.png" for k in range(6)]
    held_out = [f"images/train/{k:03d}.png" for k in range(4, 6)]
    subset = {"dataset": str(toy_source), "subset": {"first": 4}}
    assert found() == val
    # The target's images may lie in the same data set's val, so only what is surely source is taken.
    assert found(toy_source) is None
    assert found(toy_source, source=subset) == held_out
    assert found(source=subset, evaluation={"source_validation": f"{toy_source}:train"}) == held_out
    assert found(oracle=True) is None
    with pytest.raises(InputError, match="not trained on"):
        found(evaluation={"source_validation": f"{toy_source}:train"})
    with pytest.raises(InputError, match="holds images of the target"):
        found(evaluation={"source_validation": f"{toy_target}:train"})


def test_what_is_scored_does_not_change_what_is_trained(toy_source: Path, toy_target: Path) -> None:
    plain = toy_recipe(toy_source, toy_target)
    more = toy_recipe(
        toy_source, toy_target, training={"evaluate_every": 2}, evaluation={"unsupervised_images": 5}
    )
    assert recipe_fingerprint(plain) == recipe_fingerprint(more)
    # A run that finished before these keys existed is still finished.
    written = plain.evaluation.model_dump(mode="json", exclude={"unsupervised_images", "source_validation"})
    assert is_current({"evaluation_settings": written}, more)
    chosen = {
        recipe_fingerprint(selecting(toy_source, toy_target, score)) for score in ("snd", "bnm", "last")
    }
    assert len(chosen) == 3
    assert smoke_recipe(selecting(toy_source, toy_target, "snd")).training.select == "last"


def test_without_evaluations_nothing_is_scored(tmp_path: Path, toy_source: Path, toy_target: Path) -> None:
    run(toy_recipe(toy_source, toy_target, training={"steps": 1}), tmp_path / "none")
    assert not any("unsupervised" in record for record in records(tmp_path / "none"))
    assert results(tmp_path / "none")["selected"] == "last checkpoint"
    assert not (tmp_path / "none" / "best").exists()


def test_a_target_without_labels_is_scored_all_the_same(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    recipe = toy_recipe(
        toy_source,
        Path(f"{toy_target}:unlabelled"),
        training={"steps": 2, "evaluate_every": 1, "select": "bnm"},
    )
    recipe = recipe.model_copy(update={"evaluation": recipe.evaluation.model_copy(update={"split": None})})
    run(recipe, tmp_path)
    scored = [record for record in records(tmp_path) if "unsupervised" in record]
    assert [record["step"] for record in scored] == [1, 2]
    chosen = results(tmp_path)["selection"]["step"]
    kept = load_file(tmp_path / "best" / f"step_{chosen:08d}.safetensors")
    assert_same_bits(kept, weights(tmp_path))


@pytest.mark.process
def test_two_processes_agree_on_the_choice(tmp_path: Path, toy_source: Path, toy_target: Path) -> None:
    training = {"steps": 3, "evaluate_every": 1, "checkpoint_every": 100, "select": "bnm"}
    recipe = write_recipe(tmp_path / "recipe.yaml", toy_source, toy_target, **{**GAME, "training": training})
    script = tmp_path / "segshift_main.py"
    script.write_text(PROGRAM)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    finish(train(recipe, tmp_path / "two", *launcher, str(script)))
    chosen = results(tmp_path / "two")["selection"]["step"]
    scored = {r["step"]: r["unsupervised"]["bnm"] for r in records(tmp_path / "two") if "unsupervised" in r}
    assert list(scored) == [1, 2, 3] and scored[chosen] == max(scored.values())
    kept = load_file(tmp_path / "two" / "best" / f"step_{chosen:08d}.safetensors")
    assert_same_bits(kept, weights(tmp_path / "two"))
