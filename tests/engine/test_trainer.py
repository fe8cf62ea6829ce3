"""The loop: resume, stop, sickness, logs, and the rules about target data."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segshift.engine.health import read_records, replay
from segshift.errors import InputError, NonFiniteError, NonFiniteLossError, StoppedError
from tests.conftest import write_toy_dataset
from tests.engine.recipes import ADVERSARIAL, EVERY_TERM, MEAN_TEACHER, toy_recipe
from tests.engine.runs import assert_same_bits, run, weights


def checkpoint_bits(folder: Path) -> dict[str, torch.Tensor]:
    newest = max((folder / "checkpoints").glob("step_*.pt"))
    state: dict[str, torch.Tensor] = torch.load(newest, weights_only=True)["method"]
    return state


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
    tmp_path: Path,
    toy_source: Path,
    toy_target: Path,
    opened_images: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Nor does measuring what the run will cost.
    monkeypatch.setattr("segshift.engine.trainer.WORTH_MEASURING", 1)
    trainer_recipe = toy_recipe(
        toy_source, toy_target, evaluation={"dataset": str(toy_source), "split": "val"}
    )
    run(trainer_recipe, tmp_path / "run")
    assert opened_images and not [path for path in opened_images if toy_target.parent in path.parents]


def test_training_never_opens_a_target_label(
    tmp_path: Path, toy_source: Path, toy_target: Path, opened_labels: list[Path]
) -> None:
    recipe = toy_recipe(
        toy_source, toy_target, method=MEAN_TEACHER, evaluation={"dataset": str(toy_source), "split": "val"}
    )
    run(recipe, tmp_path / "run")
    assert opened_labels and not [path for path in opened_labels if toy_target.parent in path.parents]


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


@pytest.mark.parametrize(
    ("sick", "steps"),
    [
        ({"lr": 1e30, "weight_decay": 1e30}, 1),
        ({"lr": 1e30, "weight_decay": 1e30}, 6),
        ({"lr": 1e38}, 6),
        ({"kind": "adam", "lr": 3e38}, 1),
    ],
)
def test_weights_that_are_no_numbers_are_never_saved(
    tmp_path: Path, toy_source: Path, sick: dict[str, Any], steps: int
) -> None:
    recipe = toy_recipe(toy_source, None, training={"steps": steps})
    settings = recipe.optimizers["segmenter"].model_copy(update={**sick, "lr_multipliers": {}})
    recipe = recipe.model_copy(update={"optimizers": {"segmenter": settings}})
    with pytest.raises(NonFiniteError) as stopped:
        run(recipe, tmp_path / "run")
    assert isinstance(stopped.value, NonFiniteLossError) or "segmenter" in str(stopped.value)
    assert not (tmp_path / "run" / "results.json").exists()
    for path in (tmp_path / "run" / "checkpoints").glob("step_*.pt"):
        state = torch.load(path, weights_only=True)["method"]
        assert all(value.isfinite().all() for value in state.values()), path
    record = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert record["error"] == str(stopped.value)


def write_labels(folder: Path, values: list[int]) -> Path:
    """A data set whose label maps are stripes of these values."""
    path = write_toy_dataset(folder)
    for file in (folder / "labels").rglob("*.png"):
        label = np.resize(np.array(values, np.uint8), (32, 1))
        Image.fromarray(np.broadcast_to(label, (32, 48)).copy()).save(file)
    return path


def test_a_source_without_labels_is_an_error_before_the_first_step(tmp_path: Path) -> None:
    source = write_labels(tmp_path / "source", [255])
    with pytest.raises(InputError, match=r"not one pixel of its label maps has a class.*`labels`"):
        run(toy_recipe(source, None), tmp_path / "run")


def test_labels_in_the_last_of_many_maps_count(tmp_path: Path) -> None:
    """Of 40 maps 16 are looked at; what is labelled is in one of the others."""
    source = write_labels(tmp_path / "source", [255])
    files = sorted((tmp_path / "source" / "labels" / "train").glob("*.png"))
    names = [path.stem for path in files]
    for k in range(40):
        shutil.copy(files[0], tmp_path / "source" / "labels" / "train" / f"more_{k:02}.png")
        image = next((tmp_path / "source" / "images" / "train").glob(f"{names[0]}.*"))
        shutil.copy(image, image.with_name(f"more_{k:02}{image.suffix}"))
    label = np.zeros((32, 48), np.uint8)
    Image.fromarray(label).save(tmp_path / "source" / "labels" / "train" / "more_38.png")
    run(toy_recipe(source, None, training={"steps": 1}), tmp_path / "run")


def test_a_source_of_one_class_is_said_and_found_again_by_health(tmp_path: Path) -> None:
    # Masks of 0 and 255 read as train ids: one class, and everything else ignored.
    source = write_labels(tmp_path / "source", [0, 255])
    run(toy_recipe(source, None, training={"steps": 1}), tmp_path / "run")
    advice = replay(read_records(tmp_path / "run" / "metrics.jsonl"))
    assert [one.symptom for _, one in advice] == ["labels"]
    assert advice[0][1].seen.startswith(
        "50.0% of the pixels of 6 source label maps have a class, and ground, box"
    )


def test_a_crop_too_small_for_batch_norm_is_one_line(tmp_path: Path, toy_source: Path) -> None:
    tiny = {"augmentation": {"crop": [8, 8], "scale": None}}
    recipe = toy_recipe(toy_source, None, source=tiny, training={"batch_size": 1})
    with pytest.raises(InputError, match=r"one value per channel.*augmentation\.crop.*batch_norm: frozen"):
        run(recipe, tmp_path / "run")


@pytest.mark.parametrize(
    "damage", [b"\xff\xfe{\n", b"[1]\n", b'{"step": 1, "losses": 3}\n', b"{}\n", b"\x00\n"]
)
def test_a_damaged_log_is_one_line_on_resume(
    tmp_path: Path, toy_source: Path, stop_after: Any, monkeypatch: pytest.MonkeyPatch, damage: bytes
) -> None:
    stop_after(1)
    with pytest.raises(StoppedError):
        run(toy_recipe(toy_source, None), tmp_path / "run")
    monkeypatch.undo()
    log = tmp_path / "run" / "metrics.jsonl"
    log.write_bytes(damage + log.read_bytes())
    with pytest.raises(InputError, match=r"metrics\.jsonl, line 1: .*take .* out to go on"):
        run(toy_recipe(toy_source, None), tmp_path / "run", resume=True)


def test_training_learns(tmp_path: Path, toy_source: Path, toy_target: Path) -> None:
    recipe = toy_recipe(
        toy_source, toy_target, training={"steps": 40}, optimizers={"segmenter": {"lr": 0.05}}
    )
    assert run(recipe, tmp_path / "run")["evaluation"]["miou"] > 0.5


def test_a_run_goes_on_from_the_older_checkpoint_where_the_newest_is_damaged(
    tmp_path: Path, toy_source: Path, stop_after: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(toy_recipe(toy_source, None), tmp_path / "straight")
    stop_after(3)
    with pytest.raises(StoppedError):
        run(toy_recipe(toy_source, None), tmp_path / "run")
    newest = max((tmp_path / "run" / "checkpoints").glob("step_*.pt"))
    newest.write_bytes(newest.read_bytes()[:100])
    monkeypatch.undo()
    run(toy_recipe(toy_source, None), tmp_path / "run", resume=True)
    assert_same_bits(weights(tmp_path / "straight"), weights(tmp_path / "run"))
    assert (tmp_path / "run" / "checkpoints" / "step_00000004.pt.damaged").is_file()


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
