"""`segshift evaluate`: rows, ensembles, pairs, predictions and formats."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import segshift as package
from segshift.folders import captions
from segshift.models import Segmenter
from tests.cli.conftest import Segshift


@pytest.fixture(scope="module")
def other(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second network for the same classes, which sees images at another size."""
    segmenter = package.load(trained)
    for parameter in segmenter.head.parameters():
        parameter.data *= 0.5
    segmenter.config = segmenter.config.model_copy(update={"input_size": (56, 40)})
    path = tmp_path_factory.mktemp("other") / "other" / "model.safetensors"
    segmenter.save(path)
    return path


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network for other classes."""
    from segshift.data.labels import class_set
    from segshift.models import SegmenterConfig

    config = SegmenterConfig(backbone="segshift_tiny", weights="none")
    path = tmp_path_factory.mktemp("stranger") / "model.safetensors"
    Segmenter(config, class_set(["sky", "ground"])).save(path)
    return path


def test_equal_classes_in_another_order_share_a_table(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path
) -> None:
    from segshift.data.labels import class_set

    segmenter = package.load(trained)
    segmenter.classes = class_set(["box", "sky", "ground"])
    segmenter.save(tmp_path / "model.safetensors")
    alone = segshift("evaluate", tmp_path, "--data", toy_target, "--json").json()
    assert list(alone["iou"]) == ["box", "sky", "ground"]
    assert segshift("predict", tmp_path, toy_target, "--out", tmp_path / "p").status == 0
    outcome = segshift(
        "evaluate", trained, tmp_path, "--predictions", tmp_path / "p", "--data", toy_target, "--json"
    )
    for row in outcome.json()["results"][1:]:
        assert list(row["iou"]) == ["sky", "ground", "box"]
        assert row["iou"] == pytest.approx(alone["iou"], abs=1e-6)
    assert segshift("evaluate", trained, tmp_path, "--data", toy_target, "--paired").status == 0


def test_other_classes_are_refused_before_anything_is_evaluated(
    segshift: Segshift, trained: Path, stranger: Path, toy_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("evaluated")

    monkeypatch.setattr("segshift.evaluation.evaluate", never)
    refusal = segshift("evaluate", trained, stranger, "--data", toy_target).refusal()
    assert "those of run are sky, ground, box, those of" in refusal and "--classes" in refusal


def test_several_checkpoints_have_a_row_each(
    segshift: Segshift, trained: Path, other: Path, toy_target: Path
) -> None:
    both = segshift("evaluate", trained, other, "--data", toy_target, "--json").json()
    singles = [segshift("evaluate", one, "--data", toy_target, "--json").json() for one in (trained, other)]
    assert both["images"] == 6 and len(both["results"]) == 2
    for entry, single in zip(both["results"], singles, strict=True):
        assert {key: single[key] for key in entry} == entry
    assert singles[0]["iou"] != singles[1]["iou"]
    assert [entry["protocol"]["input_size"] for entry in both["results"]] == [[40, 32], [56, 40]]
    text = segshift("evaluate", trained, other, "--data", toy_target).out
    assert "run" in text and "other" in text and f"{100 * singles[1]['miou']:.1f}" in text
    assert "…" not in text


def test_an_ensemble_is_one_row(segshift: Segshift, trained: Path, other: Path, toy_target: Path) -> None:
    data = segshift("evaluate", trained, other, "--data", toy_target, "--ensemble", "--json").json()
    assert data["ensemble"] == [str(trained), str(other)] and "results" not in data
    assert data["protocol"]["networks"] == 2
    assert data["protocol"]["input_size"] == [[40, 32], [56, 40]]
    from segshift.data.dataset import SegmentationDataset
    from segshift.data.resolve import resolve
    from segshift.evaluation import evaluate

    networks = [package.load(trained), package.load(other)]
    dataset = SegmentationDataset(resolve(f"{toy_target}:val"), networks[0].classes)
    assert data["miou"] == pytest.approx(evaluate(networks, dataset).miou, abs=1e-6)


def test_rows_say_that_target_labels_were_used(
    segshift: Segshift, trained: Path, other: Path, toy_target: Path, tmp_path: Path
) -> None:
    oracle = tmp_path / "oracle"
    shutil.copytree(trained, oracle)
    results = json.loads((trained / "results.json").read_text())
    (oracle / "results.json").write_text(json.dumps({**results, "uses_target_labels": True}))
    arguments = ("evaluate", oracle, trained, other, "--data", toy_target)
    for form in ("table", "md", "csv", "latex"):
        text = " ".join(segshift(*arguments, "--format", form).out.split())
        assert "oracle (uses target labels)" in text and "run (uses" not in text
    rows = segshift(*arguments, "--json").json()["results"]
    assert [row["uses_target_labels"] for row in rows] == [True, False, None]


def test_two_models_compared(segshift: Segshift, trained: Path, other: Path, toy_target: Path) -> None:
    arguments = ("evaluate", trained, other, "--data", toy_target, "--paired")
    data = segshift(*arguments, "--json").json()
    difference = data["results"][1]["miou"] - data["results"][0]["miou"]
    low, high = data["paired"]["interval"]
    assert data["paired"]["difference"] == pytest.approx(difference)
    assert low <= difference <= high and data["paired"]["images"] == 6
    text = " ".join(segshift(*arguments).out.split())
    assert "95 % interval" in text and "fewer than 30 images" in text
    assert "other has the higher mIoU in" in text


def test_predictions_of_the_own_network_score_as_it_does(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path
) -> None:
    images = toy_target.parent / "images" / "val"
    assert segshift("predict", trained, images, "--out", tmp_path / "out").status == 0
    direct = segshift("evaluate", trained, "--data", toy_target, "--json").json()
    by_files = segshift("evaluate", "--predictions", tmp_path / "out", "--data", toy_target, "--json").json()
    assert by_files["predictions"] == str(tmp_path / "out")
    assert by_files["iou"] == pytest.approx(direct["iou"], abs=1e-3)
    paired = segshift(
        "evaluate", trained, "--predictions", tmp_path / "out", "--data", toy_target, "--paired", "--json"
    ).json()
    assert paired["paired"]["interval"] == pytest.approx([0, 0], abs=1e-3)
    outcome = segshift("evaluate", "--predictions", tmp_path / "out", "--data", toy_target)
    assert "read as train_ids" in outcome.err and "prediction files, ids: train_ids" in outcome.out


def test_the_result_file_holds_everything(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path
) -> None:
    arguments = ("evaluate", trained, "--data", toy_target, "--classes", "sky,box", "--boundary", "--flip")
    outcome = segshift(*arguments, "--out", tmp_path / "result.json")
    assert outcome.status == 0 and f"written to {tmp_path}/result.json" in outcome.err
    data = json.loads((tmp_path / "result.json").read_text())
    printed = segshift(*arguments, "--json").json()
    assert {key: data[key] for key in printed} == printed
    assert list(data["iou"]) == list(data["boundary_iou"]) == ["sky", "box"]
    assert data["protocol"]["scored_classes"] == ["sky", "box"] and data["protocol"]["flip"] is True
    (details,) = data["details"].values()
    assert np.array(details["confusion"]).shape == (3, 3) and len(details["image_mious"]) == 6
    assert "boundary IoU" in outcome.out and "mean over 2 of 3 classes" in outcome.out
    assert "ground" not in outcome.out


def test_windows_with_a_stride(segshift: Segshift, trained: Path, toy_target: Path) -> None:
    arguments = ("evaluate", trained, "--data", toy_target, "--window", "24x24", "--json")
    dense = segshift(*arguments, "--stride", "8x8").json()
    assert dense["protocol"]["stride"] == [8, 8] and dense["protocol"]["mode"] == "sliding"
    assert segshift(*arguments).json()["protocol"]["stride"] == [16, 16]


def test_tables_for_papers_stand_alone_on_stdout(
    segshift: Segshift, trained: Path, other: Path, toy_target: Path
) -> None:
    arguments = ("evaluate", trained, other, "--data", toy_target)
    entries = segshift(*arguments, "--format", "json").json()["results"]
    rows = list(csv.reader(io.StringIO(segshift(*arguments, "--format", "csv").out)))
    assert rows[0][:5] == ["model", "sky", "ground", "box", "mIoU"]
    for row, entry in zip(rows[1:], entries, strict=True):
        assert [float(cell) for cell in row[1:4]] == list(entry["iou"].values())
    markdown = segshift(*arguments, "--format", "md")
    assert all(line.startswith("|") for line in markdown.out.splitlines())
    assert "network sees" in markdown.err
    latex = segshift(*arguments, "--format", "latex").out
    assert latex.splitlines()[-1] == r"\end{tabular}" and latex.count(r"\\") == 3


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("--data DATA", "nothing to evaluate; give a run folder, or --predictions"),
        ("RUN RUN --data DATA", "stands twice"),
        ("RUN --data DATA --ensemble", "--ensemble averages two or more checkpoints"),
        ("RUN --data DATA --paired", "--paired compares two results, here are 1"),
        ("RUN OTHER --data DATA --ensemble --paired", "here are 1"),
        ("RUN STRANGER --data DATA --ensemble", "the first has sky, ground, box, number 2 has sky, ground"),
        ("RUN STRANGER --data DATA", "over the same classes"),
        ("RUN --data DATA --classes sky,tree", "the evaluated classes are sky, ground, box, without tree"),
        ("RUN --data DATA --stride 8x8", "--stride is the step of a sliding window; give --window"),
        ("RUN --data DATA --window 16x16 --stride 8", "--stride 8: write it as WIDTHxHEIGHT"),
        (
            "RUN --data DATA --window 16x16 --stride 20x8",
            "(20, 8): must be at most the window, 16x16",
        ),
        ("RUN --data DATA --device warp", "--device warp: "),
        ("RUN --data DATA --out TMP/result.txt", "name the file something.json"),
        ("RUN --data DATA --prediction-ids train_ids", "--prediction-ids says how to read --predictions"),
        ("--predictions TMP/gone --data DATA", "gone: no such folder"),
        ("--predictions TMP --data DATA", "holds no PNG"),
        ("--predictions PART --data DATA", "5 of 6 images have no prediction"),
        ("--predictions SMALL --data DATA", "the prediction is 9 x 9 pixels, its label"),
        ("--predictions SMALL --data DATA --flip", "--flip is about applying a network"),
        ("--predictions SMALL --data DATA --size 9x9", "--size is about applying a network"),
        ("--predictions SMALL --data DATA:unlabelled", "has no labels to evaluate against"),
    ],
)
def test_one_line_for_bad_requests(
    segshift: Segshift,
    trained: Path,
    other: Path,
    stranger: Path,
    toy_target: Path,
    tmp_path: Path,
    command: str,
    message: str,
) -> None:
    for folder, count in (("part", 1), ("small", 6)):
        (tmp_path / "pngs" / folder).mkdir(parents=True)
        for index in range(count):
            Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "pngs" / folder / f"{index:03d}.png")
    (tmp_path / "empty").mkdir()
    places = {
        "RUN": trained,
        "OTHER": other,
        "STRANGER": stranger,
        "DATA": toy_target,
        "TMP": tmp_path / "empty",
        "PART": tmp_path / "pngs" / "part",
        "SMALL": tmp_path / "pngs" / "small",
    }
    words = []
    for word in command.split():
        for place, path in places.items():
            if word == place or word.startswith((f"{place}/", f"{place}:")):
                word = str(path) + word[len(place) :]
        words.append(word)
    refusal = segshift("evaluate", *words).refusal()
    assert message in refusal, refusal


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["runs/a", "runs/b/model.safetensors"], ["a", "b"]),
        (["x/gta5/run", "x/synthia/run"], ["gta5/run", "synthia/run"]),
        (["run/model.safetensors", "run"], ["run/model.safetensors", "run"]),
        (["model.safetensors"], ["model.safetensors"]),
    ],
)
def test_captions_are_short_and_different(paths: list[str], expected: list[str]) -> None:
    assert captions([Path(path) for path in paths]) == expected
