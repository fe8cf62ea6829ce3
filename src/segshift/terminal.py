"""Consoles: text as it is, and the progress of work in them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from segshift.plain import visible
from segshift.progress import Progress

# Without a terminal a line is printed this often instead of being redrawn.
_PLAIN_LINE_SECONDS = 15.0


def literal(text: str) -> Text:
    """Words in a table, in whatever console it is printed."""
    return Text(visible(text))


class Terminal(Console):
    """A console that shows strings as they are: no markup, no emoji, no control characters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """What rich makes of every string that it prints, in a table, too."""
        return super().render_str(visible(text), **options)


def say(console: Console, text: str) -> None:
    """Print `text` as it is, without line breaks of the console's: paths and names must survive."""
    console.print(literal(text), soft_wrap=True)


class TerminalProgress(Progress):
    """Progress in a console: bars and a redrawn line in a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, line: str) -> None:
        """Print a line that stays, above what is redrawn."""
        say(self.console, line)

    @contextmanager
    def bar(self, what: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
        """What is done, how much of it is, and the time left; nothing outside a terminal."""
        shown = self.console.is_terminal and total > 0
        name = TextColumn("{task.description}", markup=False)
        columns = (name, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bar(*columns, console=self.console, transient=True, disable=not shown) as bar:
            task = bar.add_task(visible(what), total=total, completed=done)
            yield lambda more: bar.advance(task, more)

    @contextmanager
    def line(self) -> Iterator[Callable[[str, bool], None]]:
        """One line that is redrawn; outside a terminal it is printed every 15 s, and the last one always."""
        if self.console.is_terminal:
            with Live(console=self.console, refresh_per_second=4, transient=True) as live:
                yield lambda text, last: live.update(Text(visible(text), overflow="ellipsis", no_wrap=True))
            return
        printed = time.monotonic()

        def show(text: str, last: bool) -> None:
            nonlocal printed
            now = time.monotonic()
            if last or now - printed >= _PLAIN_LINE_SECONDS:
                printed = now
                say(self.console, text)

        yield show
