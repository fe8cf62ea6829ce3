"""The one rule for names that become folders or files: those of splits, arms, stages, runs and samples."""

import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from segshift.errors import InputError

# A file's name has at most 255 bytes; endings and temporary names need some of them.
LONGEST_NAME_BYTES = 128
LONGEST_STEM_BYTES = 230
_MEANT_OTHERWISE = re.compile(r'[/\\:*?"<>|{}\[\]]')
# Windows opens a device instead of a file of such a name, whatever its ending.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
# Controls, line separators and lone surrogates (bytes that are no text); of the invisible format characters
# those stay that some scripts need within words.
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = {"\u200c", "\u200d"}


def check_name(name: str, what: str) -> str:
    """A name that is to become a folder, or a file without its ending.

    Args:
        name: the name.
        what: it is of, for the message: "split", "arm".

    Returns:
        The name as it is.

    Raises:
        InputError: it would lie elsewhere (`../x`, `/x`), be hidden or be no name on some system.
    """
    reason = name_fault(name)
    if reason is not None:
        raise InputError(
            f"{what} {name!r}: becomes a folder's name, which {reason}; choose another name, for example of "
            "letters, digits, `_` and `-`"
        )
    return name


def check_names(names: Iterable[str], what: str) -> None:
    """`check_name` of all, which must also differ in more than capitals: some systems see no others."""
    seen: dict[str, str] = {}
    for name in names:
        check_name(name, what)
        twin = seen.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if twin != name:
            raise InputError(
                f"{what} {name!r}: becomes a folder's name, which is that of {twin!r} on systems that do not "
                "tell capitals apart; choose another name"
            )


def check_stem(stem: str, where: str) -> None:
    """A sample's stem, which may hold folders and any letters, as the name of a file below a folder.

    Args:
        stem: of the sample.
        where: the data set and split, for the message.

    Raises:
        InputError: it would lie elsewhere, or cannot be a line of a list or a name with an ending.
    """
    parts = PurePosixPath(stem).parts
    if (
        not parts
        or stem.startswith(("/", "#"))
        or ".." in parts
        or stem != stem.strip()
        or len(stem.splitlines()) != 1
        or "\0" in stem
    ):
        raise InputError(
            f"{where}: the stem {stem!r} cannot name a file below a folder; choose `images:` or the list of "
            "the data set so that stems are plain names"
        )
    if any(len(os.fsencode(part)) > LONGEST_STEM_BYTES for part in parts):
        raise InputError(
            f"{where}: the stem {stem!r} is longer than {LONGEST_STEM_BYTES} bytes, too long for the name of "
            "a file with an ending; rename the file"
        )


def name_fault(name: str) -> str | None:
    """What is wrong with a name, or None."""
    if not name.strip():
        return "is empty"
    if len(name.encode("utf-8", "surrogatepass")) > LONGEST_NAME_BYTES:
        return f"is longer than {LONGEST_NAME_BYTES} bytes"
    if any(unicodedata.category(one) in _UNSEEN and one not in _JOINERS for one in name):
        return "holds a character that cannot be seen"
    special = _MEANT_OTHERWISE.search(name)
    if special is not None:
        return f"holds `{special[0]}`"
    if name != name.strip() or name.endswith("."):
        return "begins or ends with a space, or ends with a dot"
    if name.startswith((".", "~", "-", "#")):
        return f"begins with `{name[0]}`"
    if name.casefold().endswith(".partial"):
        return "ends with `.partial`, as what is not finished does"
    return "is that of a device on some systems" if _DEVICES.fullmatch(name) else None
