"""What stands before the page's server: sizes of requests, no addresses to fetch, nothing from outside."""

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from segshift.serve.limits import Limits

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_API = "/gradio_api/"
_WORDS_BYTES = 2**20
"""Of a request that brings no file: its words are few, files are uploaded before."""
# What the page and its clients need of Gradio, which would also fetch addresses, stream and monitor.
_OPEN = re.compile(
    r"(file[=/].*|(upload|upload_progress|info|openapi\.json|heartbeat|startup-events|theme\.css|cancel|reset|user"
    r"|login_check|token|app_id|queue|call|run|api)(/.*)?)",
    re.DOTALL,
)
_ADDRESS = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)
# Nothing is loaded from elsewhere, whatever a component would like to.
_HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
        b"style-src 'self' 'unsafe-inline'; frame-ancestors 'self'; base-uri 'self'; form-action 'self'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
]


class _TooLargeError(Exception):
    pass


class Guard:
    """Middleware (ASGI) that refuses, in one line of JSON, what the service does not do.

    Args:
        app: what it stands before.
        folder: of uploads and results; files elsewhere cannot be named.
        limits: of an upload.
    """

    def __init__(self, app: App, folder: Path, limits: Limits) -> None:
        self._app, self._folder, self._limits = app, folder, limits

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        begun = False

        async def send_guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message = {**message, "headers": [*message.get("headers", []), *_HEADERS]}
            await send(message)

        if _is_closed(path):
            await _refuse(send_guarded, 403, "this service does not do that")
            return
        uploads = path.rstrip("/") == f"{_API}upload"
        most = self._limits.upload_bytes if uploads else _WORDS_BYTES
        limited = _limited(receive, most)
        try:
            if scope["method"] == "POST" and not uploads:
                body = await _whole(limited)
                reason = _refusal(body, self._folder)
                if reason:
                    await _refuse(send_guarded, 400, reason)
                    return
                await self._app(scope, _again(body, receive), send_guarded)
            else:
                await self._app(scope, limited, send_guarded)
        except _TooLargeError:
            if begun:
                raise
            what = "the upload has" if uploads else "a request without a file has"
            await _refuse(send_guarded, 413, f"{what} more than the limit of {most / 10**6:g} MB; send less")


def _is_closed(path: str) -> bool:
    if not path.startswith(_API):
        return path.startswith(("/monitoring", "/svelte/"))
    place = path.removeprefix(_API)
    named = place.removeprefix("file=").removeprefix("file/")
    return _OPEN.fullmatch(place) is None or (named != place and _ADDRESS.match(unquote(named)) is not None)


def _limited(receive: Receive, most: int) -> Receive:
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            raise _TooLargeError
        return message

    return counted


async def _whole(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """The body that was read, then whatever comes (the client's leaving)."""
    waiting = [body]

    async def next_message() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return next_message


def _refusal(body: bytes, folder: Path) -> str:
    """Why a request's words are refused, or nothing: a file it names must be one that was uploaded."""
    try:
        waiting = [json.loads(body)]
    except (ValueError, RecursionError):
        return ""  # what is no JSON is refused by those who read it
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
            path, address = value.get("path"), value.get("url")
            if any(isinstance(one, str) and one.lstrip().startswith("data:") for one in (path, address)):
                return "files are not taken as data addresses; upload the file"
            if isinstance(path, str) and _ADDRESS.match(path):
                return "addresses are not fetched; download the file and upload it"
            if isinstance(path, str) and not _is_inside(path, folder):
                return f"{Path(path).name}: is not an uploaded file; upload it first"
    return ""


def _is_inside(path: str, folder: Path) -> bool:
    try:
        return Path(path).resolve().is_relative_to(folder)
    except (OSError, RuntimeError, ValueError):
        return False


async def _refuse(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
