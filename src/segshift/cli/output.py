"""Where the commands write: results to stdout, everything else to stderr."""

import json
import os
import sys
from typing import Any

from rich.console import Console

from segshift.files import json_ready

# Under a launcher every process runs the command, and one of them speaks.
_SILENT = os.environ.get("RANK", "0") != "0"
# No emoji: rich would turn the `:train:` of a dataset argument into a tram.
console = Console(stderr=True, emoji=False, quiet=_SILENT)
results = Console(emoji=False, quiet=_SILENT)


def print_json(value: Any) -> None:
    """The one JSON document of a command on stdout; NaN and infinities become null."""
    if _SILENT:
        return
    sys.stdout.write(json.dumps(json_ready(value), indent=2, allow_nan=False) + "\n")
