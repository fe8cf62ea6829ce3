"""`segshift watch`: states for programs, and what it refuses."""

import socket
from pathlib import Path

import pytest

from segshift.watch import server
from tests.cli.conftest import Segshift
from tests.watch.conftest import Runs


def test_states_are_one_json_document(segshift: Segshift, tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs")
    runs.log(runs.begin("one"), 1, 3)
    runs.finish(runs.begin("seeds/seed_0/control"), 0.5)
    document = segshift("watch", tmp_path / "runs", "--json").json()
    assert document["folder"] == str(tmp_path / "runs")
    assert [(run["run"], run["state"], run["miou"]) for run in document["runs"]] == [
        ("one", "stopped", None),
        ("seeds/seed_0/control", "finished", 0.5),
    ]
    assert segshift("watch", tmp_path / "runs" / "one" / "checkpoints", "--json").json()["runs"] == []


def test_a_folder_that_is_missing_and_a_port_that_is_taken_are_refused(
    segshift: Segshift, tmp_path: Path
) -> None:
    assert "no such folder" in segshift("watch", tmp_path / "gone").refusal()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "--port" in segshift("watch", tmp_path, "--port", taken.getsockname()[1]).refusal()


def test_the_page_is_served_until_it_is_ended(
    segshift: Segshift, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(tmp_path)
    runs.log(runs.begin("one"), 1, 3)
    served = []
    original = server.serving

    def spy(root: Path, host: str, port: int) -> object:
        served.append((root, host))
        return original(root, host, 0)

    monkeypatch.setattr(server, "serving", spy)
    monkeypatch.setattr("segshift.cli.watch.wait_for_the_end", lambda: None)
    outcome = segshift("watch", tmp_path)
    assert outcome.out.startswith("1 run, 0 of them running: http://127.0.0.1:")
    assert served == [(tmp_path, "127.0.0.1")]
