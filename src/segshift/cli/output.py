"""Where the commands write: results to stdout, everything else to stderr."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.text import Text

from segshift.files import json_ready
from segshift.plain import one_line, visible
from segshift.progress import NamedDone
from segshift.terminal import Terminal, TerminalProgress, say

# Under a launcher every process runs the command, and one of them speaks.
SILENT = os.environ.get("RANK", "0") != "0"
console = Terminal(stderr=True, quiet=SILENT)
progress = TerminalProgress(console)
results = Terminal(quiet=SILENT)


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """A line on stderr that says what is being done, while it is; call what is yielded to change it."""
    with console.status(Text(visible(what))) as status:
        yield lambda text: status.update(Text(visible(text)))


def counting(show: Callable[[str], None]) -> NamedDone:
    """A progress callback that shows what is being done, and how much of it is, in `working`'s line."""
    return lambda what, done, total: show(f"{what}: {done} of {total}")


def complain(word: str, text: str) -> None:
    """One line on stderr that begins with `word` in red; `--quiet` does not silence it."""
    console.quiet = SILENT
    console.print(Text.assemble((f"{word}:", "bold red"), " ", one_line(text)), soft_wrap=True)


def print_json(value: Any) -> None:
    """The one JSON document of a command on stdout; NaN and infinities become null."""
    if SILENT:
        return
    sys.stdout.write(json.dumps(json_ready(value), indent=2, allow_nan=False) + "\n")


def say_left_out(skipped: Mapping[str, str]) -> None:
    """On stderr, what was not done and why."""
    for name, reason in skipped.items():
        say(console, f"left out: {name}: {reason}")


def say_written(document: Path, pictures: Mapping[str, Sequence[str]]) -> None:
    """On stdout, where the document of an analysis is, and its pictures."""
    files = [name for names in pictures.values() for name in names]
    say(results, f"{document}, and in the same folder {', '.join(files)}")
