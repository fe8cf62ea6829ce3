"""Class sets, their colors, and the table that turns the train ids of one set into those of another."""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from segshift.config import Strict, did_you_mean, parse
from segshift.documents import parse_yaml
from segshift.errors import InputError
from segshift.ranges import Byte
from segshift.train_ids import IGNORE

Color = tuple[Byte, Byte, Byte]


@dataclass(frozen=True)
class ClassSet:
    """The classes of a task: train id `i` is `names[i]`, drawn in the 8-bit RGB color `colors[i]`."""

    name: str
    names: tuple[str, ...]
    colors: tuple[Color, ...]

    def __post_init__(self) -> None:
        if not self.names:
            raise InputError(f"classes {self.name}: the list is empty; name at least one class")
        if len(self.names) > IGNORE:
            raise InputError(
                f"classes {self.name}: {len(self.names)} classes, but train ids end at {IGNORE - 1}"
            )
        if not all(name.strip() for name in self.names):
            raise InputError(f"classes {self.name}: a name is empty; give every class one")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise InputError(f"classes {self.name}: {twice[0]!r} stands twice; name every class once")
        if len(self.colors) != len(self.names):
            raise InputError(
                f"classes {self.name}: {len(self.colors)} colors for {len(self.names)} classes; give one "
                f"per class"
            )

    @property
    def count(self) -> int:
        """The number of classes C."""
        return len(self.names)

    @property
    def palette(self) -> NDArray[np.uint8]:
        """(256, 3) uint8 RGB, indexed by train id; ignore (255) and unused ids are black."""
        palette = np.zeros((256, 3), np.uint8)
        palette[: self.count] = np.array(self.colors, np.uint8)
        return palette

    def listing(self) -> str:
        """The set in one line for messages, such as `camvid11 (sky, building, ...)`."""
        return f"{self.name} ({', '.join(self.names)})"


class _Merger(Strict):
    source: str
    target: str
    classes: dict[str, str]


class LabelMap(Strict):
    """Ids of label files with a name of their own: `classes` of ids, and the ids that count nowhere."""

    classes: dict[int, str]
    ignore: tuple[int, ...] = ()


class _Sets(Strict):
    colors: dict[str, Color]
    sets: dict[str, tuple[str, ...]]
    aliases: dict[str, str]
    mergers: tuple[_Merger, ...]
    label_maps: dict[str, LabelMap]


@lru_cache(maxsize=1)
def _sets() -> _Sets:
    text = resources.files("segshift.data").joinpath("class_sets.yaml").read_text(encoding="utf-8")
    data = parse_yaml(text, where="class_sets.yaml")
    # `from` is a Python keyword, so the fields carry other names than the file's keys.
    data["mergers"] = [
        {"source": item["from"], "target": item["to"], "classes": item["classes"]} for item in data["mergers"]
    ]
    return parse(_Sets, data, where="class_sets.yaml")


def class_set_names() -> tuple[str, ...]:
    """The names of the built-in class sets."""
    return tuple(_sets().sets)


def label_map_names() -> tuple[str, ...]:
    """The names of the maps of label ids that `label_map` knows."""
    return tuple(_sets().label_maps)


def label_map(name: str) -> LabelMap:
    """A named map of label ids (`cityscapes_ids`). Raises InputError for an unknown name."""
    maps = _sets().label_maps
    if name not in maps:
        raise InputError(f"{name!r} is no named label map{did_you_mean(name, list(maps))}")
    return maps[name]


def class_set(
    classes: str | Sequence[str], *, name: str = "custom", palette: str | Sequence[Color] | None = None
) -> ClassSet:
    """A built-in class set by its name (`cityscapes19`, `camvid11`, ...), or a set made of a list of names.

    Args:
        classes: the name of a built-in set, or the class names in the order of their train ids.
        name: what to call a set that is made of a list.
        palette: the colors. The name of a built-in set takes that set's colors: its own for a class of the
            same name, the remaining ones in order for the others. A list gives one color per class. Without
            it, classes with a well-known name have Cityscapes' color and the others distinct generated ones.

    Raises:
        InputError: an unknown set, an empty list, a class named twice, or a list of colors of another length.
    """
    names: tuple[str, ...]
    spare: tuple[Color, ...] = ()
    if isinstance(classes, str):
        name, names = _builtin(classes, "class set")
    else:
        names = tuple(classes)
    if palette is None:
        known = _sets().colors
    elif isinstance(palette, str):
        _, of_palette = _builtin(palette, "palette")
        known = {entry: _sets().colors[entry] for entry in of_palette}
        spare = tuple(known[entry] for entry in of_palette if entry not in names)
    else:
        return ClassSet(name, names, tuple(palette))
    return ClassSet(name, names, _colors(names, known, spare))


