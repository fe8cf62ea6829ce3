"""Pixels per class of every label of a split: taken from `prepare`, from the cache, or counted once."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from segshift.data.content import content_hashes
from segshift.data.finder import Sample
from segshift.data.labels import ClassSet, class_mapping
from segshift.data.manifest import prepared_folder, read_progress
from segshift.data.spec import Split
from segshift.errors import InputError
from segshift.files import atomic_path, cache_root
from segshift.folders import check_file
from segshift.making import cores
from segshift.plain import counted

_VERSION = 1


def class_pixels(
    split: Split,
    classes: ClassSet | None = None,
    *,
    workers: int | None = None,
    announce: Callable[[str], None] | None = None,
) -> NDArray[np.int64]:
    """The number of pixels of each class in each label of a split.

    A set that `segshift data prepare` made carries the numbers. Those of others are counted at their first
    use and kept in the cache ($SEGSHIFT_CACHE, or ~/.cache/segshift) until a label file changes.

    Args:
        split: a split with labels.
        classes: the classes to count, to which the split's are mapped; the split's own by default.
        workers: threads, None for one per core.
        announce: called with one line before a count, which can take minutes.

    Returns:
        (N, C) int64, in the order of `split.samples`; ignored pixels are in no column.

    Raises:
        InputError: a split without labels, an unreadable label, or a cache that cannot be written.
    """
    if not split.labelled:
        raise InputError(f"{split.title} has no labels, so no class frequencies; choose a labelled split")
    own = _recorded(split)
    if own is None:
        own = _cached(split, workers, announce)
    classes = classes or split.classes
    mapped = np.zeros((len(own), 256), np.int64)
    for index, train_id in enumerate(class_mapping(split.classes, classes)[: split.classes.count]):
        mapped[:, train_id] += own[:, index]
    return mapped[:, : classes.count]


def class_shares(pixels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The share of each class among all counted pixels.

    Args:
        pixels: (N, C) as `class_pixels` returns it.

    Returns:
        (C,) float64 that sums to 1, or all zero when no pixel is counted.
    """
    totals = pixels.sum(axis=0)
    shares: NDArray[np.float64] = totals / max(1, int(totals.sum()))
    return shares


def _recorded(split: Split) -> NDArray[np.int64] | None:
    """(N, C) counts in the split's own classes from a prepared set's manifest, if that fits the files."""
    first = split.samples[0].label
    folder = None if first is None else prepared_folder(first)
    if folder is None:
        return None
    entries = read_progress(folder, split.name)
    counts = np.zeros((len(split.samples), 256), np.int64)
    hashes = content_hashes([sample.label for sample in split.samples if sample.label is not None])
    if len(hashes) != len(split.samples):
        return None
    for row, sample, content in zip(counts, split.samples, hashes, strict=True):
        entry = entries.get(sample.stem)
        if entry is None or entry.label is None or entry.label.sha256 != content:
            return None
        for train_id, pixels in (entry.class_pixels or {}).items():
            row[train_id] = pixels
    return counts[:, : split.classes.count]


def _cached(split: Split, workers: int | None, announce: Callable[[str], None] | None) -> NDArray[np.int64]:
    """(N, C) counts in the split's own classes, read from the cache or counted into it."""
    path = cache_root() / "class_pixels" / f"{_fingerprint(split)}.npy"
    shape = (len(split.samples), split.classes.count)
    try:
        counts = np.load(path, allow_pickle=False)
        if counts.shape == shape and counts.dtype == np.int64:
            return np.asarray(counts, np.int64)
    except (OSError, ValueError, EOFError):
        # Not there, or damaged: it is only a cache.
        pass
    check_file(path)
    if announce is not None:
        announce(f"counting the classes of {split.title} ({counted(len(split.samples), 'label')}), once")

    def count(sample: Sample) -> NDArray[np.int64]:
        assert sample.label is not None
        return np.bincount(split.decoder.read(sample.label).ravel(), minlength=256)[: split.classes.count]

    # Threads suffice: decoding, where the time goes, releases the interpreter's lock.
    with ThreadPoolExecutor(workers or cores()) as pool:
        counts = np.stack(list(pool.map(count, split.samples))).astype(np.int64)
    with atomic_path(path) as temporary:
        np.save(temporary, counts)
    return counts


def _fingerprint(split: Split) -> str:
    """A hash of the label files (path, size, time of change) and of what makes train ids of them."""
    decoder = split.decoder
    rule = (decoder.kind, sorted(decoder.values.items()), decoder.other, decoder.channel)
    digest = hashlib.sha256(f"{_VERSION} {split.classes.names} {rule}\n".encode())
    for sample in split.samples:
        assert sample.label is not None
        try:
            status = sample.label.stat()
        except OSError:
            # The count that follows says what is wrong with the file.
            continue
        state = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
        digest.update(f"{sample.label.resolve()} {state}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
