"""`segshift analyze`: every analysis on two small networks, without target labels, and bad requests."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import segshift as package
from segshift.analysis import class_center_distance
from segshift.analysis.features import feature_maps
from segshift.analysis.measure import known_items
from segshift.data.labels import class_set
from segshift.data.resolve import resolve
from segshift.models import Segmenter, SegmenterConfig
from segshift.report.analyze import ANALYSES
from tests.cli.conftest import Segshift
from tests.cli.reading import numbers

CHARTS = (
    "gains",
    "confusion_linear",
    "confusion_log",
    "class_centres_fada",
    "class_centres_clan",
    "retrieval",
)


@pytest.fixture(scope="module")
def models(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A reference, and a second network that answers otherwise."""
    segmenter = package.load(trained)
    for parameter in segmenter.backbone.parameters():
        parameter.data *= 0.9
    path = tmp_path_factory.mktemp("adapted") / "adapted" / "model.safetensors"
    segmenter.save(path)
    return trained, path


def test_all_analyses(
    segshift: Segshift, models: tuple[Path, Path], toy_source: Path, toy_target: Path, tmp_path: Path
) -> None:
    out = tmp_path / "analysis"
    outcome = segshift(
        "analyze", *models, "--source", f"{toy_source}:val", "--target", toy_target, "--unseen", toy_source,
        "--out", out, "--pictures", 2, "--points", 6, "--perplexity", 3, "--json",
    )  # fmt: skip
    document = outcome.json()
    assert {**json.loads((out / "analysis.json").read_text()), "folder": str(out)} == document
    assert list(document["analyses"]) == list(ANALYSES) and document["skipped"] == {}
    assert document["models"] == ["run", "adapted"] and document["reference"] == "run"
    assert document["source"]["images"] == document["target"]["images"] == 6
    named = {name for names in document["pictures"].values() for name in names}
    assert named == {path.name for path in out.iterdir()} - {"analysis.json"}
    assert {f"{chart}{suffix}" for chart in CHARTS for suffix in (".png", ".svg")} < named
    for name in named:
        if name.endswith(".png"):
            with Image.open(out / name) as picture:
                assert min(picture.size) > 150 and len(picture.convert("RGB").getcolors(1 << 24)) > 5

    analyses = document["analyses"]
    # The numbers are those of the commands and functions that give them one by one.
    score = segshift("evaluate", models[0], "--data", toy_target, "--json").json()
    assert analyses["gains"]["iou"]["run"]["miou"] == pytest.approx(score["miou"])
    gained = analyses["gains"]["gain"]["adapted"]
    iou = analyses["gains"]["iou"]
    assert gained["miou"] == pytest.approx(iou["adapted"]["miou"] - iou["run"]["miou"]) != 0
    assert np.array(analyses["confusion"]["run"]["pixels"]).sum() == 6 * (40 * 56 - 4)
    network = package.load(models[1])
    features, labels, domains = [], [], []
    for domain, data in enumerate((toy_source, toy_target)):
        items, _ = known_items(resolve(f"{data}:val"), network.classes)
        for look in feature_maps(network, items):
            features.append(look.features.reshape(len(look.features), -1).T)
            labels.append(look.labels.reshape(-1))
            domains.append(np.full(look.labels.size, domain))
    together = np.concatenate(features), np.concatenate(labels)
    fada = class_center_distance(*together, 3)
    np.testing.assert_allclose(
        list(analyses["centres"]["adapted"]["fada"]["classes"].values()), fada, rtol=1e-6
    )
    clan = class_center_distance(*together, 3, "clan", domains=np.concatenate(domains))
    np.testing.assert_allclose(
        list(analyses["centres"]["adapted"]["clan"]["classes"].values()), clan, rtol=1e-6
    )
    assert list(analyses["centres"]["run"]["clan"]["normalized"].values()) == pytest.approx([1, 1, 1])
    assert analyses["retrieval"]["run"]["pool"] == {"source": 3, "target": 3}
    assert list(analyses["embedding"]["run"]) == ["patch", "class", "image"]
    assert set(analyses["embedding"]["run"]["class"]["class"]) == {"sky", "ground", "box"}
    assert analyses["strips"]["images"] == ["000", "003"] == list(analyses["entropy"]["run"]["pictured"])
    unseen = segshift("evaluate", models[1], "--data", toy_source, "--json").json()
    assert analyses["unseen"]["iou"]["adapted"]["miou"] == pytest.approx(unseen["miou"])
    assert all(math.isfinite(x) for x in numbers({k: v for k, v in analyses.items() if k != "centres"}))


