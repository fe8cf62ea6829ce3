"""What a report measures, beside what other commands measure of the same networks."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import segshift
from segshift.data.resolve import resolve
from segshift.errors import InputError
from segshift.evaluation import compare_paired, evaluate, labelled_items
from segshift.report.analyze import analyze
from segshift.report.build import build_report
from segshift.report.content import Report
from segshift.report.drawings.analyses import Drawings
from segshift.report.evidence import ANALYSES, ReportSettings
from segshift.report.numbers import to_dict
from tests.conftest import write_toy_dataset
from tests.report.make import make_report
from tests.report.runs import train

SMALL = ReportSettings(images=4, pictures=2, points=6)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, toy_source: Path, toy_target: Path) -> dict[str, Path]:
    """A reference, and an arm with another method that is judged at several scales."""
    folder = tmp_path_factory.mktemp("runs")
    arm = {
        "method": {"terms": [{"term": "minent", "weight": 0.3}]},
        "evaluation": {"scales": [0.5, 1.0], "flip": True, "batch_size": 1},
    }
    return {
        "control": train(folder / "control", toy_source, toy_target),
        "arm": train(folder / "arm", toy_source, toy_target, **arm),
    }


@pytest.fixture(scope="module")
def report(runs: dict[str, Path]) -> Report:
    return build_report(runs, SMALL)


def stored(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return data


def test_scores_are_those_of_all_images_judged_as_each_run_was(
    report: Report, runs: dict[str, Path], toy_target: Path
) -> None:
    for run in report.runs:
        assert run.result is not None
        before = stored(runs[run.name])
        assert run.result.miou == pytest.approx(before["evaluation"]["miou"], abs=1e-12)
        assert run.result.confusion.tolist() == before["confusion"]
        assert run.notes == () and run.result.per_image is not None
        assert len(run.result.per_image.images) == 6
    control, arm = report.runs
    network = segshift.load(runs["arm"])
    plain = evaluate(network, labelled_items(resolve(f"{toy_target}:val"), network.classes))
    assert control.result is not None and arm.result is not None
    assert not np.array_equal(plain.confusion, arm.result.confusion), "scales and flip do matter here"
    assert control.gain is None and arm.gain is not None
    expected = compare_paired(control.result, arm.result)
    assert (arm.gain.difference, arm.gain.interval) == (expected.difference, expected.interval)
    assert arm.gain.difference == pytest.approx(arm.result.miou - control.result.miou) != 0
    assert control.unfair == ()
    assert arm.unfair == (
        "judged with scales: 0.5, 1.0, control with 1.0",
        "judged with flip: True, control with False",
    )


def test_the_analyses_are_those_of_analyze(
    report: Report, runs: dict[str, Path], toy_source: Path, toy_target: Path, tmp_path: Path
) -> None:
    models = {name: segshift.load(folder) for name, folder in runs.items()}
    settings = ReportSettings(images=4, pictures=2, points=6)
    splits = resolve(f"{toy_source}:train"), resolve(f"{toy_target}:val")
    found = analyze(models, *splits, tmp_path, settings)["analyses"]
    evidence = report.evidence
    assert evidence.skipped == {} and list(evidence.clan_distance) == ["arm"]
    for name in runs:
        centers, entropy = found["centres"][name], found["entropy"][name]
        assert evidence.fada_distance[name].tolist() == list(centers["fada"]["classes"].values())
        assert evidence.retrieval[name].to_dict() == found["retrieval"][name]
        assert evidence.entropy[name] == (entropy["source"], entropy["target"])
        for level, points in evidence.embedding[name].items():
            theirs = found["embedding"][name][level]
            np.testing.assert_allclose(points.places[:, 0], theirs["x"], atol=1e-4)
            assert list(points.images) == theirs["image"]
    clan = found["centres"]["arm"]["clan"]["normalized"]
    assert evidence.clan_distance["arm"].tolist() == list(clan.values())
    # What has the same name in both documents is the same.
    ours = to_dict(report)["analyses"]["centres"]["arm"]["clan"]
    assert ours == found["centres"]["arm"]["clan"] and len(ours) == 4
    assert [one.name for one in report.shown] == found["strips"]["images"] == ["000", "003"]
    for one in report.shown:
        assert list(one.predicted) == list(one.entropy) == ["control", "arm"] and one.label is not None
        mean = found["entropy"]["arm"]["pictured"][one.name]
        assert float(one.entropy["arm"].mean()) == pytest.approx(mean)
        np.testing.assert_array_equal(one.predicted["arm"], models["arm"].predict(one.image))


def test_every_point_names_its_image(report: Report) -> None:
    points = report.evidence.embedding["control"]["image"]
    names = ["000", "001", "003", "004"]  # four of six, spread evenly
    assert sorted(zip(points.domains.tolist(), points.images, strict=True)) == [
        (domain, name) for domain in (0, 1) for name in names
    ]
    assert set(report.evidence.embedding["arm"]["class"].images) == set(names)


def test_what_is_said_about_the_runs(report: Report, runs: dict[str, Path]) -> None:
    assert report.title == "toy → toy"
    assert report.source == "toy train (6 images, 4 of them in the analyses)"
    assert report.target == "toy val (6 images, 4 of them in the analyses)" and report.target_labelled
    control, arm = report.runs
    assert (control.method, arm.method) == ("source only", "align: minent")
    assert (arm.steps, arm.source_images_per_step, arm.uses_target_labels) == (15, 2, False)
    assert arm.selected == "last checkpoint" and arm.folder == str(runs["arm"])
    assert "term: minent" in arm.recipe and arm.environment["device"] and arm.provenance == {}
    assert {curve.group for curve in arm.curves} >= {"loss", "score", "learning_rate"}


def test_equal_calls_give_equal_documents(report: Report, runs: dict[str, Path]) -> None:
    again = build_report(runs, SMALL)
    assert to_dict(again) == to_dict(report)
    other = build_report(runs, replace(SMALL, seed=1))
    assert to_dict(other)["analyses"]["embedding"] != to_dict(report)["analyses"]["embedding"]
    numbers = to_dict(report)
    json.dumps(numbers, allow_nan=False)
    assert set(numbers["analyses"]) == set(ANALYSES)
    assert numbers["analyses"]["centres"]["arm"]["clan"]["normalized"].keys() == {"sky", "ground", "box"}


def test_one_run_alone(runs: dict[str, Path]) -> None:
    report = build_report({"arm": runs["arm"]}, replace(SMALL, without=("embedding",)), title="Alone")
    assert report.title == "Alone" and report.runs[0].gain is None and report.runs[0].result is not None
    assert set(report.evidence.skipped) == {"gains", "clan_distance", "embedding"}
    assert report.evidence.skipped["embedding"] == "left out with --without"
    assert report.evidence.embedding == {} and report.evidence.clan_distance == {}
    assert list(report.evidence.fada_distance) == ["arm"]


def test_without_target_labels_there_are_no_scores(runs: dict[str, Path], toy_target: Path) -> None:
    target = resolve(f"{toy_target}:unlabelled")
    report = build_report(runs, replace(SMALL, only=("centres", "strips")), target=target)
    assert not report.target_labelled and [run.result for run in report.runs] == [None, None]
    assert set(report.evidence.skipped) == {"gains", "confusion", "retrieval", "embedding", "entropy"}
    assert all(one.label is None and one.entropy == {} for one in report.shown)
    assert math.isfinite(report.evidence.fada_distance["arm"][0])
    assert to_dict(report)["runs"][1]["evaluation"] is None


def test_a_run_without_labels_anywhere_is_shown_on_what_it_adapted_to(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    folder = train(
        tmp_path / "run", toy_source, toy_target, target={"split": "unlabelled"}, evaluation={"split": None}
    )
    config = (folder / "config.yaml").read_text()
    # A target that has labels for training images only: they stay closed.
    hidden = write_toy_dataset(tmp_path / "hidden")
    hidden.write_text(hidden.read_text().replace("  val: {", "  other: {"))
    (folder / "config.yaml").write_text(
        config.replace(str(toy_target), str(hidden)).replace("unlabelled", "train")
    )
    results = stored(folder)
    (folder / "results.json").write_text(json.dumps({**results, "evaluated_on": None, "evaluation": None}))
    report = build_report({"run": folder}, replace(SMALL, only=("strips",)))
    assert report.target == "toy train (6 images, 4 of them in the analyses)" and not report.target_labelled
    assert report.source == "toy train (6 images)", "nothing looks at the source, so it is not searched for"


def test_scored_images_that_were_trained_on_are_said(runs: dict[str, Path], toy_source: Path) -> None:
    report = build_report(runs, replace(SMALL, only=("strips",)), target=resolve(f"{toy_source}:train"))
    clause = "trained on 6 of the 6 images that are scored, with labels"
    first, *others = report.runs
    assert clause in first.notes and all(clause in run.unfair for run in others)


def test_one_size_for_all(runs: dict[str, Path]) -> None:
    report = build_report(runs, replace(SMALL, input_size=(24, 16), only=("strips",)))
    for run in report.runs:
        assert run.result is not None and run.result.protocol is not None
        assert run.result.protocol["input_size"] == [24, 16]
        # Another protocol is no reason to suspect the data.
        assert run.notes == () and run.result.confusion.tolist() != stored(runs[run.name])["confusion"]


def test_data_that_have_changed_are_noticed(tmp_path: Path, toy_source: Path) -> None:
    target = write_toy_dataset(tmp_path / "target", seed=5)
    folder = train(tmp_path / "run", toy_source, target)
    for path in sorted((tmp_path / "target" / "labels" / "val").iterdir())[:3]:
        path.write_bytes((tmp_path / "target" / "labels" / "val" / "005.png").read_bytes())
    report = build_report({"run": folder}, replace(SMALL, only=("strips",)))
    (note,) = report.runs[0].notes
    before = stored(folder)["evaluation"]["miou"]
    assert note.startswith(f"its results.json has {100 * before:.4f} % mIoU") and "have changed" in note
    assert report.runs[0].result is not None and report.runs[0].result.miou != pytest.approx(before)


@pytest.mark.parametrize(("apart", "notes"), [(2e-5, 0), (5e-4, 1)])
def test_a_few_pixels_are_no_change_of_the_data(
    tmp_path: Path, runs: dict[str, Path], apart: float, notes: int
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(runs["control"], folder)
    results = stored(folder)
    results["evaluation"]["miou"] += apart
    (folder / "results.json").write_text(json.dumps(results))
    report = build_report({"run": folder}, replace(SMALL, only=("strips",)))
    assert len(report.runs[0].notes) == notes


def test_runs_that_cannot_be_compared_are_refused(
    tmp_path: Path, runs: dict[str, Path], toy_source: Path, toy_target: Path
) -> None:
    few = {"steps": 1}
    elsewhere = train(tmp_path / "elsewhere", toy_source, toy_source, training=few)
    both = {"control": runs["control"], "elsewhere": elsewhere}
    with pytest.raises(
        InputError, match=r"control was evaluated on toy:val \(6 images\), elsewhere on toy:val"
    ):
        build_report(both, SMALL)
    assert (
        build_report(both, replace(SMALL, only=("strips",)), target=resolve(f"{toy_target}:val")).runs[1].gain
    )
    fewer = train(tmp_path / "fewer", toy_source, toy_target, training=few, classes=["sky", "box"])
    with pytest.raises(InputError, match="control has the classes sky, ground, box, fewer has sky, box"):
        build_report({"control": runs["control"], "fewer": fewer}, SMALL)
    with pytest.raises(InputError, match="report: 58 runs; at most 57 can be told apart"):
        build_report({str(number): runs["control"] for number in range(58)}, SMALL)
    with pytest.raises(InputError, match="the source of a report needs them"):
        build_report(runs, SMALL, source=resolve(f"{toy_target}:unlabelled"))
    with pytest.raises(InputError, match=r"--without strip: .*did you mean `strips`"):
        ReportSettings(without=("strip",))


@pytest.mark.parametrize(("gone", "option"), [("source", "--source"), ("target", "--target")])
def test_data_that_are_gone_are_said_with_the_remedy(tmp_path: Path, gone: str, option: str) -> None:
    data = {name: write_toy_dataset(tmp_path / name, seed=7) for name in ("source", "target")}
    folder = train(tmp_path / "run", data["source"], data["target"], training={"steps": 1})
    data[gone].unlink()
    with pytest.raises(InputError, match=f"give {option}$"):
        build_report({"run": folder}, SMALL)
    entropy, kept = replace(SMALL, only=("entropy",)), resolve(f"{data[_other(gone)]}:val")
    if gone == "source":
        report = build_report({"run": folder}, entropy, source=kept)
    else:
        report = build_report({"run": folder}, entropy, target=kept)
    assert list(report.evidence.entropy) == ["run"]


def _other(domain: str) -> str:
    return {"source": "target", "target": "source"}[domain]


def test_every_analysis_has_a_drawing() -> None:
    drawings = Drawings(Path(), make_report(), ReportSettings())
    assert set(drawings.drawn_by()) == {*ANALYSES, "gains", "confusion"}
