"""The address that a service listens at, and waiting until it shall end."""

import socket
import time

from segshift.errors import InputError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Addresses at which only this machine is heard."""


def check_port(host: str, port: int) -> None:
    """Raises InputError for an address that cannot be listened at, with a port that can."""
    try:
        _try(host, port)
    except OSError as error:
        free = next(
            (other for other in range(port + 1, min(port + 100, 65536)) if _is_free(host, other)), None
        )
        remedy = "choose another --port" if free is None else f"choose another: --port {free}"
        raise InputError(f"{host}:{port}: cannot be listened at ({error.strerror}); {remedy}") from None


def _try(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def _is_free(host: str, port: int) -> bool:
    try:
        _try(host, port)
    except OSError:
        return False
    return True


def wait_for_the_end() -> None:
    """Returns when somebody presses Ctrl-C."""
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return
