"""Printing text as it is."""

from rich.console import Console


def say(console: Console, text: str) -> None:
    """Print `text` without markup, colors of numbers or line breaks: paths and names must survive."""
    console.print(text, highlight=False, soft_wrap=True, markup=False)
