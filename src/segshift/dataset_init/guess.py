"""What the values of labels may mean: the catalogue's label rules tried on them, or classes without names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from segshift.data.decoder import LabelRule, build_decoder
from segshift.data.labels import class_set
from segshift.dataset_init.known import KnownRule, coverage, known_rules, named_by
from segshift.dataset_init.values import Value, Values, key_of
from segshift.errors import InputError
from segshift.train_ids import IGNORE

# Where in a street picture (0 top, 1 bottom) the mean row of a class lies, in all the street sets seen.
_ROWS = {
    "road": (0.55, 1.0), "drivable": (0.55, 1.0), "sidewalk": (0.5, 1.0), "terrain": (0.45, 1.0),
    "sky": (0.0, 0.45), "building": (0.1, 0.6), "vegetation": (0.05, 0.65), "far objects": (0.1, 0.6),
    "car": (0.4, 0.95), "automobile": (0.4, 0.95), "vehicles": (0.4, 0.95),
}  # fmt: skip
_GROUND = ("road", "drivable")
_LEAST_GROUND = 0.03
_LEAST_FIT = 0.8
_MOST_UNKNOWN = 0.02
"""Share of the pixels whose value a fitting rule may not know: rare values that only some versions have."""
_LEAST_CLASSES = 6
_COLOR = re.compile(r"#?([0-9a-fA-F]{6})")


@dataclass(frozen=True)
class Meaning:
    """The proposed classes and label rule.

    Attributes:
        classes: the name of a built-in set, or names in the order of their train ids.
        rule: the label rule; its map is the name of a built-in one, or complete.
        named: raw value to class name (None: ignored) for the values that were seen.
        unknown: values that were seen and that the rule does not know; they become ignored.
        certain: False for classes without real names.
        reason: why, in one sentence.
    """

    classes: str | tuple[str, ...]
    rule: LabelRule
    named: Mapping[int, str | None]
    certain: bool
    reason: str
    unknown: tuple[int, ...] = ()


def guess(values: Values, hint: str) -> Meaning:
    """The known rule that explains the values best, else numbered classes.

    A rule explains values if it knows them and the classes lie where they do in a street picture: road below,
    sky above.

    Args:
        values: of the sampled labels.
        hint: names of folders and files, in which a data set's name may stand.
    """
    best: tuple[float, Meaning] | None = None
    for candidate in known_rules(values):
        meaning, score = _try(candidate, values, hint.lower())
        if meaning is not None and (best is None or score > best[0]):
            best = score, meaning
    if best is not None:
        return best[1]
    return _by_palette(values, hint) or _numbered(values)


def named_by_user(text: str, values: Values) -> Meaning:
    """The meaning that `--classes` gives: a class set, names in the order of the values, or `7=road,11=car`.

    Colors are written `#804080=road`. The name `ignore` stands for no class.

    Raises:
        InputError: an unknown set, another number of names than of values, a value or name twice.
    """
    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise InputError("--classes is empty; write a class set (cityscapes19) or names (floor,rack)")
    if len(names) == 1 and "=" not in names[0]:
        return _as_set(names[0], values)
    pairs = _assigned(names, values) if any("=" in name for name in names) else _in_order(names, values)
    classes = tuple(dict.fromkeys(name for name in pairs.values() if name is not None))
    if not classes:
        raise InputError("--classes names no class but ignore; name at least one")
    rule = _explicit(values, pairs)
    named = {one.value: pairs.get(one.value) for one in values.values}
    return Meaning(classes, rule, named, True, "as asked for")


def _as_set(name: str, values: Values) -> Meaning:
    try:
        chosen = class_set(name)
    except InputError as error:
        raise InputError(f"--classes: {error}; or one name per value, or VALUE=NAME,VALUE=NAME") from None
    fitting = [one for one in known_rules(values) if class_set(one.classes).names == chosen.names]
    scored = [(coverage(one, values), index) for index, one in enumerate(fitting)]
    if scored and max(scored)[0] >= 1 - _MOST_UNKNOWN:
        best = fitting[max(scored, key=lambda pair: (pair[0], -pair[1]))[1]]
        named = named_by(best, values)
        return Meaning(best.classes, best.rule, named, True, f"{name} as asked for; {best.title}")
    listed = ", ".join(_write(one.value, values) for one in values.values[:12])
    raise InputError(
        f"--classes {name}: the labels hold {listed}, which no known rule turns into {chosen.listing()}; "
        f"write the classes as VALUE=NAME,VALUE=NAME"
    )


def _in_order(names: list[str], values: Values) -> dict[int, str | None]:
    found = [one.value for one in values.values]
    # A last 255 is ignore in most data sets, if the number of names says so.
    if len(found) == len(names) + 1 and values.kind == "ids" and found[-1] == IGNORE:
        names = [*names, "ignore"]
    if len(found) != len(names):
        listed = ", ".join(_write(value, values) for value in found[:40])
        raise InputError(
            f"--classes has {len(names)} names, the labels {len(found)} values ({listed}); give one name per "
            f"value (ignore for none), or VALUE=NAME,VALUE=NAME"
        )
    return dict(zip(found, (None if name == "ignore" else name for name in names), strict=True))


def _assigned(names: list[str], values: Values) -> dict[int, str | None]:
    pairs: dict[int, str | None] = {}
    for part in names:
        key, separator, name = (piece.strip() for piece in part.partition("="))
        match = _COLOR.fullmatch(key) if values.kind == "rgb" else re.fullmatch(r"\d{1,5}", key)
        if not separator or not name or match is None:
            form = "#RRGGBB=NAME" if values.kind == "rgb" else "ID=NAME"
            raise InputError(f"--classes {part!r}: write it as {form}, separated by commas")
        value = int(match[1], 16) if values.kind == "rgb" else int(key)
        if value in pairs:
            raise InputError(f"--classes has {key} twice; keep one")
        pairs[value] = None if name == "ignore" else name
    return pairs


def _explicit(values: Values, pairs: Mapping[int, str | None]) -> LabelRule:
    return LabelRule(
        kind=values.kind,
        channel=values.channel,
        map={key_of(value, values): name for value, name in sorted(pairs.items()) if name is not None},
        ignore=tuple(key_of(value, values) for value, name in sorted(pairs.items()) if name is None),
    )


def _write(value: int, values: Values) -> str:
    return f"#{value:06x}" if values.kind == "rgb" else str(value)


def _try(candidate: KnownRule, values: Values, hint: str) -> tuple[Meaning | None, float]:
    """The candidate as a meaning if it is plausible, and how well it fits."""
    classes = class_set(candidate.classes)
    known = build_decoder(candidate.rule, classes, candidate.title).values
    strangers = [one for one in values.values if one.value not in known]
    # Values that the rule does not know at all speak against it, even rare ones.
    if sum(one.share for one in strangers) > _MOST_UNKNOWN or len(strangers) > 0.2 * len(values.values):
        return None, 0.0
    named = named_by(candidate, values)
    present = {name for name in named.values() if name is not None}
    title_words = re.findall(r"[a-z]+\d*", candidate.title.lower())
    hinted = any(len(word) > 3 and word in hint for word in title_words if word not in _COMMON_WORDS)
    if len(present) < (_LEAST_CLASSES if not hinted else 2):
        return None, 0.0
    fit = _fit(named, values.values)
    ground = sum(one.share for one in values.values if named[one.value] in _GROUND)
    if fit < _LEAST_FIT or ground < _LEAST_GROUND:
        return None, 0.0
    counted = sum(one.share for one in values.values if named[one.value] is not None)
    score = fit + counted + 0.02 * len(present) - 0.5 * len(strangers) / len(values.values) + 0.5 * hinted
    # Absent classes of a larger set count a little against it.
    score -= 0.01 * (classes.count - len(present))
    places = [
        f"{_write(one.value, values)} lies {'low' if one.row > 0.5 else 'high'} like {named[one.value]}"
        for one in sorted(values.values, key=lambda one: -one.share)
        if named[one.value] in ("road", "sky", "drivable") and one.share > 0.01
    ]
    reason = (
        f"the values fit {candidate.title}: {len(present)} of {classes.count} classes seen, "
        f"{counted:.0%} of the pixels have a class" + (f"; {' and '.join(places[:2])}" if places else "")
    )
    unknown = tuple(one.value for one in strangers)
    return Meaning(candidate.classes, candidate.rule, named, True, reason, unknown), score


_COMMON_WORDS = {"the", "label", "values", "train", "ids", "map", "of", "colors", "segshift", "data", "show"}


def _fit(named: Mapping[int, str | None], values: tuple[Value, ...]) -> float:
    """The share, among pixels of classes with a usual place, of those whose value lies there."""
    right = wrong = 0.0
    for one in values:
        usual = _ROWS.get(named[one.value] or "")
        if usual is not None and one.share >= 0.005:
            if usual[0] <= one.row <= usual[1]:
                right += one.share
            else:
                wrong += one.share
    return right / (right + wrong) if right else 0.0


def _by_palette(values: Values, hint: str) -> Meaning | None:
    """The meaning of the colors that palette PNGs show, if those are known; the ids are read nevertheless."""
    if values.kind != "ids" or any(one.color is None for one in values.values):
        return None
    colors = {one.value: _coded(one.color) for one in values.values if one.color is not None}
    if len(set(colors.values())) < len(colors):
        return None
    shown = replace(
        values,
        kind="rgb",
        channel=None,
        values=tuple(replace(one, value=colors[one.value]) for one in values.values),
    )
    for candidate in known_rules(shown):
        meaning, score = _try(candidate, shown, hint.lower())
        if meaning is not None and score > 0:
            named = {value: meaning.named[color] for value, color in colors.items()}
            reason = f"by the palette's colors, {meaning.reason}"
            return Meaning(meaning.classes, _explicit(values, named), named, True, reason)
    return None


def _coded(color: tuple[int, int, int]) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]


def _numbered(values: Values) -> Meaning:
    """A class of its own for each value, apart from 255, which is void nearly everywhere."""
    found = [one.value for one in values.values]
    # Masks drawn with smooth edges have no void: their 255 is what was drawn.
    void = {IGNORE} if values.kind == "ids" and len(found) > 2 and not values.soft else set()
    if values.kind == "rgb" and len(found) > 2 and 0 in found and not values.soft:
        void = {0}
    kept = [value for value in found if value not in void]
    numbers = range(len(kept)) if values.kind == "rgb" else kept
    names = {value: f"class_{number}" for value, number in zip(kept, numbers, strict=True)}
    named: dict[int, str | None] = {value: names.get(value) for value in found}
    what = "colors" if values.kind == "rgb" else "ids"
    reason = f"no known data set has these {what} in these places, so every value is a class without a name"
    if void:
        reason += f"; {'black' if values.kind == 'rgb' else '255'} is taken as void"
    return Meaning(tuple(names.values()), _explicit(values, named), named, False, reason)
