"""The page of `segshift watch` and what it asks, by HTTP: it only reads."""

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import plotly.offline

from segshift.errors import InputError
from segshift.report.base_page import render_template
from segshift.report.colors import DARK_MODEL_COLORS, MODEL_COLORS
from segshift.version import __version__
from segshift.watch.answers import MOST_COMPARED, Answers

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data: blob:; connect-src 'self'; "
    "style-src 'unsafe-inline'; script-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
_EVERYWHERE = {"0.0.0.0", "::"}


def page(folder: Path) -> str:
    """The page as HTML text."""
    return render_template(
        "page.html.j2",
        "segshift.watch",
        folder=str(folder),
        version=__version__,
        most=MOST_COMPARED,
        colors=list(zip(MODEL_COLORS, DARK_MODEL_COLORS, strict=True)),
    )


@contextmanager
def serving(root: Path, host: str, port: int) -> Iterator[str]:
    """Serve the page of a folder's runs while the block lasts; gives its address. Port 0 takes a free one."""
    answers, html = Answers(root), page(root).encode()
    script = plotly.offline.get_plotlyjs().encode()

    class Handler(_Handler):
        files = {  # noqa: RUF012 - the base class declares it
            "/": ("text/html; charset=utf-8", html),
            "/plotly.js": ("text/javascript; charset=utf-8", script),
        }

    Handler.answers = answers
    with _Server((host, port), Handler) as server:
        Handler.names = _own_names(host, server.server_address[1])
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        shown = "127.0.0.1" if host in _EVERYWHERE else f"[{host}]" if ":" in host else host
        try:
            yield f"http://{shown}:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


def _own_names(host: str, port: int) -> frozenset[str] | None:
    """What a browser may call this server; None: anything, where it listens to other machines.

    A page elsewhere could give its own name our address and read what we answer.
    """
    if host in _EVERYWHERE:
        return None
    own = {host, f"[{host}]"} | ({"localhost"} if host in {"127.0.0.1", "::1"} else set())
    return frozenset(f"{name}:{port}" for name in own) | (frozenset(own) if port == 80 else frozenset())


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    server_version, sys_version = "segshift", ""
    answers: Answers
    names: frozenset[str] | None
    files: dict[str, tuple[str, bytes]]

    def do_GET(self) -> None:
        if self.names is not None and self.headers.get("Host", "") not in self.names:
            self._say(HTTPStatus.MISDIRECTED_REQUEST, {"error": "this is not the name of this server"})
            return
        where = urlsplit(self.path)
        if where.path in self.files:
            # The script is the same until segshift is another; the page asks for it with its version.
            self._send(HTTPStatus.OK, *self.files[where.path], cached=where.path == "/plotly.js")
            return
        try:
            asked = parse_qs(where.query, max_num_fields=50)
            answer = self._answer(where.path, asked)
        except (InputError, ValueError) as error:
            self._say(HTTPStatus.NOT_FOUND, {"error": str(error)})
            return
        except OSError:
            self._say(HTTPStatus.NOT_FOUND, {"error": "it has just been removed, or cannot be read"})
            return
        if isinstance(answer, bytes):
            self._send(HTTPStatus.OK, "image/png", answer, cached=True)
        else:
            self._say(HTTPStatus.OK, answer)

    def _answer(self, path: str, asked: dict[str, list[str]]) -> Any:
        runs = asked.get("run", [])
        if path == "/api/runs":
            return self.answers.runs()
        if path == "/api/curves":
            return self.answers.curves(runs)
        if path in {"/api/run", "/picture"} and len(runs) == 1:
            if path == "/api/run":
                return self.answers.run(runs[0])
            stage, name = asked.get("stage", ["0"])[0], asked.get("name", [""])[0]
            return self.answers.picture(runs[0], int(stage) if stage.isdecimal() else -1, name)
        raise InputError("nothing is here")

    def _say(self, status: HTTPStatus, value: Any) -> None:
        self._send(status, "application/json", json.dumps(value, allow_nan=False).encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes, *, cached: bool = False) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "private, max-age=86400" if cached else "no-store",
            **_HEADERS,
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """The terminal stays as it is."""
