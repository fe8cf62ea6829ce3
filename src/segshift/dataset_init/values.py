"""The raw values of a sample of label files: how often each occurs, in how many files, and how high up."""

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segshift.data.containers import open_picture, read_header
from segshift.data.decoder import color_key
from segshift.data.label_files import LabelKind, read_label
from segshift.dataset_init.contents import form
from segshift.errors import InputError

SAMPLED = 50
"""Label files that are read: enough for the shares, and seconds even on a network disk."""

MOST_VALUES = 255
_INSIDE = 0.15
"""Share of a true class's pixels that lie inside it, thin things apart."""
_TRACE = 0.0002
_MANY_SOFT = 6
_MOST_SOFT = 0.3


@dataclass
class Value:
    """One raw value: its share of all sampled pixels, the files that have it, its mean row (0 is the top).

    `inside` is the share of its pixels whose four neighbors have the value too.
    """

    value: int
    share: float
    files: int
    row: float
    inside: float = 1.0
    color: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Values:
    """What the sampled labels hold: `values` by their number, how to read them, and remarks in sentences.

    `soft` values are left out of them: they only lie between others, along edges.
    """

    kind: LabelKind
    channel: int | None
    values: tuple[Value, ...]
    sampled: int
    of: int
    unequal: int
    notes: tuple[str, ...]
    soft: tuple[Value, ...] = ()


@dataclass
class _Sum:
    pixels: int = 0
    files: int = 0
    rows: float = 0.0
    inside: int = 0


@dataclass
class _Read:
    """One file: (value, pixels, sum of relative rows, pixels inside), and whether its size is its image's."""

    counts: list[tuple[int, int, float, int]] = field(default_factory=list)
    same_size: bool = True
    palette: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    error: str | None = None


