"""Users and passwords, and the address."""

import socket
from pathlib import Path

import pytest

from segshift.errors import InputError
from segshift.serve.address import check_port
from segshift.serve.logins import VARIABLE, read_logins


def test_logins_come_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert read_logins(None) == ()
    monkeypatch.setenv(VARIABLE, "eve:pass:word")
    assert read_logins(None) == (("eve", "pass:word"),)
    file = tmp_path / "logins"
    file.write_text("# who\n\nada:one\nbob:two\n")
    assert read_logins(file) == (("ada", "one"), ("bob", "two"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ada\n", "line 1 is not USER:PASSWORD"),
        ("ada:x\n:secret\n", "line 2 is not"),
        ("ada:\n", "line 1"),
        ("# none\n", "holds no line"),
        ("ada:secret\nada:secret\n", "names a user again"),
    ],
)
def test_bad_logins_are_refused_without_quoting_them(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "logins"
    file.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        read_logins(file)
    assert "secret" not in str(caught.value)
    with pytest.raises(InputError, match="cannot be read"):
        read_logins(tmp_path / "gone")


def test_a_port_in_use_is_refused_with_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"127.0.0.1:{port}: cannot be listened at .*--port") as caught:
            check_port("127.0.0.1", port)
    free = int(str(caught.value).rpartition("--port ")[2])
    check_port("127.0.0.1", free)
