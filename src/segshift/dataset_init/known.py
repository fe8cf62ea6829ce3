"""The label rules that are known: maps that several data sets share, train ids, the catalogue's."""

from collections.abc import Iterator
from dataclasses import dataclass

from segshift.data.decoder import LabelRule, build_decoder
from segshift.data.labels import class_set, class_set_names, label_map_names
from segshift.data.resolve import catalog
from segshift.dataset_init.values import Values
from segshift.train_ids import IGNORE

# What Cityscapes and CARLA draw in a color of its own and do not count.
_CITYSCAPES_VOID = (
    (0, 0, 0), (111, 74, 0), (81, 0, 81), (250, 170, 160), (230, 150, 140), (180, 165, 180), (150, 100, 100),
    (150, 120, 90), (153, 153, 153), (0, 0, 90), (0, 0, 110), (20, 20, 20),
)  # fmt: skip


@dataclass(frozen=True)
class KnownRule:
    """A label rule with its class set; `title` names it in a sentence."""

    title: str
    classes: str
    rule: LabelRule


def known_rules(values: Values) -> Iterator[KnownRule]:
    """Every known rule of the values' kind, once: first those that several data sets share."""
    seen = set()
    for candidate in [*_shared_rules(values), *_catalog_rules(values)]:
        key = (candidate.classes, candidate.rule.model_dump_json())
        if key not in seen:
            seen.add(key)
            yield candidate


def _shared_rules(values: Values) -> Iterator[KnownRule]:
    if values.kind == "rgb":
        yield _cityscapes_colors()
        return
    for name in label_map_names():
        rule = LabelRule(kind="ids", map=name, channel=values.channel)
        yield KnownRule(f"the label map {name}", "cityscapes19", rule)
    for name in class_set_names():
        rule = LabelRule(kind="train_ids", channel=values.channel)
        yield KnownRule(f"the train ids of {name}", name, rule)


def _catalog_rules(values: Values) -> Iterator[KnownRule]:
    for entry in catalog():
        if entry.spec is None or not isinstance(entry.spec.classes, str):
            continue
        rule = entry.spec.labels
        if ("ids" if rule.kind == "train_ids" else rule.kind) == values.kind:
            yield KnownRule(
                f"the label values of {entry.name} (segshift data show {entry.name})",
                entry.spec.classes,
                rule.model_copy(
                    update={"channel": values.channel, "other": "ignore", "unequal_sizes": "error"}
                ),
            )


def _cityscapes_colors() -> KnownRule:
    classes = class_set("cityscapes19")
    named: dict[int | str, str] = {
        f"{red},{green},{blue}": name
        for name, (red, green, blue) in zip(classes.names, classes.colors, strict=True)
    }
    void = [f"{red},{green},{blue}" for red, green, blue in _CITYSCAPES_VOID]
    ignored = tuple(color for color in void if color not in named)
    rule = LabelRule(kind="rgb", map={**named}, ignore=ignored)
    return KnownRule("Cityscapes' colors", "cityscapes19", rule)


def named_by(candidate: KnownRule, values: Values) -> dict[int, str | None]:
    """The class of every seen value; None for those that the rule ignores or does not know."""
    classes = class_set(candidate.classes)
    known = build_decoder(candidate.rule, classes, candidate.title).values
    return {
        one.value: None if known.get(one.value, IGNORE) == IGNORE else classes.names[known[one.value]]
        for one in values.values
    }


def coverage(candidate: KnownRule, values: Values) -> float:
    """The share of the pixels whose value the rule knows."""
    known = build_decoder(candidate.rule, class_set(candidate.classes), candidate.title).values
    return sum(one.share for one in values.values if one.value in known)
