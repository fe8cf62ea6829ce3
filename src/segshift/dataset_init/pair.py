"""Which files are images, which are labels, and which label belongs to which image."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from segshift.dataset_init.contents import Appearance, appearance
from segshift.dataset_init.names import Name, Role, place, role, take_apart
from segshift.dataset_init.scan import Tree
from segshift.plain import counted

_LOOKED_AT = 3
Signature = tuple[tuple[str, ...], str, str, str]


@dataclass
class Family:
    """Files of one folder that are named alike: `files` gives the file name of each core.

    `twins` are further files of the same cores: the same name in another format.
    """

    folder: str
    prefix: str
    suffix: str
    role: Role | None
    files: dict[str, str] = field(default_factory=dict)
    twins: list[str] = field(default_factory=list)

    def path(self, core: str) -> str:
        """The file of a core, relative to the root."""
        name = self.files[core]
        return f"{self.folder}/{name}" if self.folder else name

    @property
    def signature(self) -> Signature:
        """What families of one kind share in every folder."""
        extension = PurePosixPath(next(iter(self.files.values()))).suffix.lower()
        return place(self.folder).words, self.prefix, self.suffix, extension


@dataclass(frozen=True)
class Group:
    """Images of one folder that are named alike, with the family of their labels if there is one."""

    images: Family
    labels: Family | None

    @property
    def labelled(self) -> tuple[str, ...]:
        """The cores that have a label, sorted."""
        return tuple(sorted(core for core in self.images.files if self.labels and core in self.labels.files))

    @property
    def unlabelled(self) -> tuple[str, ...]:
        """The cores that have none, sorted."""
        return tuple(sorted(set(self.images.files) - set(self.labelled)))


@dataclass(frozen=True)
class Pairing:
    """The groups of a tree, and what was left out of them, in sentences."""

    groups: tuple[Group, ...]
    notes: tuple[str, ...]


def pair(tree: Tree) -> Pairing:
    """Sort the files of a tree into images and labels, and pair them by name and folder."""
    notes: list[str] = []
    families = _classified(tree, _families(tree.pictures))
    images = _merged(one for one in families if one.role == "image")
    labels = [one for one in families if one.role in ("label", "color")]
    others = [one for one in families if one.role not in ("image", "label", "color")]
    if others:
        count = sum(len(one.files) for one in others)
        strange = counted(count, "file is no image or label", "files are no images or labels")
        first = others[0].path(min(others[0].files))
        notes.append(f"{strange} by name or pixels, and left out, first {first}")
    candidates: dict[int, list[Family]] = defaultdict(list)
    orphans: list[Family] = []
    alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, one in enumerate(images):
        alike[place(one.folder).rest].append(index)
    for family in labels:
        # Folders that are named alike come first; trees of thousands of sequences are not compared in full.
        near = alike.get(place(family.folder).rest, ())
        best = _best_images(family, images, near)
        if best is None:
            best = _best_images(family, images, range(len(images)))
        if best is None:
            orphans.append(family)
        else:
            candidates[best].append(family)
    coverage: Counter[Signature] = Counter()
    for found in candidates.values():
        for family in found:
            coverage[family.signature] += len(family.files)
    groups = []
    passed_over: Counter[str] = Counter()
    for index, one in enumerate(images):
        ranked = sorted(candidates.get(index, ()), key=lambda family: _rank(family, coverage), reverse=True)
        labelled = ranked[0] if ranked else None
        if one.twins and labelled is not None:
            notes.append(
                f"{counted(len(one.twins), 'image')} of {one.folder or 'the root'} with the name of another, "
                f"first {min(one.twins)}; one of each is used, since both would have one label"
            )
        elif one.twins:
            # Without labels nothing is in doubt: both are images.
            one.files.update({name: name for name in one.twins})
        groups.append(Group(one, labelled))
        passed_over.update(_pattern(family) for family in ranked[1:])
    if passed_over:
        notes.append(
            f"other labels of the same images are not used: {', '.join(sorted(passed_over)[:4])}; write one "
            f"of them into `labels` below if it is the right one"
        )
    if orphans:
        count = sum(len(one.files) for one in orphans)
        first = orphans[0].path(min(orphans[0].files))
        notes.append(f"{counted(count, 'label belongs', 'labels belong')} to no image, first {first}")
    return Pairing(tuple(groups), tuple(notes))


def _families(pictures: Iterable[str]) -> list[Family]:
    found: dict[tuple[str, str, str, str], Family] = {}
    for picture in pictures:
        folder, _, file_name = picture.rpartition("/")
        name = take_apart(file_name)
        key = (folder, name.prefix, name.suffix, name.extension.lower())
        if key not in found:
            found[key] = Family(folder, name.prefix, name.suffix, None)
        found[key].files[name.core] = file_name
    return list(found.values())


def _classified(tree: Tree, families: list[Family]) -> list[Family]:
    """Every family with its role: pixels decide where they are clear, names where they are not."""
    alike: dict[tuple[Role | None, Signature], list[Family]] = defaultdict(list)
    for family in families:
        first = min(family.files)
        name = Name(family.prefix, first, family.suffix, "")
        alike[role(family.folder, name), family.signature].append(family)
    for (named, _), members in alike.items():
        looks = _looks(tree, members)
        # Folders whose names say nothing (a, b) may hold different things.
        apart = named is None and len(members) > 1 and len(looks) > 1
        for member in members:
            member.role = _decide(named, _looks(tree, [member]) if apart else looks)
    return families


def _looks(tree: Tree, members: Sequence[Family]) -> set[Appearance | None]:
    paths = [one.path(core) for one in members for core in one.files]
    return {appearance(tree.root / paths[index * len(paths) // _LOOKED_AT]) for index in range(_LOOKED_AT)}


def _decide(named: Role | None, looks: set[Appearance | None]) -> Role | None:
    if named == "other":
        return "other"
    if "photo" in looks and "map" not in looks:
        # A label saved as JPEG stays a label: the check says what is wrong with it.
        return "label" if named == "label" else "image"
    if "map" in looks and "photo" not in looks:
        return "image" if named == "image" else named or "label"
    return named or ("image" if looks == {None} else None)


def _merged(families: Iterable[Family]) -> list[Family]:
    """Image families that differ in nothing but the file suffix (jpg beside png) as one."""
    found: dict[tuple[str, str, str], Family] = {}
    for one in sorted(families, key=lambda family: -len(family.files)):
        key = (one.folder, one.prefix, one.suffix)
        if key not in found:
            found[key] = Family(*key, "image", dict(one.files))
            continue
        found[key].twins += [name for core, name in one.files.items() if core in found[key].files]
        found[key].files = {**one.files, **found[key].files}
    return sorted(found.values(), key=lambda family: (family.folder, family.prefix, family.suffix))


def _best_images(labels: Family, images: Sequence[Family], among: Iterable[int]) -> int | None:
    """The image family that the labels belong to: by folders and names in common; None without any."""
    own = place(labels.folder).rest
    best, best_score = None, (0, 0.0, 0)
    for index in among:
        one = images[index]
        other = place(one.folder).rest
        shared = sum(1 for core in labels.files if core in one.files) / len(labels.files)
        if not shared:
            continue
        relation = int(_within(own, other) or _within(other, own))
        score = (relation, shared, _common(labels.folder, one.folder))
        if best is None or score > best_score:
            best, best_score = index, score
    return best


def _within(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    rest = iter(long)
    return all(word in rest for word in short)


def _common(one: str, other: str) -> int:
    parts = 0
    for left, right in zip(PurePosixPath(one).parts, PurePosixPath(other).parts, strict=False):
        if left != right:
            break
        parts += 1
    return parts


def _rank(labels: Family, coverage: Counter[Signature]) -> tuple[int, int, int]:
    words = f"{labels.folder} {labels.suffix}".lower()
    # Label ids say more than train ids made of them, and both more than the colors for people.
    quality = 0 if labels.role == "color" else 1 if "trainid" in words else 2
    return quality, "fine" in words, coverage[labels.signature]


def _pattern(labels: Family) -> str:
    extension = labels.signature[3]
    return f"{labels.folder + '/' if labels.folder else ''}{labels.prefix}*{labels.suffix}{extension}"
