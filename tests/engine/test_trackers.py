"""What experiment trackers are told equals metrics.jsonl, also of a run in several sessions."""

import importlib
import signal
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from segshift.config import parse
from segshift.engine import trackers
from segshift.engine.fingerprint import recipe_fingerprint
from segshift.engine.health import read_records
from segshift.engine.plan import make_plan
from segshift.engine.recipe import Recipe
from segshift.engine.run import run_recipe
from segshift.engine.trackers import hyper_parameters, points
from segshift.errors import InputError, StoppedError
from segshift.progress import Progress
from tests.engine.recipes import ADVERSARIAL, toy_recipe
from tests.engine.runs import run, stop_during

Curves = dict[str, list[tuple[int, float]]]


def tracked(source: Path, target: Path, *names: str, **training: Any) -> Recipe:
    return toy_recipe(
        source,
        target,
        trackers=list(names),
        method=ADVERSARIAL,
        evaluation={"input_size": [40, 32]},
        training={"evaluate_every": 2, "evaluate_start": True, **training},
    )


def logged(folder: Path) -> Curves:
    """The curves that metrics.jsonl holds."""
    curves: Curves = {}
    for record in read_records(folder / "metrics.jsonl"):
        for name, value in points(record).items():
            curves.setdefault(name, []).append((record["step"], value))
    assert {"losses/segmenter/supervised", "lr/segmenter", "evaluation/miou"} < curves.keys()
    return curves


def stop_after_three(recipe: Recipe, folder: Path) -> None:
    """Stop after the third step, and lose its checkpoint as in a crash: a resumed run writes it again."""
    with pytest.MonkeyPatch.context() as patch:
        stop_during(patch, 2, signal.SIGINT)
        with pytest.raises(StoppedError):
            run(recipe, folder)
    (folder / "checkpoints" / "step_00000003.pt").unlink()


class Listener(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def tensorboard_curves(folder: Path) -> Curves:
    accumulators = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    events = accumulators.EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]
    }


def assert_same_curves(found: Curves, wanted: Curves) -> None:
    assert found.keys() == wanted.keys()
    for name, curve in wanted.items():
        assert [step for step, _ in found[name]] == [step for step, _ in curve], name
        # TensorBoard keeps float32.
        assert [value for _, value in found[name]] == pytest.approx([value for _, value in curve], rel=1e-6)


