"""`segshift` for many commands in a row: each is a fork of one process that has imported PyTorch already.

Importing it takes seconds of a processor, longer than most of the pages' commands. `forked_segshift` gives a
folder for the PATH whose `segshift` hands its arguments, folder, environment and streams to that process, and
ends as the command does.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What `segshift train` imports when it is called, and not before.
IMPORTED_ONCE = ["segshift.cli", "segshift.engine.presets", "segshift.engine.run", "segshift.engine.smoke"]
_CLIENT = """#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
call = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(call).to_bytes(4, "big")], [0, 1, 2])
server.sendall(call)
status = server.recv(1)
sys.exit(status[0] if status else "segshift: the process that forks for commands has ended")
"""


@contextmanager
def forked_segshift() -> Iterator[Path]:
    """A folder with a `segshift`, which works until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="segshift-forked-") as name:
        address, command = f"{name}/socket", Path(name) / "bin" / "segshift"
        command.parent.mkdir()
        command.write_text(_CLIENT.format(python=sys.executable, address=address), encoding="utf-8")
        command.chmod(0o755)
        # Bound here: a command that comes before everything is imported waits instead of failing.
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen()
            number = listener.fileno()
            # Its input ends with this process, however that ends, and then it ends, too.
            server = subprocess.Popen(
                [sys.executable, __file__, str(number)], pass_fds=[number], stdin=subprocess.PIPE
            )
        with server:
            yield command.parent


def _next_call(listener: socket.socket) -> socket.socket:
    """Comes back once per call, each time in a process of its own."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    while _called(listener):
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            return connection
        connection.close()
    sys.exit()


def _called(listener: socket.socket) -> bool:
    """Waits for a call; False when the process that wants calls has ended."""
    ready, _, _ = select.select([listener, sys.stdin], [], [])
    return listener in ready


def main() -> None:
    """Import segshift, fork for every call, and run it as `segshift` on the PATH does."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    if not _called(listener):  # pages that never call it do not pay for the import
        return
    for module in IMPORTED_ONCE:
        __import__(module)
    connection = _next_call(listener)
    size, streams, _, _ = socket.recv_fds(connection, 4, 3)
    with connection.makefile("rb") as call:
        arguments, folder, environment = json.loads(call.read(int.from_bytes(size, "big")))
    command = os.fork()
    if command:
        _, status = os.waitpid(command, 0)
        code = os.waitstatus_to_exitcode(status)
        connection.send(bytes([code if code >= 0 else 128 - code]))
        os._exit(0)
    connection.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # The old ones believe that they are what this process began with: a file, say, and not a pipe.
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["segshift", *arguments]
    from segshift.cli import main as segshift

    segshift()


if __name__ == "__main__":
    main()
