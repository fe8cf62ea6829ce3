"""List files as people and tools write them: stems, file names, or an image and its label per line."""

import codecs
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from segshift.data.walk import is_image_name
from segshift.files import refuse_special

_HEADER = re.compile(
    r"[\"']?(images?|img|files?|file_?names?|(image_?)?path|names?|stems?|rgb)[\"']?\s*([,;\t]|$)", re.I
)
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class Line:
    """One line of a list: a stem or the path of an image, and the path of its label if the line names one."""

    name: str
    label: str | None = None

    @property
    def is_file(self) -> bool:
        """Whether it names a file (`images/a.png`) and not a stem."""
        return is_image_name(self.name)


def read_lines(path: Path) -> tuple[str, ...]:
    """The lines of a list without comments (`#`), blank lines, byte-order marks and backslashes.

    Windows' line ends, UTF-16 and `\\` between folders are taken for what they mean; bytes that are no UTF-8
    stay as they are.

    Raises:
        InputError: a pipe, socket or device.
        OSError, UnicodeDecodeError: it cannot be read as text.
    """
    refuse_special(path)
    content = path.read_bytes()
    encoding = _UTF16.get(content[:2])
    # Names of files are bytes: one in Latin-1, as old archives unpack it, stands so in its list, too.
    text = content.decode(encoding) if encoding else content.decode("utf-8-sig", "surrogateescape")
    lines = (line.strip(" \t\r\n\f\v").replace("\\", "/") for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def read_list(path: Path) -> tuple[Line, ...]:
    """The entries of a list.

    A line is one name, or the names of an image and its label apart by blanks, a tab, a comma or a semicolon
    (VOC, DeepLab), in quotes or bare. A first line `image,label` is a header. A single name may hold blanks;
    one that stands for a file of the root may begin with `/`.

    Raises:
        InputError, OSError, UnicodeDecodeError: as `read_lines`.
    """
    lines = read_lines(path)
    if len(lines) > 1 and _HEADER.match(lines[0]) and not _parsed(lines[0]).is_file:
        rest = tuple(_parsed(line) for line in lines[1:])
        # In a list of stems, one may be called `image`.
        if path.suffix.lower() == ".csv" or all(one.is_file for one in rest):
            return rest
    return tuple(map(_parsed, lines))


def _parsed(line: str) -> Line:
    for separator in (r"\t+", r"\s*[,;]\s*", r"\s+"):
        parts = [part.strip("\"'") for part in re.split(separator, line) if part]
        if len(parts) == 2 and all(is_image_name(part) for part in parts):
            return Line(_relative(parts[0]), _relative(parts[1]))
    if len(line) > 2 and line[0] == line[-1] and line[0] in "\"'":
        line = line[1:-1]
    return Line(_relative(line) if is_image_name(line) else line.removeprefix("./"))


def _relative(name: str) -> str:
    return name.removeprefix("./").lstrip("/")


def invisible(name: str) -> str:
    """What to say of a name that holds characters which nobody sees; nothing for others."""
    for character in name:
        if character != " " and unicodedata.category(character) in ("Cf", "Cc", "Zs", "Zl", "Zp", "Co", "Cn"):
            title = unicodedata.name(character, "a control character").lower()
            return f" (the name holds an invisible character, U+{ord(character):04X}, {title})"
    return " (the name ends in a blank)" if name != name.strip() else ""
