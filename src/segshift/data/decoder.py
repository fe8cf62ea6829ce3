"""The label rule of a data set, and how it turns the raw values of label files into train ids."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from segshift.config import Strict, did_you_mean
from segshift.data.label_files import LabelKind, read_label
from segshift.data.labels import ClassSet, label_map
from segshift.errors import InputError
from segshift.train_ids import IGNORE

_RGB = re.compile(r"\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*")
UNMAPPED = 256
"""What `LabelDecoder.look_up` gives for values outside the map, which `decode` makes 255 or an error."""


class LabelRule(Strict):
    """How label files are to be read.

    `train_ids`: the values are train ids already. `ids`: `map` turns values into class names; it may be the
    name of a built-in map instead, `cityscapes_ids`, whose classes that the data set lacks are ignored.
    `rgb`: `map` turns colors "R,G,B" into class names. `ignore` lists further values that count nowhere,
    `other` says what becomes of the rest, and `channel` selects one channel of files that have several.
    `unequal_sizes: resize` stretches a label to its image's size (nearest pixels) instead of refusing it.
    """

    kind: LabelKind = "train_ids"
    map: dict[int | str, str] | str = Field(default_factory=dict)
    other: Literal["ignore", "error"] = "ignore"
    ignore: tuple[int | str, ...] = ()
    channel: int | None = Field(default=None, ge=0, le=255)
    unequal_sizes: Literal["error", "resize"] = "error"


def color_key(value: int) -> str:
    """A color that is packed as 0xRRGGBB, as a data set's YAML writes it: `128,64,128`."""
    return f"{value >> 16},{value >> 8 & 255},{value & 255}"


