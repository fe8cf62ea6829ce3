"""Progress as consoles show it, and a listener of one's own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from rich.console import Console

from segshift.city import synthesize
from segshift.progress import LISTENER, Progress
from segshift.terminal import TerminalProgress


class Heard(Progress):
    def __init__(self) -> None:
        self.bars: dict[str, int] = {}

    @contextmanager
    def bar(self, what: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
        self.bars[f"{what} of {total}"] = done

        def more(count: int) -> None:
            self.bars[f"{what} of {total}"] += count

        yield more


def test_a_listener_hears_every_image(tmp_path: Path) -> None:
    heard, before = Heard(), LISTENER.get()
    synthesize("city:game", tmp_path, count=2, val=1, size=(64, 48), workers=1, progress=heard)
    assert heard.bars == {"rendering city:game of 3": 3}
    assert LISTENER.get() is before


def test_without_a_terminal_the_last_line_is_printed_and_no_bar() -> None:
    out = StringIO()
    progress = TerminalProgress(Console(file=out, width=80))
    with progress.bar("reading", 2) as advance, progress.line() as show:
        advance(2)
        show("step 1", False)
        progress.say("[bold]a note[/]")
        show("step 2", True)
    assert out.getvalue() == "[bold]a note[/]\nstep 2\n"


def test_in_a_terminal_bar_and_line_are_redrawn_and_gone_at_the_end() -> None:
    out = StringIO()
    progress = TerminalProgress(Console(file=out, width=80, force_terminal=True, legacy_windows=False))
    with progress.bar("read\x1bing", 3, done=1) as advance:
        advance(1)
    with progress.line() as show:
        show("step 1 of 9", False)
    text = out.getvalue()
    assert r"read\x1bing" in text and "2/3" in text and "step 1 of 9" in text
    assert text.rstrip().endswith("\x1b[2K")
