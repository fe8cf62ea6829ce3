"""Printing text as it is, and numbers as people read them."""

from rich.console import Console


def say(console: Console, text: str) -> None:
    """Print `text` without markup, colors of numbers or line breaks: paths and names must survive."""
    console.print(text, highlight=False, soft_wrap=True, markup=False)


def size_in_words(size_bytes: int) -> str:
    """A size in the largest unit (powers of 1000) that leaves at least 1, with one decimal from kB on."""
    if size_bytes < 1000:
        return f"{size_bytes} bytes"
    size, units = size_bytes / 1000, ["kB", "MB", "GB", "TB"]
    # What would be rounded to 1000.0 is 1.0 of the next unit.
    while size >= 999.95 and len(units) > 1:
        size /= 1000
        del units[0]
    return f"{size:.1f} {units[0]}"
