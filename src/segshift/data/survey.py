"""What files say before hours of work begin with them: headers, and pixels only where headers do not tell."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from segshift.data.dataset import check_same_size, read_pair
from segshift.data.decoder import LabelDecoder
from segshift.data.finder import Sample
from segshift.data.images import check_image, conversion
from segshift.data.label_files import check_label
from segshift.documents import read_json
from segshift.errors import InputError, OutputError
from segshift.files import cache_root, write_text
from segshift.making import cores

_VERSION = 1
_AT_ONCE = 1000


@dataclass(frozen=True)
class Facts:
    """One sample's files.

    Attributes:
        size: (width, height) of the image as stored; None if it cannot be read.
        converted: what the image is converted to 8-bit RGB from, in words; empty if it is.
        orientation: EXIF, 1 (as stored) to 8.
        error: why the sample cannot be used, in one line; empty if it can.
    """

    size: tuple[int, int] | None = None
    converted: str = ""
    orientation: int = 1
    error: str = ""


@dataclass(frozen=True)
class Survey:
    """The facts of many samples, in their order."""

    facts: tuple[Facts, ...]

    @property
    def errors(self) -> tuple[str, ...]:
        """One line per sample that cannot be used."""
        return tuple(one.error for one in self.facts if one.error)

    @property
    def sizes(self) -> Counter[tuple[int, int]]:
        """How many images have each (width, height)."""
        return Counter(one.size for one in self.facts if one.size is not None)

    @property
    def turned(self) -> int:
        """How many images carry an EXIF orientation other than that of their pixels."""
        return sum(one.orientation != 1 for one in self.facts)

    @property
    def conversions(self) -> str:
        """One sentence about the images that are converted, or nothing: `2 of 9 images are converted ...`."""
        return converted_in_words(
            Counter(one.converted for one in self.facts if one.converted), len(self.facts)
        )


def converted_in_words(kinds: Counter[str], images: int) -> str:
    """`3 of 9 images are converted to 8-bit RGB (2 RGBA, 1 grey)`, or nothing without any."""
    if not kinds:
        return ""
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return f"{kinds.total()} of {images} images are converted to 8-bit RGB ({listed})"


def survey_images(paths: Iterable[Path], *, workers: int | None = None) -> Survey:
    """The facts of image files without labels."""
    return _survey((Sample("", path, None) for path in paths), None, False, workers)


def survey(
    samples: Sequence[Sample],
    decoder: LabelDecoder | None,
    *,
    decode: bool = False,
    workers: int | None = None,
) -> Survey:
    """The facts of samples, from the cache ($SEGSHIFT_CACHE) while no file has changed.

    Args:
        samples: image and label files.
        decoder: how labels are read; None leaves the labels alone.
        decode: read every file in full, which also finds damaged ones and ids outside the map, and takes
            as long as an epoch.
        workers: threads, None for one per core.
    """
    path = cache_root() / "surveys" / f"{_fingerprint(samples, decoder, decode)}.json"
    with suppress(ValueError, TypeError, KeyError):
        rows = read_json(path)
        if len(rows) == len(samples):
            return Survey(tuple(_facts_from(row) for row in rows))
    found = _survey(samples, decoder, decode, workers)
    # What cannot be cached is looked at again.
    with suppress(OSError, OutputError):
        write_text(path, json.dumps([asdict(one) for one in found.facts]))
    return found


def _facts_from(row: dict[str, object]) -> Facts:
    size = row["size"]
    return Facts(
        None if not isinstance(size, list) else (int(size[0]), int(size[1])),
        str(row["converted"]),
        int(str(row["orientation"])),
        str(row["error"]),
    )


def _survey(
    samples: Iterable[Sample], decoder: LabelDecoder | None, decode: bool, workers: int | None
) -> Survey:
    facts: list[Facts] = []
    # Most files of a set say the same: of a hundred thousand, one object is kept for all of these.
    kept: dict[Facts, Facts] = {}
    rest = iter(samples)
    # Threads suffice: reading and decoding release the interpreter's lock.
    with ThreadPoolExecutor(workers or cores()) as pool:
        # Each that waits for a thread takes a kilobyte, so they do not wait all at once.
        while some := list(islice(rest, _AT_ONCE)):
            found = pool.map(lambda sample: _look_at(sample, decoder, decode), some)
            facts += [kept.setdefault(one, one) for one in found]
    return Survey(tuple(facts))


def _look_at(sample: Sample, decoder: LabelDecoder | None, decode: bool) -> Facts:
    facts = Facts()
    try:
        header = check_image(sample.image)
        facts = Facts(header.size, conversion(header), header.orientation)
        if decode:
            read_pair(sample, decoder or _NO_LABELS, with_label=decoder is not None)
        elif decoder is not None and sample.label is not None:
            label = check_label(sample.label, decoder.kind, decoder.channel)
            if decoder.unequal_sizes == "error":
                check_same_size(sample, header.size[::-1], label.size[::-1])
    except InputError as error:
        return Facts(facts.size, facts.converted, facts.orientation, str(error))
    return facts


_NO_LABELS = LabelDecoder("train_ids", {})


def _fingerprint(samples: Sequence[Sample], decoder: LabelDecoder | None, decode: bool) -> str:
    rule = None
    if decoder is not None:
        # Only decoding looks at values, so only then does the map matter.
        values = sorted(decoder.values.items()) if decode else None
        rule = (decoder.kind, decoder.channel, decoder.unequal_sizes, decoder.other, values)
    digest = hashlib.sha256(f"{_VERSION} {rule} {decode}\n".encode())
    for path in _paths(samples, decoder is not None):
        try:
            status = path.stat()
            described = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
        except OSError as error:
            described = str(error.errno)
        digest.update(f"{path.absolute()} {described}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _paths(samples: Sequence[Sample], labels: bool) -> Iterator[Path]:
    for sample in samples:
        yield sample.image
        if labels and sample.label is not None:
            yield sample.label