def sample_values(pairs: Sequence[tuple[Path, Path]], count: int = SAMPLED) -> Values:
    """Read up to `count` labels, spread evenly over (image, label) pairs.

    Raises:
        InputError: no label can be read, or they hold more values than there can be classes.
    """
    chosen = [pairs[index * len(pairs) // count] for index in range(count)] if len(pairs) > count else pairs
    kind, channel, notes = _kind([label for _, label in chosen], [label for _, label in pairs])
    with ThreadPoolExecutor(2) as pool:
        reads = list(pool.map(lambda pair: _read(pair, kind, channel), chosen))
    good = [one for one in reads if one.error is None]
    bad = [one.error for one in reads if one.error is not None]
    if not good:
        raise InputError(f"none of {len(chosen)} sampled labels can be read; the first: {bad[0]}")
    if bad:
        notes.append(f"{len(bad)} of {len(chosen)} sampled labels cannot be read; the first: {bad[0]}")
    sums: dict[int, _Sum] = {}
    for one in good:
        for value, pixels, rows, inside in one.counts:
            entry = sums.setdefault(value, _Sum())
            entry.pixels, entry.files, entry.rows = entry.pixels + pixels, entry.files + 1, entry.rows + rows
            entry.inside += inside
    total = sum(entry.pixels for entry in sums.values())
    palette = _common_palette(good)
    values = tuple(
        Value(
            value,
            entry.pixels / total,
            entry.files,
            entry.rows / entry.pixels,
            entry.inside / entry.pixels,
            _rgb(value) if kind == "rgb" else palette.get(value),
        )
        for value, entry in sorted(sums.items())
    )
    unequal = sum(not one.same_size for one in good)
    return Values(kind, channel, values, len(good), len(pairs), unequal, tuple(notes))


def _kind(labels: Sequence[Path], every: Sequence[Path]) -> tuple[LabelKind, int | None, list[str]]:
    """How the labels are to be read, from headers and the pixels of a few; palettes of `every` label."""
    forms = [one for one in (form(label) for label in labels) if one is not None]
    if not forms:
        return "ids", None, []
    modes = Counter(forms)
    most = modes.most_common(1)[0][0]
    notes = []
    if len(modes) > 1:
        listed = ", ".join(f"{one.mode}{' 16-bit' if one.sixteen_bits else ''}" for one in modes)
        notes.append(f"the labels are of different formats ({listed}); the rule suits the most frequent")
    if most.mode == "P":
        return ("rgb" if _palettes_differ(every) else "ids"), None, notes
    if most.mode not in ("RGB", "RGBA"):
        return "ids", None, notes
    if most.sixteen_bits:
        notes.append("16-bit labels of several channels: the first is taken as the class, as in SYNTHIA")
        return "ids", 0, notes
    if _one_channel_tells(labels):
        notes.append("the labels have several channels, of which the first holds ids")
        return "ids", 0, notes
    if most.mode == "RGBA":
        notes.append("the labels have an alpha channel, which is refused: save them as RGB")
    return "rgb", None, notes


def _open(path: Path) -> NDArray[Any] | None:
    try:
        with open_picture(path) as (image, _):
            return np.asarray(image)
    except InputError:
        return None


def _one_channel_tells(labels: Sequence[Path]) -> bool:
    """Whether three channels are equal (grey saved as color), or only the first holds anything (CARLA)."""
    pixels = [one for one in map(_open, labels[:5]) if one is not None and one.ndim == 3]
    if not pixels:
        return False
    grey = all((one[..., :3] == one[..., :1]).all() for one in pixels)
    first_alone = all(not one[..., 1:3].any() for one in pixels) and any(one[..., 0].any() for one in pixels)
    return grey or first_alone


def _palettes_differ(labels: Sequence[Path]) -> bool:
    """Whether an index means another color in another file: then the colors are what counts."""
    seen: dict[int, tuple[int, int, int]] = {}
    with ThreadPoolExecutor(2) as pool:
        palettes = list(pool.map(_palette, labels))
    # Files of one palette are looked into once: only where palettes differ do the used indices matter.
    different = len(set(palettes)) > 1
    for label in labels if different else ():
        for index, color in _used_palette(label).items():
            if seen.setdefault(index, color) != color:
                return True
    return False


def _palette(path: Path) -> bytes:
    try:
        with open_picture(path) as (image, header):
            return bytes(image.getpalette() or []) if header.mode == "P" else b""
    except InputError:
        return b""


def _used_palette(path: Path) -> dict[int, tuple[int, int, int]]:
    try:
        with open_picture(path) as (image, header):
            if header.mode != "P":
                return {}
            flat = image.getpalette() or []
            used = np.unique(np.asarray(image))
    except InputError:
        return {}
    return {
        int(index): (flat[3 * index], flat[3 * index + 1], flat[3 * index + 2])
        for index in map(int, used)
        if 3 * index + 2 < len(flat)
    }


def _common_palette(reads: Iterable[_Read]) -> dict[int, tuple[int, int, int]]:
    merged: dict[int, tuple[int, int, int]] = {}
    for one in reads:
        merged.update(one.palette)
    return merged


def _read(pair: tuple[Path, Path], kind: LabelKind, channel: int | None) -> _Read:
    image, label = pair
    try:
        raw = read_label(label, kind, channel)
    except InputError as error:
        return _Read(error=str(error))
    values, inverse, counts = np.unique(raw, return_inverse=True, return_counts=True)
    heights = np.repeat((np.arange(raw.shape[0]) + 0.5) / raw.shape[0], raw.shape[1])
    rows = np.bincount(inverse.ravel(), weights=heights, minlength=values.size)
    inside = np.bincount(inverse.reshape(raw.shape)[_surrounded(raw)], minlength=values.size)
    same = True
    # The check that follows lists unreadable images.
    with suppress(InputError):
        same = read_header(image).size == (raw.shape[1], raw.shape[0])
    found = [
        (int(v), int(n), float(r), int(i)) for v, n, r, i in zip(values, counts, rows, inside, strict=True)
    ]
    found.sort(key=lambda one: -one[1])
    palette = _used_palette(label) if kind == "ids" else {}
    return _Read(found[: 16 * MOST_VALUES], same, palette)


def _surrounded(raw: NDArray[Any]) -> NDArray[np.bool_]:
    """(H, W): whether a pixel's four neighbors have its value; neighbors beyond the edge do not matter."""
    same = np.ones(raw.shape, bool)
    down, right = raw[1:] == raw[:-1], raw[:, 1:] == raw[:, :-1]
    same[1:] &= down
    same[:-1] &= down
    same[:, 1:] &= right
    same[:, :-1] &= right
    return same


def without_soft_edges(values: Values) -> Values:
    """The values without those that smooth edges, resizing or compression made between the true ones.

    Such values are many, cover little, and have no inside.

    Raises:
        InputError: more values than there can be classes.
    """
    soft = tuple(one for one in values.values if one.inside < _INSIDE or one.share < _TRACE)
    true = tuple(one for one in values.values if one not in soft)
    covered = sum(one.share for one in soft)
    if true and len(soft) >= _MANY_SOFT and len(soft) > 2 * len(true) and covered < _MOST_SOFT:
        note = (
            f"{len(soft)} values ({covered:.1%} of the pixels) only lie along edges of {len(true)} others: "
            f"the masks were drawn with smooth edges, resized or saved with compression; the {len(true)} are "
            f"proposed as classes and the rest is ignored, but masks that are made anew are better"
        )
        return replace(values, values=true, soft=soft, notes=(*values.notes, note))
    if len(values.values) > MOST_VALUES + 1:
        raise InputError(
            f"{values.sampled} labels hold {len(values.values)} different "
            f"{'colors' if values.kind == 'rgb' else 'ids'}: no class labels (instance ids, depth, or labels "
            f"that were resized or saved with compression); give a folder with one value per class"
        )
    return values


def key_of(value: int, values: Values) -> int | str:
    """A value as a key of the YAML's map: an id, or a color as `128,64,128`."""
    return color_key(value) if values.kind == "rgb" else value


def _rgb(value: int) -> tuple[int, int, int]:
    return value >> 16, value >> 8 & 255, value & 255
