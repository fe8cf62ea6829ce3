"""RUN@STEP in every command that takes a model, center distances over training, and t-SNE of some classes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import segshift as package
from segshift.analysis import class_center_distance
from segshift.analysis.features import feature_maps
from segshift.analysis.measure import known_items
from segshift.data.resolve import resolve
from tests.cli.conftest import Segshift

STEPS = (0, 15)


def commands(model: str, target: Path, out: Path) -> dict[str, tuple[object, ...]]:
    """Each with a model of the run of 15 steps."""
    images = target.parent / "images" / "val"
    domains = ("--source", target, "--target", target)
    return {
        "evaluate": ("evaluate", model, "--data", target),
        "predict": ("predict", model, images, "--out", out / "predict"),
        "analyze": ("analyze", model, *domains, "--only", "centres", "--out", out / "analyze"),
        "pseudo-label": ("data", "pseudo-label", model, "--data", target, "--out", out / "labels"),
        "train": (
            "train", "source_only", "--set", f"init_from={model}", "--set", "training.steps=0", "--set",
            "model={backbone: segshift_tiny, weights: none}", "--set", "source.augmentation.resize=[56,40]",
            "--set", "target.augmentation.resize=[56,40]", "--source", target, "--target", target,
            "--out", out / "run",
        ),
    }  # fmt: skip


@pytest.mark.parametrize("command", ["evaluate", "predict", "analyze", "pseudo-label", "train"])
def test_every_command_takes_the_network_of_a_step(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path, command: str
) -> None:
    outcome = segshift(*commands(f"{trained}@0", toy_target, tmp_path)[command], "--json")
    assert outcome.status == 0, outcome.err
    refused = segshift(*commands(f"{trained}@7", toy_target, tmp_path / "7")[command]).refusal()
    assert "@7: the run kept its networks of the steps 0, 15; training.keep_checkpoints: all" in refused


def test_a_report_on_steps_of_a_run_in_progress(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path
) -> None:
    """Its rows are scored anew; steps and curves are those until then."""
    shutil.copytree(trained, tmp_path / "going")
    for name in ("results.json", "model.safetensors"):
        (tmp_path / "going" / name).unlink()
    steps = [f"{tmp_path / 'going'}@{step}" for step in STEPS]
    options = ("--target", toy_target, "--only", "strips", "--out", tmp_path / "report.html")
    found = segshift("report", *steps, *options, "--json").json()
    assert [run["selected"] for run in found["runs"]] == ["step 0", "step 15"]
    scores = [segshift("evaluate", step, "--data", toy_target, "--json").json()["miou"] for step in steps]
    assert [run["miou"] for run in found["runs"]] == pytest.approx(scores)
    refused = segshift("report", f"{tmp_path / 'going'}@7", *options).refusal()
    assert "the run kept its networks of the steps 0, 15" in refused


def test_the_networks_of_two_steps_are_two_models(
    segshift: Segshift, trained: Path, toy_target: Path
) -> None:
    models = segshift("evaluate", f"{trained}@0", f"{trained}@15", trained, "--data", toy_target, "--json")
    first, last, final = (one["miou"] for one in models.json()["results"])
    assert first < last == final


def test_center_distances_over_training(
    segshift: Segshift, trained: Path, toy_source: Path, toy_target: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    document = segshift(
        "analyze", "centers", trained, "--over-training", "--source", f"{toy_source}:val", "--target",
        toy_target, "--classes", "sky,box", "--out", out, "--json",
    ).json()  # fmt: skip
    found = document["analyses"]["centers_over_training"]["run"]
    assert found["steps"] == list(STEPS) and found["clan"]["normalized_by"] == "step 0"
    apart, scattered = [], []
    for step in STEPS:
        network = package.load(f"{trained}@{step}")
        features, labels, domains = [], [], []
        for domain, data in enumerate((toy_source, toy_target)):
            for look in feature_maps(network, known_items(resolve(f"{data}:val"), network.classes)[0]):
                features.append(look.features.reshape(len(look.features), -1).T)
                labels.append(look.labels.reshape(-1))
                domains.append(np.full(look.labels.size, domain))
        points = np.concatenate(features), np.concatenate(labels)
        apart.append(class_center_distance(*points, 3, "clan", domains=np.concatenate(domains)))
        scattered.append(class_center_distance(*points, 3))
    expected = np.array([one / apart[0] for one in apart])
    np.testing.assert_allclose(np.array(list(found["clan"]["classes"].values())).T, expected, rtol=1e-5)
    np.testing.assert_allclose(np.array(list(found["fada"]["classes"].values())).T, scattered, rtol=1e-5)
    assert list(found["clan"]["classes"]) == ["sky", "ground", "box"]
    np.testing.assert_allclose(found["clan"]["mean"], expected[:, [0, 2]].mean(axis=1), rtol=1e-5)
    assert found["clan"]["mean"][0] == 1 and document["mean_over"] == ["sky", "box"]
    names = {f"class_centers_over_training{suffix}" for suffix in (".png", ".svg")}
    assert {path.name for path in out.iterdir()} == {*names, "analysis.json"}
    assert json.loads((out / "analysis.json").read_text())["analyses"]["centers_over_training"]


def test_what_over_training_needs(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path
) -> None:
    both = ("--source", toy_target, "--target", toy_target, "--out", tmp_path / "out")
    (tmp_path / "bare").mkdir()
    shutil.copy(trained / "model.safetensors", tmp_path / "bare")
    for arguments, message in {
        (
            tmp_path / "bare",
            "--over-training",
        ): "none are kept; train with training.keep_checkpoints: all",
        ("embedding", trained, "--over-training"): "makes center distances alone",
        ("centers", trained, "--over-training", "--classes", "boxx"): "did you mean `box`",
        ("embedding", trained, "--classes", "sky,car"): "--classes car: the networks have no such class",
    }.items():
        assert message in segshift("analyze", *arguments, *both).refusal()


def test_the_points_of_some_classes(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path
) -> None:
    found = segshift(
        "analyze", "embedding", trained, "--classes", "sky,box", "--source", toy_target, "--target",
        toy_target, "--out", tmp_path, "--perplexity", 3, "--json",
    ).json()["analyses"]["embedding"]["run"]  # fmt: skip
    assert {name for level in found.values() for name in level["class"]} == {"sky", "box"}
    assert "image" not in found


def test_the_untrained_network_of_a_preset(
    segshift: Segshift, toy_source: Path, toy_target: Path, tmp_path: Path
) -> None:
    tiny = ("--set", "model={backbone: segshift_tiny, weights: none}", "--set", "training.threads=1")
    data = ("--source", toy_source, "--target", toy_target, "--out", tmp_path / "run")
    run = segshift("train", "local_alignment", "--set", "training.steps=0", *tiny, *data, "--json").json()
    assert run["steps"] == 0 and (tmp_path / "run" / "model.safetensors").is_file()
    refused = segshift("train", "adabn", *tiny, *data).refusal()
    assert "trains nothing" in refused and "--set training.steps=0" in refused
