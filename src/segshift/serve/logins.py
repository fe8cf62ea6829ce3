"""Who may use the service: pairs of user and password, never from where other users could read them."""

import os
from pathlib import Path

from segshift.errors import InputError
from segshift.files import read_text

VARIABLE = "SEGSHIFT_SERVE_AUTH"


def read_logins(file: Path | None) -> tuple[tuple[str, str], ...]:
    """(user, password) pairs of a file, else of the environment variable; none if there is neither.

    Each line is USER:PASSWORD; the password may hold colons. Empty lines and lines that begin with # are
    passed over.

    Raises:
        InputError: a file that cannot be read, no login in it, a line without a colon or with nothing on one
            side of it, a user twice. The message quotes no line.
    """
    if file is not None:
        try:
            text, where = read_text(file), str(file)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise InputError(
                f"--auth-file {file}: cannot be read ({reason}); give lines of USER:PASSWORD"
            ) from None
    elif VARIABLE in os.environ:
        text, where = os.environ[VARIABLE], VARIABLE
    else:
        return ()
    logins: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        user, _, password = line.partition(":")
        if not user or not password:
            raise InputError(f"{where}: line {number} is not USER:PASSWORD; write it with a colon")
        if user in logins:
            raise InputError(f"{where}: line {number} names a user again; keep one line for each")
        logins[user] = password
    if not logins:
        raise InputError(f"{where}: holds no line USER:PASSWORD; write one for each user")
    return tuple(logins.items())