def _builtin(name: str, what: str) -> tuple[str, tuple[str, ...]]:
    sets = _sets()
    full = sets.aliases.get(name, name)
    if full not in sets.sets:
        raise InputError(f"{name!r} is no {what}{did_you_mean(name, [*sets.sets, *sets.aliases])}")
    return full, sets.sets[full]


def _colors(names: Sequence[str], known: dict[str, Color], spare: Sequence[Color]) -> tuple[Color, ...]:
    used = {known[name] for name in names if name in known}
    candidates = iter([*spare, *distinct_colors(len(names) + len(used) + len(spare))])
    colors = []
    for name in names:
        color = known.get(name) or next(candidate for candidate in candidates if candidate not in used)
        used.add(color)
        colors.append(color)
    return tuple(colors)


def distinct_colors(count: int) -> list[Color]:
    """`count` different 8-bit RGB colors, far apart for small counts, none near black (black is ignore)."""
    golden = (5**0.5 - 1) / 2  # steps of the golden ratio spread hues evenly for every count
    colors: list[Color] = []
    step = 0
    while len(colors) < count:
        saturation, value = (0.85, 0.55, 0.7)[step % 3], (0.95, 0.8, 0.6)[step // 3 % 3]
        red, green, blue = colorsys.hsv_to_rgb(step * golden % 1.0, saturation, value)
        color = (round(red * 255), round(green * 255), round(blue * 255))
        if color not in colors:
            colors.append(color)
        step += 1
    return colors


def class_mapping(source: ClassSet, target: ClassSet) -> NDArray[np.uint8]:
    """The table from train ids of `source` to train ids of `target`: (256,) uint8, `mapped = table[label]`.

    Classes map by name, then by the mergers of `class_sets.yaml` (Cityscapes' trucks are CamVid's cars).
    Everything else, 255 among it, becomes 255 (ignore).

    Raises:
        InputError: a class of `target` that no class of `source` maps to; both sets are listed.
    """
    mergers = _mergers(source, target)
    table = np.full(256, IGNORE, np.uint8)
    position = {name: index for index, name in enumerate(target.names)}
    for index, name in enumerate(source.names):
        match = position.get(name, position.get(mergers.get(name, "")))
        if match is not None:
            table[index] = match
    missing = [name for index, name in enumerate(target.names) if index not in table[: source.count]]
    if missing:
        raise InputError(
            f"classes {source.listing()} have nothing for {', '.join(missing)} of {target.listing()}; "
            f"{_remedy(source, target)}"
        )
    return table


def _mergers(source: ClassSet, target: ClassSet) -> dict[str, str]:
    sets = _sets()
    for merger in sets.mergers:
        if target.names == sets.sets[merger.target] and set(source.names) <= set(sets.sets[merger.source]):
            return merger.classes
    return {}


def _reaches(source: ClassSet, target: ClassSet) -> bool:
    mergers = _mergers(source, target)
    return set(target.names) <= {*source.names, *(mergers.get(name, "") for name in source.names)}


def common_class_sets(source: ClassSet, target: ClassSet) -> list[str]:
    """The names of the built-in sets whose every class both sets can supply, the largest first."""
    sets = [class_set(name) for name in class_set_names()]
    fitting = [one for one in sets if _reaches(source, one) and _reaches(target, one)]
    return [one.name for one in sorted(fitting, key=lambda one: -one.count)]


def _remedy(source: ClassSet, target: ClassSet) -> str:
    fitting = common_class_sets(source, target)
    shared = [name for name in source.names if name in target.names]
    if not fitting and not shared:
        return "they share no name: call equal classes the same in both data sets' YAML files"
    choice = fitting[0] if fitting else f"[{', '.join(shared)}]"
    return f"name the common ones with the key `classes:` or --set 'classes={choice}'"


def agreed_classes(source: ClassSet, target: ClassSet, common: str | Sequence[str] | None) -> ClassSet:
    """The classes that training uses for two domains.

    Without `common` both must name the same classes; the result has the source's order and colors. With
    `common` (a set's name or a list of names) the result is that set, which both must be able to supply.

    Raises:
        InputError: different classes without `common`, or a common class that one of the two lacks.
    """
    if common is None:
        if set(source.names) == set(target.names):
            return source
        raise InputError(
            f"source and target have different classes: {source.listing()} against {target.listing()}; "
            f"{_remedy(source, target)}"
        )
    if isinstance(common, str):
        agreed = class_set(common)
    else:
        colors = dict(zip(target.names + source.names, target.colors + source.colors, strict=True))
        agreed = class_set(common)
        agreed = class_set(
            common,
            palette=[
                colors.get(name, color) for name, color in zip(agreed.names, agreed.colors, strict=True)
            ],
        )
    class_mapping(source, agreed)
    class_mapping(target, agreed)
    return agreed
