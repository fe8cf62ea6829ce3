"""Text as it is, wherever it goes: every output has one escaper, so that a name is a name and never markup.

Names of classes, files, arms and runs are the users'. A terminal, a spreadsheet, Markdown or LaTeX would read
some of them as commands; here is what makes each show them instead.
"""

import re

# What is obeyed instead of shown: control characters but tab and line break, separators of lines, marks that
# turn the reading direction, and the halves of characters with which Python stands in for broken file names.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SPACES = re.compile(r"\s*[\t\n]\s*")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~$])")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def visible(text: str) -> str:
    r"""`text` with what would be obeyed, a terminal's escape say, as it is written in Python: `\x1b`.

    Tabs and line breaks stay.
    """
    return _OBEYED.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: str) -> str:
    """`visible`, in a single line."""
    return _SPACES.sub(" ", visible(text))


def markdown_cell(text: str) -> str:
    """A cell of a Markdown table."""
    return _MARKDOWN.sub(r"\\\1", one_line(text).strip())


def csv_cell(text: str) -> str:
    """A text in a CSV file; what a spreadsheet would calculate begins with an apostrophe.

    Quotes around commas and line breaks are the work of the `csv` module.
    """
    shown = visible(text)
    return f"'{shown}" if shown.lstrip().startswith(("=", "+", "-", "@")) or shown[:1] == "\t" else shown


def latex(text: str) -> str:
    """Words in a LaTeX document."""
    return "".join(_LATEX.get(character, character) for character in one_line(text))


def counted(count: int, one: str, several: str | None = None) -> str:
    """`1 image`, `2 images`; `several` where an s does not do: `1 file is`, `2 files are`."""
    return f"{count} {one if count == 1 else several or f'{one}s'}"


def share_in_words(share: float, digits: int = 2) -> str:
    """A share in percent in which something never becomes zero, and not everything never becomes all."""
    smallest = 10.0**-digits
    if 0 < 100 * share < smallest / 2:
        return f"<{smallest:.{digits}f} %"
    if share < 1 and 100 * share >= 100 - smallest / 2:
        return f">{100 - smallest:.{digits}f} %"
    return f"{100 * share:.{digits}f} %"


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
