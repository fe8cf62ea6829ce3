"""Where the commands write: results to stdout, everything else to stderr."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.status import Status

from segshift.files import json_ready

# Under a launcher every process runs the command, and one of them speaks.
_SILENT = os.environ.get("RANK", "0") != "0"
# No emoji: rich would turn the `:train:` of a dataset argument into a tram.
console = Console(stderr=True, emoji=False, quiet=_SILENT)
results = Console(emoji=False, quiet=_SILENT)


def counting(status: Status) -> Callable[[str, int, int], None]:
    """A progress callback that shows what is being done, and how much of it is, in a status line."""
    # A bracket would open a style.
    return lambda what, done, total: status.update(f"{what.replace('[', '(')}: {done} of {total}")


def print_json(value: Any) -> None:
    """The one JSON document of a command on stdout; NaN and infinities become null."""
    if _SILENT:
        return
    sys.stdout.write(json.dumps(json_ready(value), indent=2, allow_nan=False) + "\n")
