"""`segshift report`: the page, the document, the table, and bad requests."""

import json
import re
from pathlib import Path

import pytest

from segshift.report import page
from segshift.report.content import Report
from tests.cli.conftest import Segshift
from tests.report.runs import made_up, train

FEW = ("--images", 4, "--pictures", 1, "--points", 6)


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory, toy_source: Path, toy_target: Path) -> Path:
    """A run that goes on from nothing for longer than the reference, with another method."""
    folder = tmp_path_factory.mktemp("arm") / "minent"
    method = {"terms": [{"term": "minent", "weight": 0.3}]}
    return train(folder, toy_source, toy_target, method=method, training={"steps": 20})


def test_the_page_the_document_and_the_table(
    segshift: Segshift, trained: Path, arm: Path, tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "report.html"
    document = segshift("report", trained, arm, *FEW, "--out", out, "--title", "A & B", "--json").json()
    assert document["page"] == str(out) and document["bytes"] == out.stat().st_size
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]
    html = out.read_text()
    assert "A &amp; B" in html and "minent" in html
    assert document["reference"] == "run" and document["seed"] == 0
    first, second = document["runs"]
    stored = json.loads((trained / "results.json").read_text())["evaluation"]
    assert first["evaluation"]["miou"] == pytest.approx(stored["miou"]) and first["gain"] is None
    assert second["unfair"] == ["20 steps, run 15"]
    low, high = second["gain"]["interval"]
    assert low <= second["gain"]["difference"] <= high and "run" in second["gain"]["verdict"]
    assert set(document["analyses"]) == {"centres", "retrieval", "embedding", "entropy", "strips"}
    assert f"report {trained} {arm} --out {out} --images 4 --pictures 1 --points 6" in document["command"]

    bytes_before = out.read_bytes()
    outcome = segshift("report", trained, arm, *FEW, "--out", out, "--title", "A & B")
    assert outcome.status == 0 and out.read_bytes() == bytes_before, "equal calls give equal bytes"
    text = " ".join(outcome.out.split())
    assert "reference" in text and "not like for like" in text and "minent: 20 steps, run 15" in text
    assert f"{100 * second['gain']['difference']:+.2f}" in text
    assert re.search(rf"page  {re.escape(str(out))} \(\d+\.\d MB\)\n$", outcome.out)


def test_a_single_run_and_only_some_analyses(
    segshift: Segshift, trained: Path, toy_source: Path, toy_target: Path, tmp_path: Path
) -> None:
    out = tmp_path / "one.html"
    outcome = segshift(
        "report", trained, "--out", out, "--only", "entropy, centers, strips",
        "--without", "strips, centers", "--images", 3,
        "--source", f"{toy_source}:val", "--target", f"{toy_target}:unlabelled", "--size", "40x32",
    )  # fmt: skip
    assert outcome.status == 0 and out.is_file(), outcome.err
    said = " ".join(outcome.err.split())
    assert "left out: strips: left out with --without" in said
    assert "left out: confusion: toy:unlabelled has no labels" in said
    assert "gain" not in outcome.out and "n/a" in outcome.out


def test_an_interrupted_report_leaves_nothing(
    segshift: Segshift, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report.html"
    out.write_text("the report of yesterday")

    def stop(report: Report) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(page, "render", stop)
    outcome = segshift("report", trained, *FEW, "--only", "strips", "--out", out)
    assert outcome.status != 0
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert out.read_text() == "the report of yesterday"


def test_bad_input_is_one_line(segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path) -> None:
    def refused(*arguments: object) -> str:
        refusal = segshift("report", *arguments).refusal()
        assert not (tmp_path / "report.html").exists()
        return refusal

    out = ("--out", tmp_path / "report.html")
    assert "is a file; a report needs the run folder" in refused(trained / "model.safetensors", *out)
    assert "no such folder" in refused(tmp_path / "gone", *out)
    assert "stands twice" in refused(trained, trained, *out)
    assert "did you mean `retrieval`?" in refused(trained, "--only", "retreival", *out)
    assert "write it as WIDTHxHEIGHT" in refused(trained, "--size", "9", *out)
    assert "--device warp" in refused(trained, "--device", "warp", *out)
    assert "cannot be written (is a folder)" in refused(trained, "--out", tmp_path)
    (tmp_path / "file").touch()
    assert "cannot be written (" in refused(tmp_path / "gone", "--out", tmp_path / "file" / "page.html")
    assert "cannot be written (File name too long)" in refused(trained, "--out", f"{'x' * 300}.html")
    assert "--only without a name: no analysis" in refused(trained, "--only", "", *out)
    assert "name the file something.html" in refused(trained, "--out", tmp_path / "page.pdf")
    unlabelled = f"{toy_target}:unlabelled"
    assert "the source of a report needs them" in refused(trained, "--source", unlabelled, *out)
    broken = made_up(tmp_path / "broken")
    assert "not a complete safetensors file" in refused(broken, *out)