@dataclass(frozen=True)
class LabelDecoder:
    """How one data set's label files become train ids.

    `values` maps raw values to train ids (255 = ignore). Raw values are ids 0..65535, or for `rgb` colors
    coded as R * 65536 + G * 256 + B. Values outside the map become 255 or, with `other="error"`, an error.
    `where` names the YAML file in errors.
    """

    kind: LabelKind
    values: Mapping[int, int]
    other: Literal["ignore", "error"] = "ignore"
    channel: int | None = None
    where: str = "the data set"
    unequal_sizes: Literal["error", "resize"] = "error"
    _keys: NDArray[np.int64] = field(init=False, repr=False, compare=False)
    _train_ids: NDArray[np.uint16] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        limit = 2**24 if self.kind == "rgb" else 2**16
        wrong = [value for value in self.values if not 0 <= value < limit]
        if wrong:
            raise InputError(
                f"{self.where}: `labels.map` names the id {wrong[0]}; ids must lie in 0..{limit - 1}"
            )
        keys = np.array(sorted(self.values), np.int64)
        train_ids = np.array([self.values[int(key)] for key in keys], np.uint16)
        if self.kind != "rgb":
            # Ids index a table directly, which is several times faster than searching.
            table = np.full(2**16, UNMAPPED, np.uint16)
            table[keys] = train_ids
            train_ids = table
        object.__setattr__(self, "_keys", keys)
        object.__setattr__(self, "_train_ids", train_ids)

    def read(self, path: Path, image_shape: tuple[int, ...] | None = None) -> NDArray[np.uint8]:
        """The label file as (H, W) uint8 train ids, `fitted` to its image's (H, W) if that is given.

        Raises:
            InputError: as `read_label` and `decode` do.
        """
        label = self.decode(self.read_raw(path), str(path))
        return label if image_shape is None else self.fitted(label, image_shape)

    def read_raw(self, path: Path) -> NDArray[Any]:
        """The label file's raw values, (H, W). Raises InputError as `read_label` does."""
        return read_label(path, self.kind, self.channel)

    def decode(self, raw: NDArray[Any], where: str = "label") -> NDArray[np.uint8]:
        """Raw values (H, W) as (H, W) uint8 train ids; `where` names the label in errors.

        Raises:
            InputError: a value outside the map when `other` is `error`.
        """
        found = self.look_up(raw)
        unknown = found == UNMAPPED
        if unknown.any():
            if self.other == "error":
                value, share = next(iter(self._shares(raw[unknown], raw.size).items()))
                raise InputError(
                    f"{where}: {self.name_of(value)} ({share:.2%} of its pixels) is not mapped by "
                    f"{self.where}; add it to `labels.map` or `labels.ignore`, or set other: ignore"
                )
            found[unknown] = IGNORE
        return found.astype(np.uint8)

    def fitted(self, label: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """A label (H, W) at its image's size `shape`, where the rule says `unequal_sizes: resize`.

        Every pixel takes the value of the nearest one by centers. With the rule `error`, and for equal sizes,
        the label comes back as it is.
        """
        if self.unequal_sizes == "error" or label.shape == shape:
            return label
        rows, columns = (
            ((np.arange(new) + 0.5) * old / new).astype(np.int64)
            for new, old in zip(shape, label.shape, strict=True)
        )
        return label[np.ix_(rows, columns)]

    def unmapped(self, raw: NDArray[Any]) -> dict[int, int]:
        """The raw values of (H, W) that are not in the map, with their numbers of pixels."""
        return _count(raw[self.look_up(raw) == UNMAPPED])

    def name_of(self, value: int) -> str:
        """A raw value as the YAML writes it: `id 7` or `color 128,64,128`."""
        if self.kind == "rgb":
            return f"color {color_key(value)}"
        return f"id {value}"

    def look_up(self, raw: NDArray[Any]) -> NDArray[np.uint16]:
        """Raw values as uint16 train ids of the same shape, 256 (`UNMAPPED`) for values outside the map."""
        if self.kind != "rgb":
            return np.take(self._train_ids, raw)
        if self._keys.size == 0:
            return np.full(raw.shape, UNMAPPED, np.uint16)
        position = np.minimum(np.searchsorted(self._keys, raw), self._keys.size - 1)
        return np.where(self._keys[position] == raw, self._train_ids[position], np.uint16(UNMAPPED))

    @staticmethod
    def _shares(raw: NDArray[Any], pixels: int) -> dict[int, float]:
        counts = _count(raw)
        return {value: counts[value] / pixels for value in sorted(counts, key=lambda value: -counts[value])}


def _count(raw: NDArray[Any]) -> dict[int, int]:
    values, counts = np.unique(raw, return_counts=True)
    return {int(value): int(number) for value, number in zip(values, counts, strict=True)}


def build_decoder(rule: LabelRule, classes: ClassSet, where: str) -> LabelDecoder:
    """The decoder of a label rule; `where` names the YAML. Raises InputError for a map that does not fit."""
    if rule.kind == "train_ids":
        if rule.map:
            raise InputError(
                f"{where}: `labels.map` needs kind: ids or rgb; kind train_ids takes values as they are"
            )
        values = {train_id: train_id for train_id in range(classes.count)} | {IGNORE: IGNORE}
    else:
        if not rule.map:
            raise InputError(
                f"{where}: `labels.map` is missing for kind {rule.kind}; map every value "
                f"to a class, or use kind: train_ids"
            )
        values = _mapped(rule, classes, where)
    for key in rule.ignore:
        value = _raw_value(key, rule.kind, f"{where}: `labels.ignore`")
        if values.get(value, IGNORE) != IGNORE:
            raise InputError(
                f"{where}: `labels.ignore` has {key!r}, which is class {classes.names[values[value]]!r} too"
            )
        values[value] = IGNORE
    return LabelDecoder(rule.kind, values, rule.other, rule.channel, where, rule.unequal_sizes)


def _mapped(rule: LabelRule, classes: ClassSet, where: str) -> dict[int, int]:
    position = {name: train_id for train_id, name in enumerate(classes.names)}
    if isinstance(rule.map, str):
        if rule.kind != "ids":
            raise InputError(f"{where}: `labels.map` = {rule.map!r} needs kind: ids; write the map out")
        try:
            named = label_map(rule.map)
        except InputError as error:
            raise InputError(f"{where}: `labels.map` = {error}") from None
        values = dict.fromkeys(named.ignore, IGNORE)
        return values | {value: position.get(name, IGNORE) for value, name in named.classes.items()}
    values = {}
    for key, name in rule.map.items():
        value = _raw_value(key, rule.kind, f"{where}: `labels.map`")
        if value in values:
            raise InputError(f"{where}: `labels.map` has {key!r} twice; keep one")
        if name not in position:
            raise InputError(
                f"{where}: `labels.map` {key} = {name!r} is no class{did_you_mean(name, classes.names)}"
            )
        values[value] = position[name]
    return values


def _raw_value(key: int | str, kind: LabelKind, where: str) -> int:
    if kind == "rgb":
        match = _RGB.fullmatch(str(key))
        if match is None or any(int(part) > 255 for part in match.groups()):
            raise InputError(f'{where} has {key!r}, not a color; write it as "R,G,B" with values 0..255')
        red, green, blue = (int(part) for part in match.groups())
        return red << 16 | green << 8 | blue
    try:
        value = int(key)
    except ValueError:
        raise InputError(
            f"{where} has {key!r}, not a number; kind {kind} needs ids (colors need kind: rgb)"
        ) from None
    if not 0 <= value < 2**16:
        raise InputError(f"{where} has the id {value}; ids must lie in 0..65535")
    return value
