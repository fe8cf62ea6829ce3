"""How work tells how far it is, without knowing who listens: nobody, a terminal or a test."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar

Done = Callable[[int, int], None]
"""Called with how much is done, and how much there is."""
NamedDone = Callable[[str, int, int], None]
"""`Done` of work that has several parts, with the part's name before."""


class Progress:
    """Hears how work goes. This one is silent; what is not overwritten stays so."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def say(self, line: str) -> None:
        """A line that stays."""

    def bar(self, what: str, total: int, done: int = 0) -> AbstractContextManager[Callable[[int], None]]:
        """While the context lasts, `total` things are worked at; what it gives is called with how many more
        are done.
        """
        return nullcontext(lambda more: None)

    def line(self) -> AbstractContextManager[Callable[[str, bool], None]]:
        """While the context lasts, one line says where work is; what it gives is called with the new text and
        with whether it is the last one.
        """
        return nullcontext(lambda text, last: None)


SILENT = Progress()
LISTENER: ContextVar[Progress] = ContextVar("LISTENER", default=SILENT)
"""Who hears of work that nobody asked for, such as the first use of a rendered data set."""
