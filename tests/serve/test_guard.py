"""What stands before the page's server refuses in one line."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from segshift.serve.guard import Guard
from segshift.serve.limits import Limits


def ask(folder: Path, path: str, body: bytes = b"", method: str = "GET") -> tuple[int, str, dict[str, str]]:
    """Status, what was said (or the body as the server behind the guard read it), and headers."""
    sent: list[Any] = []
    parts = [body[start : start + 60_000] for start in range(0, len(body), 60_000)] or [b""]

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        read, more = b"", True
        while more:
            message = await receive()
            read, more = read + message["body"], message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": read})

    async def receive() -> Any:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Any) -> None:
        sent.append(message)

    guard = Guard(behind, folder, Limits(upload_mb=1))
    asyncio.run(guard({"type": "http", "path": path, "method": method}, receive, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    said = sent[1]["body"].decode(errors="replace")
    return sent[0]["status"], json.loads(said)["detail"] if sent[0]["status"] >= 400 else said, headers


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=http://example.com/",
        "/gradio_api/file=HTTPS://example.com/",
        "/gradio_api/file=//example.com/",
        "/gradio_api/file=%68ttp://example.com/",
        "/gradio_api/file=file:///etc/passwd",
        "/gradio_api/file/http://example.com/",
        "/gradio_api/proxy=http://127.0.0.1/",
        "/gradio_api/stream/x",
        "/gradio_api/custom_component/a/b/c/d",
        "/gradio_api/deep_link",
        "/gradio_api/component_server",
        "/monitoring/summary",
    ],
)
def test_what_the_page_does_not_need_is_closed(tmp_path: Path, path: str) -> None:
    assert ask(tmp_path, path)[:2] == (403, "this service does not do that")


@pytest.mark.parametrize(
    "path", ["/", "/config", "/gradio_api/file=/tmp/x.png", "/gradio_api/info", "/gradio_api/queue/data"]
)
def test_what_it_needs_is_open_and_loads_nothing_from_elsewhere(tmp_path: Path, path: str) -> None:
    status, _, headers = ask(tmp_path, path)
    assert status == 200
    assert headers["content-security-policy"].startswith("default-src 'self' data: blob:;")
    assert "http" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ({"path": "http://example.com/a.png"}, "addresses are not fetched"),
        ({"path": " \tHTTPS://example.com/a.png"}, "addresses are not fetched"),
        ({"path": "//example.com/a.png"}, "addresses are not fetched"),
        ({"path": "ftp://example.com/a.png"}, "addresses are not fetched"),
        ({"path": "/etc/passwd"}, "passwd: is not an uploaded file"),
        ({"path": "{folder}/../other/x.png"}, "x.png: is not an uploaded file"),
        ({"path": "relative.png"}, "relative.png: is not an uploaded file"),
        ({"path": "{folder}/x.png", "url": "data:image/png;base64,AAAA"}, "files are not taken as data"),
        ({"path": "{folder}/link/passwd"}, "passwd: is not an uploaded file"),
    ],
)
@pytest.mark.parametrize("coding", ["utf-8", "utf-16"])
def test_files_must_be_uploads(tmp_path: Path, file: dict[str, str], said: str, coding: str) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "link").symlink_to("/etc")
    named = {key: value.replace("{folder}", str(folder)) for key, value in file.items()}
    body = json.dumps({"data": [[{"deep": named}], 1]}).encode(coding)
    status, line, _ = ask(folder, "/gradio_api/queue/join", body, "POST")
    assert status == 400 and line.startswith(said)


def test_a_good_request_arrives_whole(tmp_path: Path) -> None:
    body = json.dumps({"data": [{"path": str(tmp_path / "x.png"), "url": "http://127.0.0.1/x"}]}).encode()
    assert ask(tmp_path, "/gradio_api/call/predict", body, "POST")[:2] == (200, body.decode())
    assert ask(tmp_path, "/login", b"username=a&password=b", "POST")[:2] == (200, "username=a&password=b")


def test_sizes_are_limited_however_they_are_sent(tmp_path: Path) -> None:
    assert ask(tmp_path, "/gradio_api/upload", b"x" * 1_000_000, "POST")[0] == 200
    status, said, _ = ask(tmp_path, "/gradio_api/upload", b"x" * 1_000_001, "POST")
    assert status == 413 and said == "the upload has more than the limit of 1 MB; send less"
    assert ask(tmp_path, "/gradio_api/call/predict", b"x" * (2**20 + 1), "POST")[0] == 413
