"""The loop: resume, stop, sickness, logs, and the rules about target data."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from segshift.data.images import read_image
from segshift.engine.recipe import Recipe
from segshift.engine.run import run_recipe
from segshift.engine.trainer import Trainer
from segshift.errors import InputError, NonFiniteLossError, StoppedError
from segshift.methods.align import Align
from tests.engine.recipes import ADVERSARIAL, EVERY_TERM, MEAN_TEACHER, toy_recipe

QUIET = Console(quiet=True)


def run(recipe: Recipe, folder: Path, resume: bool = False) -> dict[str, Any]:
    return dict(run_recipe(recipe, folder, QUIET, resume))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def assert_same_bits(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def checkpoint_bits(folder: Path) -> dict[str, torch.Tensor]:
    newest = max((folder / "checkpoints").glob("step_*.pt"))
    state: dict[str, torch.Tensor] = torch.load(newest, weights_only=True)["method"]
    return state


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Arrange a signal to this process during a given step."""

    def arrange(step: int, number: int = signal.SIGINT) -> None:
        original = Align.step

        def interrupted(self: Align, batch: Any) -> Any:
            if batch.step == step:
                os.kill(os.getpid(), number)
            yield from original(self, batch)

        monkeypatch.setattr(Align, "step", interrupted)

    yield arrange
    monkeypatch.undo()