def test_event_files_equal_metrics_jsonl_after_a_crash(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    recipe = tracked(toy_source, toy_target, "tensorboard")
    stop_after_three(recipe, tmp_path)
    events = tmp_path / "trackers" / "tensorboard"
    assert max(step for step, _ in tensorboard_curves(events)["losses/segmenter/supervised"]) == 3
    run(recipe, tmp_path, resume=True)
    assert_same_curves(tensorboard_curves(events), logged(tmp_path))
    # The hyper-parameters are told once, not per session.
    assert len(list(events.glob("*/hparams.yml"))) == 1
    assert "training.steps: 6" in next(events.glob("*/hparams.yml")).read_text()


def test_a_tracker_that_comes_later_gets_what_was_logged_before(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    stop_after_three(tracked(toy_source, toy_target), tmp_path)
    assert not (tmp_path / "trackers").exists()
    run(tracked(toy_source, toy_target, "tensorboard"), tmp_path, resume=True)
    assert_same_curves(tensorboard_curves(tmp_path / "trackers" / "tensorboard"), logged(tmp_path))


@pytest.fixture(scope="module")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database, which takes seconds to make; the tests share it."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'store.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        yield uri


@pytest.mark.slow
def test_mlflow_goes_on_in_the_same_run(
    mlflow_store: str,
    tmp_path: Path,
    toy_source: Path,
    toy_target: Path,
) -> None:
    client = importlib.import_module("mlflow").MlflowClient(mlflow_store)
    recipe = tracked(toy_source, toy_target, "mlflow")
    stop_after_three(recipe, tmp_path)
    experiment = client.get_experiment_by_name("segshift").experiment_id
    (stopped,) = client.search_runs([experiment])
    assert (stopped.info.status, stopped.info.run_name) == ("KILLED", "toy")
    run(recipe, tmp_path, resume=True)
    (ended,) = client.search_runs([experiment])
    assert (ended.info.run_id, ended.info.status) == (stopped.info.run_id, "FINISHED")
    told = ended.data.params
    assert told["training.steps"] == "6" and told["method.terms.0.term"] == "advent"
    curves = {
        name: [(point.step, point.value) for point in client.get_metric_history(ended.info.run_id, name)]
        for name in ended.data.metrics
    }
    assert_same_curves(curves, logged(tmp_path))


class FakeWandb(ModuleType):
    """wandb's own process is not needed to see what it is told."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.__spec__ = ModuleSpec("wandb", None)
        self.inits: list[dict[str, Any]] = []
        self.exits: list[int] = []
        self.curves: Curves = {}
        self.settings: dict[str, Any] = {}
        self.config = SimpleNamespace(update=lambda values, allow_val_change: self.settings.update(values))

    def init(self, **options: Any) -> Any:
        self.inits.append(options)
        return SimpleNamespace(log=self.log, finish=lambda exit_code: self.exits.append(exit_code))

    def log(self, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self.curves.setdefault(name, []).append((step, value))


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    accelerates = importlib.import_module("accelerate.tracking")
    known = [*accelerates.get_available_trackers(), accelerates.LoggerType.WANDB]
    monkeypatch.setattr(accelerates, "_available_trackers", known)
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


def test_wandb_goes_on_in_the_same_run(
    wandb: FakeWandb, tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    recipe = tracked(toy_source, toy_target, "wandb")
    stop_after_three(recipe, tmp_path)
    run(recipe, tmp_path, resume=True)
    first, second = wandb.inits
    assert first["id"] == second["id"] and second["resume"] == "allow" and "resume" not in first
    assert (first["project"], first["name"]) == ("segshift", "toy")
    assert wandb.exits == [1, 0]
    assert wandb.settings["training.batch_size"] == 2
    assert_same_curves(wandb.curves, logged(tmp_path))


def test_a_tracker_that_fails_costs_one_line(
    wandb: FakeWandb, tmp_path: Path, toy_source: Path, toy_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(values: dict[str, float], step: int) -> None:
        if step == 3:
            raise OSError("the server\nis gone")
        FakeWandb.log(wandb, values, step)

    monkeypatch.setattr(wandb, "log", fail)
    heard = Listener()
    recipe = tracked(toy_source, toy_target, "wandb", "tensorboard")
    run_recipe(recipe, tmp_path, heard)
    assert [line for line in heard.lines if "tracker" in line] == [
        "toy  tracker wandb failed (the server); the run goes on without it, metrics.jsonl has all"
    ]
    assert max(step for step, _ in wandb.curves["losses/segmenter/supervised"]) == 2
    assert_same_curves(tensorboard_curves(tmp_path / "trackers" / "tensorboard"), logged(tmp_path))


def test_a_tracker_that_does_not_start_costs_one_line(
    wandb: FakeWandb, tmp_path: Path, toy_source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**options: Any) -> Any:
        raise RuntimeError("no API key; run wandb login")

    monkeypatch.setattr(wandb, "init", refuse)
    heard = Listener()
    run_recipe(toy_recipe(toy_source, None, trackers=["wandb"]), tmp_path, heard)
    assert sum("no API key" in line for line in heard.lines) == 1
    assert (tmp_path / "results.json").is_file()


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_missing_package_is_refused_before_anything_runs(
    name: str, tmp_path: Path, toy_source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=f"package {name} is not installed; run `pip install {name}`"):
        run(toy_recipe(toy_source, None, trackers=[name]), tmp_path / "run")
    assert list((tmp_path / "run").glob("*")) == []
    stages = [{"name": "one", "changes": {"trackers": [name]}}]
    with pytest.raises(InputError, match="stage one: trackers"):
        make_plan(toy_recipe(toy_source, None, stages=stages))


def test_trackers_do_not_change_whose_run_it_is(toy_source: Path) -> None:
    with_trackers = toy_recipe(toy_source, None, trackers=["mlflow"])
    assert recipe_fingerprint(with_trackers) == recipe_fingerprint(toy_recipe(toy_source, None))


@pytest.mark.parametrize("names", [["tensorbord"], ["mlflow", "mlflow"]])
def test_unknown_and_repeated_trackers_are_refused(names: list[str]) -> None:
    with pytest.raises(InputError, match="trackers"):
        parse(Recipe, {"name": "x", "trackers": names}, "x.yaml")


def test_every_setting_is_one_flat_value(toy_source: Path, toy_target: Path) -> None:
    settings = hyper_parameters(tracked(toy_source, toy_target))
    assert settings["method.terms.0.weight"] == 0.01
    assert settings["source.augmentation.crop"] == "[40, 32]"
    assert settings["training.evaluate_start"] is True
    assert "init_from" not in settings
    assert all(isinstance(value, str | int | float | bool) for value in settings.values())


def test_names_hold_nothing_that_mlflow_refuses() -> None:
    line = {"step": 1, "evaluation": {"miou": 0.5, "iou": {"car+van": 0.25, "bus": None}}, "losses": None}
    assert points(line) == {"evaluation/miou": 0.5, "evaluation/iou/car_van": 0.25}


def test_the_working_folder_does_not_matter_when_mlflow_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an address MLflow's store lies in the working folder, which may be another one now."""
    uri = f"sqlite:///{tmp_path / 'first' / 'mlflow.db'}"
    asked: list[str] = []
    fake = SimpleNamespace(get_tracking_uri=lambda: "sqlite:///mlflow.db", set_tracking_uri=asked.append)
    monkeypatch.setitem(sys.modules, "mlflow", fake)  # type: ignore[arg-type]
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "first" / "trackers").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "first")
    folder = trackers.RunFolder(tmp_path / "first")
    running = SimpleNamespace(tracker=SimpleNamespace(info=SimpleNamespace(run_id="abc")))
    trackers.MLflow(folder, "run", 0).started(running)
    monkeypatch.chdir(tmp_path)
    again = trackers.MLflow(folder, "run", 4)
    assert again.continues and again.options == {"run_id": "abc"} and asked == [uri]
