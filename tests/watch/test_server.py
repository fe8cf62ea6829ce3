"""What the server answers, and what it does not: files outside the folder, other names, other methods."""

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from segshift.watch.server import serving
from tests.watch.conftest import Runs

Answer = tuple[int, dict[str, str], bytes]


class Client:
    def __init__(self, address: str) -> None:
        self.host = address.removeprefix("http://").rstrip("/")

    def get(self, path: str, method: str = "GET", host: str | None = None) -> Answer:
        connection = http.client.HTTPConnection(self.host)
        connection.request(method, path, headers={"Host": host or self.host})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body

    def json(self, path: str) -> Any:
        status, _, body = self.get(path)
        assert status == 200, body
        return json.loads(body)


@pytest.fixture
def client(every_state: Runs) -> Iterator[Client]:
    with serving(every_state.root, "127.0.0.1", 0) as address:
        yield Client(address)


def test_runs_curves_and_more_of_a_run(client: Client, every_state: Runs) -> None:
    listed = {run["run"]: run for run in client.json("/api/runs")["runs"]}
    assert listed["live"]["state"] == "running" and len(listed) == 11
    one = client.json("/api/curves?run=live")
    captions = [chart["caption"] for group in one["groups"] for chart in group["charts"]]
    assert captions == ["losses", "discriminators", "learning rates"]
    discriminators = one["groups"][0]["charts"][1]["figure"]["data"]
    assert [line["name"] for line in discriminators] == ["advent/source", "advent/target"]
    assert discriminators[0]["x"] == list(range(1, 11))
    several = client.json("/api/curves?run=live&run=done")
    assert several["names"] == ["live", "done"]
    supervised = several["groups"][0]["charts"][0]
    assert supervised["caption"] == "segmenter/supervised"
    assert [line["name"] for line in supervised["figure"]["data"]] == ["live", "done"]
    more = client.json("/api/run?run=live")
    assert more["pictures"] == [{"stage": 0, "name": "step_000010.png"}]
    assert "name: toy" in more["recipe"] and more["environment"] == ""
    status, headers, body = client.get("/picture?run=live&stage=0&name=step_000010.png")
    assert (status, headers["content-type"], body[:4]) == (200, "image/png", b"\x89PNG")


def test_what_a_run_writes_is_seen_at_the_next_look(client: Client, every_state: Runs) -> None:
    assert client.json("/api/curves?run=live")["groups"]
    every_state.log(every_state.root / "live", 11, 12)
    lines = client.json("/api/curves?run=live")["groups"][0]["charts"][0]["figure"]["data"]
    assert lines[0]["x"][-1] == 12


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/live/config.yaml",
        "/api/run?run=" + quote("../secret", safe=""),
        "/api/run?run=" + quote("live/../../secret", safe=""),
        "/api/curves?run=" + quote("/etc", safe=""),
        "/api/curves",
        "/api/curves?" + "&".join(["run=live"] * 9),
        "/api/run?run=live&run=done",
        "/api/run?" + "&".join(["a=b"] * 60),
        "/picture?run=live&name=" + quote("../config.yaml", safe=""),
        "/picture?run=live&name=" + quote("../../../secret/step_000001.png", safe=""),
        "/picture?run=live&stage=-1&name=step_000010.png",
        "/picture?run=live&stage=7&name=step_000010.png",
        "/picture?run=live&name=step_000011.png",
        "/picture?run=live&name=step_000099.png",
    ],
)
def test_nothing_outside_the_folder_is_read(client: Client, every_state: Runs, path: str) -> None:
    secret = Runs(every_state.root.parent).begin("secret")
    (every_state.root.parent / "secret.txt").write_text("the secret")
    Runs(every_state.root.parent).draw(secret, 1)
    # A link in the folder of pictures leads out of it.
    outside = secret / "pictures" / "step_000001.png"
    (every_state.root / "live" / "pictures" / "step_000099.png").symlink_to(outside)
    status, headers, body = client.get(path)
    assert status == 404 and headers["content-type"] == "application/json"
    assert b"secret" not in body and b"PNG" not in body


def test_the_page_asks_nobody_else_and_only_its_own_names_are_answered(client: Client) -> None:
    status, headers, body = client.get("/")
    assert status == 200 and "default-src 'none'" in headers["content-security-policy"]
    assert b"http://" not in body and b"https://" not in body
    # A page elsewhere that gives its own name our address learns nothing.
    assert client.get("/api/runs", host="evil.example")[0] == 421
    assert client.get("/api/runs", method="POST")[0] == 501


def test_a_damaged_log_has_no_curves(client: Client, every_state: Runs) -> None:
    (every_state.root / "done" / "metrics.jsonl").write_text("no\nlog\n")
    assert client.json("/api/curves?run=done") == {"names": ["done"], "groups": []}
    (every_state.root / "done" / "config.yaml").unlink()
    time.sleep(1.1)  # so long a look is fresh
    assert client.get("/api/curves?run=done")[0] == 404


def test_the_folder_itself_may_be_a_run(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    runs.log(runs.begin("alone"), 1, 3)
    with serving(tmp_path / "alone", "127.0.0.1", 0) as address:
        (one,) = Client(address).json("/api/runs")["runs"]
        assert (one["run"], one["name"]) == (".", "alone")
        assert Client(address).json("/api/curves?run=.")["names"] == ["alone"]