def test_one_model_and_a_target_without_labels(
    segshift: Segshift, trained: Path, toy_source: Path, toy_target: Path, tmp_path: Path
) -> None:
    out = tmp_path / "analysis"
    outcome = segshift(
        "analyze", trained, "--source", toy_source, "--target", f"{toy_target}:unlabelled", "--out", out,
        "--images", 4, "--pictures", 1, "--perplexity", 2,
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    document = json.loads((out / "analysis.json").read_text())
    assert set(document["skipped"]) == {"gains", "confusion", "unseen"}
    assert document["target"]["classes_from"] == "predictions"
    assert "own predictions" not in document["pictures"] and not (out / "class_centres_clan.png").exists()
    assert "left out: confusion: toy:unlabelled has no labels" in " ".join(outcome.err.split())
    assert "entropy" in outcome.out and "CCD" in outcome.out


def test_only_what_was_asked_for(
    segshift: Segshift, models: tuple[Path, Path], toy_source: Path, toy_target: Path, tmp_path: Path
) -> None:
    outcome = segshift(
        "analyze", *models, "--source", toy_source, "--target", toy_target, "--out", tmp_path / "a",
        "--only", "retrieval, gains", "--images", 3, "--size", "40x32", "--json",
    )  # fmt: skip
    document = outcome.json()
    assert list(document["analyses"]) == ["retrieval", "gains"] and document["skipped"] == {}
    files = {path.name for path in (tmp_path / "a").iterdir()}
    assert files == {"analysis.json", "gains.png", "gains.svg", "retrieval.png", "retrieval.svg"}


def test_a_model_that_saw_target_labels_is_called_so(
    segshift: Segshift, models: tuple[Path, Path], toy_source: Path, toy_target: Path, tmp_path: Path
) -> None:
    oracle = tmp_path / "oracle"
    oracle.mkdir()
    (oracle / "model.safetensors").write_bytes(models[1].read_bytes())
    (oracle / "results.json").write_text('{"uses_target_labels": true}')
    outcome = segshift(
        "analyze", models[0], oracle, "--source", toy_source, "--target", toy_target, "--out", tmp_path / "a",
        "--only", "retrieval", "--images", 3, "--size", "40x32", "--json",
    )  # fmt: skip
    used = outcome.json()["uses_target_labels"]
    assert list(used.values()) == [False, True] and list(used)[1].endswith("(uses target labels)")


def test_bad_input_is_one_line(
    segshift: Segshift, trained: Path, toy_source: Path, toy_target: Path, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.safetensors"
    Segmenter(SegmenterConfig(backbone="segshift_tiny", weights="none"), class_set(["sky"])).save(stranger)

    def refused(*arguments: object, source: object = toy_source, target: object = toy_target) -> str:
        out = tmp_path / "out"
        where = ("--source", source, "--target", target, "--out", out)
        refusal = segshift("analyze", *arguments, *where).refusal()
        assert not out.exists()
        return refusal

    assert "a checkpoint stands twice" in refused(trained, trained)
    assert "analyze models for the same classes together" in refused(trained, stranger)
    assert "did you mean `retrieval`?" in refused(trained, "--only", "retreival")
    assert "give two or more models" in refused(trained, "--only", "gains")
    assert "give one with --unseen" in refused(trained, "--only", "unseen")
    unlabelled = f"{toy_target}:unlabelled"
    assert "has no labels to compare with" in refused(trained, "--only", "confusion", target=unlabelled)
    assert "the source of an analysis needs them" in refused(trained, source=unlabelled)
    assert "--device warp" in refused(trained, "--device", "warp")
    assert "write it as WIDTHxHEIGHT" in refused(trained, "--size", "9")
    assert "no such file" in refused(tmp_path / "gone")
