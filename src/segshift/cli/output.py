"""Where the commands write: results to stdout, everything else to stderr."""

import json
import sys
from typing import Any

from rich.console import Console

from segshift.files import json_ready

# No emoji: rich would turn the `:train:` of a dataset argument into a tram.
console = Console(stderr=True, emoji=False)
results = Console(emoji=False)


def print_json(value: Any) -> None:
    """The one JSON document of a command on stdout; NaN and infinities become null."""
    sys.stdout.write(json.dumps(json_ready(value), indent=2, allow_nan=False) + "\n")
