"""`segshift data pseudo-label`."""

import json
import shutil
from pathlib import Path

import pytest

from segshift.data.resolve import resolve
from segshift.models import model_file, segmenter
from tests.cli.conftest import Segshift


def test_it_writes_a_data_set_that_other_commands_take(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path
) -> None:
    out = tmp_path / "pseudo"
    command = ["data", "pseudo-label", trained, "--data", toy_target, "--out", out, "--portion", "0.5"]
    document = segshift(*command, "--check", "--json").json()
    assert document["dataset"] == str(out / "dataset.yaml") and document["images"] == 6
    assert 0.5 <= document["kept_share"] < 0.9
    assert document["check"]["uses_target_labels"] is True and 0.34 < document["check"]["accuracy"] <= 1
    report = segshift("data", "check", document["dataset"], "--json").json()
    assert report["errors"] == 0 and report["splits"][0]["pairs"] == 6
    again = segshift(*command)
    assert again.status == 0 and "finished before" in again.err
    assert "uses target labels" not in again.out and "ground" in again.out
    command[-3] = tmp_path / "plain"
    plain = segshift(*command, "--no-weigh", "--json").json()
    shares = [row["kept_share"] for row in plain["classes"].values() if row["predicted_pixels"]]
    assert shares and all(0.5 <= share < 0.55 for share in shares)
    command[-3] = out
    checked = segshift(*command, "--check")
    assert "uses target labels" in checked.out
    assert len(resolve(str(out / "dataset.yaml")).samples) == 6


def test_the_network_is_loaded_once_and_what_it_saw_is_told(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle = tmp_path / "oracle"
    shutil.copytree(trained, oracle)
    told = json.loads((trained / "results.json").read_text())
    (oracle / "results.json").write_text(json.dumps({**told, "uses_target_labels": True}))
    loaded: list[Path] = []

    def read(file: Path) -> object:
        loaded.append(file)
        return model_file.read_model(file)

    monkeypatch.setattr(segmenter, "read_model", read)
    for run, uses in ((trained, False), (oracle, True)):
        command = ["data", "pseudo-label", run, "--data", toy_target, "--out", tmp_path / f"of_{run.name}"]
        text = segshift(*command, "--check").out
        assert len(loaded) == 1 and ("made by a network that USES TARGET LABELS" in text) == uses
        assert segshift(*command, "--json").json()["uses_target_labels"] is uses
        loaded.clear()


def test_a_split_without_labels_is_labelled_but_not_checked(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path
) -> None:
    command = [
        "data",
        "pseudo-label",
        trained,
        "--data",
        f"{toy_target}:unlabelled",
        "--out",
        tmp_path / "out",
    ]
    assert "has no labels to compare with" in segshift(*command, "--check").refusal()
    assert not (tmp_path / "out").exists()
    assert (
        segshift(*command, "--rule", "none", "--scales", "0.8,1", "--flip", "--json").json()["kept_share"]
        == 1
    )


def test_labels_of_other_classes_are_refused_before_the_work(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    text = toy_target.read_text().replace("root: .", f"root: {toy_target.parent}")
    other.write_text(text.replace("[sky, ground, box]", "[sky, road, box]"))
    command = ["data", "pseudo-label", trained, "--data", other, "--out", tmp_path / "out", "--rule", "none"]
    assert "have nothing for ground" in segshift(*command, "--check").refusal()
    assert not (tmp_path / "out").exists()
    # Its images can be labelled all the same.
    assert segshift(*command, "--json").json()["class_names"] == ["sky", "ground", "box"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rule", "class_blanced"], "did you mean `class_balanced`"),
        (["--portion", "1.5"], "`portion` = 1.5"),
        (["--scales", "one"], "--scales one"),
        (["--size", "40"], "--size 40"),
    ],
)
def test_bad_options_are_one_line(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    command = ["data", "pseudo-label", trained, "--data", toy_target, "--out", tmp_path / "out"]
    assert message in segshift(*command, *arguments).refusal()