@pytest.mark.parametrize("method", [ADVERSARIAL, MEAN_TEACHER, EVERY_TERM], ids=["advent", "teacher", "all"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_equals_a_straight_one_bit_for_bit(
    tmp_path: Path,
    toy_source: Path,
    toy_target: Path,
    stop_after: Any,
    monkeypatch: pytest.MonkeyPatch,
    method: dict[str, Any],
    workers: int,
) -> None:
    settings = {
        "method": method,
        "model": {"auxiliary_head": True},
        "evaluation": {"input_size": [40, 32]},
        # The stop comes after a step that is due for evaluation: the resumed run has to catch up.
        "training": {"workers": workers, "steps": 5, "evaluate_every": 3},
    }
    recipe = toy_recipe(toy_source, toy_target, **settings)
    run(recipe, tmp_path / "straight")
    stop_after(2)
    with pytest.raises(StoppedError) as stopped:
        run(recipe, tmp_path / "resumed")
    assert stopped.value.step == 3
    monkeypatch.undo()
    run(recipe, tmp_path / "resumed", resume=True)
    assert_same_bits(weights(tmp_path / "straight"), weights(tmp_path / "resumed"))
    assert_same_bits(checkpoint_bits(tmp_path / "straight"), checkpoint_bits(tmp_path / "resumed"))
    straight, resumed = ((tmp_path / name / "metrics.jsonl").read_text() for name in ("straight", "resumed"))
    assert straight == resumed


def test_loader_workers_do_not_change_the_result(tmp_path: Path, toy_source: Path, toy_target: Path) -> None:
    for workers in (0, 1, 3):
        recipe = toy_recipe(
            toy_source, toy_target, method=MEAN_TEACHER, training={"workers": workers, "steps": 3}
        )
        run(recipe, tmp_path / str(workers))
    assert_same_bits(weights(tmp_path / "0"), weights(tmp_path / "1"))
    assert_same_bits(weights(tmp_path / "0"), weights(tmp_path / "3"))


def test_sigterm_saves_and_says_how_to_go_on(tmp_path: Path, toy_source: Path, stop_after: Any) -> None:
    stop_after(1, signal.SIGTERM)
    with pytest.raises(StoppedError) as stopped:
        run(toy_recipe(toy_source, None), tmp_path / "run")
    assert stopped.value.signal_number == signal.SIGTERM
    assert (tmp_path / "run" / "checkpoints" / "step_00000002.pt").is_file()
    assert not (tmp_path / "run" / "results.json").exists()


def test_source_only_never_opens_a_target_image(
    tmp_path: Path, toy_source: Path, toy_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []

    def spy(path: Path) -> Any:
        seen.append(Path(path))
        return read_image(path)

    monkeypatch.setattr("segshift.data.dataset.read_image", spy)
    trainer_recipe = toy_recipe(
        toy_source, toy_target, evaluation={"dataset": str(toy_source), "split": "val"}
    )
    run(trainer_recipe, tmp_path / "run")
    assert seen and not [path for path in seen if toy_target.parent in path.parents]


def test_training_never_opens_a_target_label(
    tmp_path: Path, toy_source: Path, toy_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segshift.data.decoder import LabelDecoder

    seen: list[Path] = []
    original = LabelDecoder.read

    def spy(self: LabelDecoder, path: Path) -> Any:
        seen.append(Path(path))
        return original(self, path)

    monkeypatch.setattr(LabelDecoder, "read", spy)
    recipe = toy_recipe(
        toy_source, toy_target, method=MEAN_TEACHER, evaluation={"dataset": str(toy_source), "split": "val"}
    )
    run(recipe, tmp_path / "run")
    assert seen and not [path for path in seen if toy_target.parent in path.parents]


def test_source_only_without_target_and_with_it_are_the_same(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    run(toy_recipe(toy_source, toy_target, training={"steps": 3}), tmp_path / "with")
    run(toy_recipe(toy_source, None, training={"steps": 3}), tmp_path / "without")
    assert_same_bits(weights(tmp_path / "with"), weights(tmp_path / "without"))


def test_adabn_in_training_moves_statistics_and_nothing_else(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    adabn = {"name": "align", "terms": [{"term": "adabn"}]}
    run(toy_recipe(toy_source, toy_target, training={"steps": 3}), tmp_path / "plain")
    run(toy_recipe(toy_source, toy_target, method=adabn, training={"steps": 3}), tmp_path / "adabn")
    plain, adapted = weights(tmp_path / "plain"), weights(tmp_path / "adabn")
    differing = {name for name in plain if not torch.equal(plain[name], adapted[name])}
    assert differing
    assert all("running_" in name or "num_batches" in name for name in differing)


def test_adabn_without_training_takes_the_targets_statistics(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    run(toy_recipe(toy_source, toy_target), tmp_path / "start")
    recipe = toy_recipe(
        toy_source,
        toy_target,
        init_from=str(tmp_path / "start"),
        method={"name": "adabn", "batch_size": 2},
        training={"steps": 0},
    )
    run(recipe, tmp_path / "adabn")
    before, after = weights(tmp_path / "start"), weights(tmp_path / "adabn")
    for name in before:
        assert torch.equal(before[name], after[name]) != ("running_" in name or "num_batches" in name), name


def test_a_sick_loss_stops_with_everything_named_and_the_last_good_checkpoint(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    recipe = toy_recipe(
        toy_source,
        toy_target,
        method=ADVERSARIAL,
        optimizers={"segmenter": {"lr": 1e30}, "adversary": {"lr": 1e30}},
    )
    with pytest.raises(NonFiniteLossError, match=r"step \d+ in the update of .*= (nan|inf|-inf)") as sick:
        run(recipe, tmp_path / "run")
    states = [torch.load(path, weights_only=True) for path in (tmp_path / "run" / "checkpoints").glob("*.pt")]
    assert states and max(state["step"] for state in states) <= sick.value.step
    record = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert record["error"] == str(sick.value)


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
    from segshift.engine.presets import load_recipe

    recipe = toy_recipe(toy_source, toy_target, method=MEAN_TEACHER, training={"steps": 2})
    run(recipe, tmp_path / "first")
    again = load_recipe(tmp_path / "first" / "config.yaml")
    assert again == recipe
    run(again, tmp_path / "second")
    assert_same_bits(weights(tmp_path / "first"), weights(tmp_path / "second"))


def test_training_learns(tmp_path: Path, toy_source: Path, toy_target: Path) -> None:
    recipe = toy_recipe(
        toy_source, toy_target, training={"steps": 40}, optimizers={"segmenter": {"lr": 0.05}}
    )
    assert run(recipe, tmp_path / "run")["evaluation"]["miou"] > 0.5


def test_the_oracle_trains_on_target_labels_and_says_so(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    results = run(toy_recipe(toy_source, toy_target, oracle=True), tmp_path / "run")
    assert results["uses_target_labels"] is True
    assert results["source"] == results["target"] == "toy train (6 images)"
    other = toy_recipe(toy_target, toy_target, source={"dataset": str(toy_target)})
    run(other, tmp_path / "supervised")
    assert_same_bits(weights(tmp_path / "run"), weights(tmp_path / "supervised"))


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


def test_a_damaged_checkpoint_is_named(tmp_path: Path, toy_source: Path, stop_after: Any) -> None:
    stop_after(1)
    with pytest.raises(StoppedError):
        run(toy_recipe(toy_source, None), tmp_path / "run")
    newest = max((tmp_path / "run" / "checkpoints").glob("step_*.pt"))
    newest.write_bytes(newest.read_bytes()[:100])
    with pytest.raises(InputError, match=r"step_0*2\.pt: cannot be read"):
        run(toy_recipe(toy_source, None), tmp_path / "run", resume=True)


def test_a_target_without_any_labels_trains_and_resumes_from_its_saved_config(
    tmp_path: Path, toy_source: Path, toy_target: Path, stop_after: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segshift.engine.presets import load_recipe

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


@pytest.mark.parametrize("method", [ADVERSARIAL, MEAN_TEACHER], ids=["advent", "teacher"])
def test_bf16_autocast_trains_close_to_fp32_and_not_equal(
    tmp_path: Path, toy_source: Path, toy_target: Path, method: dict[str, Any]
) -> None:
    losses = {}
    for precision in ("fp32", "bf16"):
        recipe = toy_recipe(
            toy_source, toy_target, method=method, training={"precision": precision, "steps": 2}
        )
        run(recipe, tmp_path / precision)
        first = json.loads((tmp_path / precision / "metrics.jsonl").read_text().splitlines()[0])
        losses[precision] = first["losses"]
    assert losses["fp32"] != losses["bf16"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.05, abs=1e-3)
    assert all(tensor.dtype != torch.bfloat16 for tensor in weights(tmp_path / "bf16").values())


def test_micro_batches_give_the_run_of_the_whole_batch(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    # Random crops hold different numbers of ignored pixels; whole images hold equal ones.
    common = {
        "method": ADVERSARIAL,
        "model": {"batch_norm": "frozen"},
        "source": {"dataset": str(toy_source), "augmentation": {"crop": None, "scale": None}},
        "target": {"dataset": str(toy_target), "augmentation": {"crop": None, "scale": None}},
    }
    for parts in (1, 2):
        changes = {**common, "training": {"steps": 2, "batch_size": 4, "micro_batches": parts}}
        run(toy_recipe(toy_source, toy_target, **changes), tmp_path / str(parts))
    whole, split = weights(tmp_path / "1"), weights(tmp_path / "2")
    for name in whole:
        torch.testing.assert_close(whole[name], split[name], rtol=1e-3, atol=1e-6)
