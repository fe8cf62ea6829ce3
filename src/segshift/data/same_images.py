"""Which images of one set are also in another one, under whatever name."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def found_among(images: Iterable[Path], others: Iterable[Path]) -> set[Path]:
    """Those of `images` that are one of `others`: the same file, through links too, or a copy of its bytes.

    Only files of equal length are read. The same picture saved anew is not seen, which takes every pixel of
    both sets (`segshift data check` looks at them).
    """
    wanted = list(images)
    by_length: dict[int, list[Path]] = defaultdict(list)
    names: set[str] = set()
    for other in others:
        names.add(os.path.realpath(other))
        with suppress(OSError):
            by_length[other.stat().st_size].append(other)
    digests: dict[int, set[bytes]] = {}
    found = set()
    for image in wanted:
        if os.path.realpath(image) in names:
            found.add(image)
            continue
        # A file that cannot be read is somebody else's error.
        with suppress(OSError):
            length = image.stat().st_size
            if length in by_length:
                if length not in digests:
                    digests[length] = {_digest(other) for other in by_length[length]}
                if _digest(image) in digests[length]:
                    found.add(image)
    return found


def _digest(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
