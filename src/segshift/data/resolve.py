"""Dataset arguments such as `camvid:PATH:val`, `my.yaml` or `city:day,count=500`, and what they mean."""

import os
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from segshift import city
from segshift.config import did_you_mean, parse
from segshift.data.labels import ClassSet, agreed_classes, class_set
from segshift.data.spec import Dataset, DatasetSpec, LabelUse, Split, load_dataset
from segshift.documents import read_yaml
from segshift.errors import InputError, shown
from segshift.files import expanded
from segshift.folders import url_of
from segshift.progress import LISTENER

CITY_SIZE = (480, 360)
CITY_COUNT = 2000
CITY_VAL = 200
DATA_VARIABLE = "SEGSHIFT_DATA"
"""The environment variable of a folder of data sets: `gta5` alone is then `gta5:$SEGSHIFT_DATA/gta5`."""
_LARGEST_SIDE = 2**14

_YAML = re.compile(r"(?P<path>.*?\.ya?ml)(?::(?P<rest>.*))?", re.DOTALL)
_NAME = re.compile(r"(?P<path>city:[^,:]*|[^:]*)")
_SIZE = re.compile(r"(\d{1,9})[xX](\d{1,9})")
_FORMS = "use NAME:PATH, FILE.yaml or city:STYLE, each with an optional :SPLIT"


@dataclass(frozen=True)
class CatalogEntry:
    """One entry of `segshift data list`; `spec` and its file `path` are None for the styles of the city."""

    name: str
    argument: str
    description: str
    license: str
    classes: ClassSet
    splits: tuple[str, ...]
    spec: DatasetSpec | None = None
    path: Path | None = None


def catalog() -> tuple[CatalogEntry, ...]:
    """The data sets that have a name: the catalogue's YAML files, and the built-in city's styles."""
    entries = []
    for name, path in _catalog_files().items():
        spec = parse(DatasetSpec, read_yaml(path), where=name)
        entries.append(_entry(name, f"{name}:PATH", spec, class_set(spec.classes, name=name), path))
    for style in _styles():
        entries.append(
            CatalogEntry(
                f"city:{style}",
                f"city:{style}[,size=WxH][,count=N][,val=M][,seed=S]",
                f"procedural street scenes, {style}, rendered on this machine at their first use",
                "that of segshift (Apache-2.0)",
                class_set("cityscapes19"),
                ("train", "val"),
            )
        )
    return tuple(entries)


def describe(name: str) -> CatalogEntry:
    """What the YAML of a name of `segshift data list`, or of a file, says. Raises InputError for others."""
    if _YAML.fullmatch(name) is not None:
        dataset = load_dataset(_yaml_path(name), where=name)
        return _entry(dataset.spec.name, name, dataset.spec, dataset.classes, Path(name))
    entries = {entry.name: entry for entry in catalog()}
    if name not in entries:
        raise InputError(f"{name!r} is no data set{did_you_mean(name, list(entries))}")
    return entries[name]


def _entry(name: str, argument: str, spec: DatasetSpec, classes: ClassSet, path: Path) -> CatalogEntry:
    return CatalogEntry(
        name, argument, spec.description, spec.license, classes, tuple(spec.splits), spec, path
    )


def resolve(argument: str, split: str = "train", *, labels: LabelUse = "needed") -> Split:
    """The split that a dataset argument names, its files found.

    ROOT and FILE may lie in object storage (`s3://BUCKET/PATH`); what a split needs is copied into the cache.

    Args:
        argument: `NAME[:ROOT][:SPLIT]` for a catalogue entry, `FILE.yaml[:ROOT][:SPLIT]` for an own data set,
            or `city:STYLE[,size=WxH][,count=N][,val=M][,seed=S][:SPLIT]`, which is rendered into the cache
            at its first use. The root of a catalogue entry may be left out if $SEGSHIFT_DATA is a folder
            that holds one for it.
        split: the split when the argument names none.
        labels: what they are wanted for (see `Dataset.split`).

    Raises:
        InputError: an argument of another form, or whatever the data set's YAML or files get wrong.
    """
    dataset, named = locate(argument)
    return dataset.split(named or split, labels=labels)


def locate(argument: str) -> tuple[Dataset, str | None]:
    """The data set of an argument as `resolve` takes it, and the split if the argument names one.

    Raises:
        InputError: as `resolve`, apart from what concerns a split's files.
    """
    head, _, rest = argument.partition(":")
    if head == "city":
        return _locate_city(argument, rest)
    own = _YAML.fullmatch(argument)
    if own is not None:
        return _locate(_yaml_path(own["path"]), own["path"], own["rest"] or "", argument, needs_root=False)
    files = _catalog_files()
    if head in files:
        return _locate(files[head], head, rest, argument, needs_root=True)
    if argument and os.path.isdir(expanded(argument)):
        raise InputError(
            f"data {argument!r} is a folder; describe it in a YAML file and give that; to write one: "
            f"segshift data init {argument}"
        )
    raise InputError(
        f"data {argument!r}: {head!r} is no data set{did_you_mean(head, [*files, 'city'])} ({_FORMS})"
    )


def check_argument(argument: str, split: str | None = None) -> None:
    """Refuse at once what `resolve` would: nothing is searched for here, and no city rendered.

    Args:
        argument: of a data set.
        split: that must be there, unless the argument names one; None: any.

    Raises:
        InputError: as `locate`, or for a split that the data set does not describe.
    """
    head, _, rest = argument.partition(":")
    if head == "city":
        asked = _city(argument, rest)
        if split is not None and asked.split is None:
            _check_city_split(argument, split)
        return
    dataset, named = locate(argument)
    if split is not None and named is None:
        dataset.rule(split)


def file_of(argument: str) -> str | None:
    """The `FILE.yaml` in a dataset argument; None for a data set that has a name."""
    own = None if argument.startswith("city:") else _YAML.fullmatch(argument)
    return own and own["path"]


def absolute_argument(argument: str) -> str:
    """The argument that means the same data set in every working folder; a wrong one stays as it is."""
    file = file_of(argument)
    head, _, rest = argument.partition(":")
    if file is not None and url_of(file) is not None:
        return argument
    if file is not None:
        path, head = expanded(file), os.path.abspath(expanded(file))
        rest = argument.removeprefix(file).removeprefix(":")
    elif head in _catalog_files():
        path = _catalog_files()[head]
    else:
        return argument
    try:
        root, split = _root_and_split(rest, load_dataset(path), argument, head)
    except InputError:
        return argument
    if root and url_of(root) is None:
        root = os.path.abspath(expanded(root))
    return ":".join(part for part in (head, root, split) if part)


def _yaml_path(path: str) -> str | Path:
    """Where a YAML is: a URL as it stands, or a path."""
    return path if url_of(path) is not None else expanded(path)


def _locate(
    path: str | Path, where: str, rest: str, argument: str, *, needs_root: bool
) -> tuple[Dataset, str | None]:
    dataset = load_dataset(path, where=where)
    root, split = _root_and_split(rest, dataset, argument, where)
    if root is None and needs_root and dataset.spec.root is None:
        return load_dataset(path, _default_root(dataset, argument), where=where), split
    return load_dataset(path, root, where=where), split


def _default_root(dataset: Dataset, argument: str) -> Path:
    spec, name = dataset.spec, dataset.where
    folder = spec.folder or name
    shared = os.environ.get(DATA_VARIABLE)
    root = expanded(shared) / folder if shared else None
    if root is not None and root.is_dir():
        return root
    looked = f", or set {DATA_VARIABLE} to a folder with it as {folder}" if root is None else f"; no {root}"
    source = f"get it from {spec.homepage} " if spec.homepage else ""
    raise InputError(
        f"data {argument!r}: {name} needs the folder of its files ({source}as {dataset.expected}): write "
        f"{name}:PATH{looked}; more: segshift data show {name}"
    )


def _root_and_split(rest: str, dataset: Dataset, argument: str, where: str) -> tuple[str | None, str | None]:
    splits = tuple(dataset.spec.splits)
    if not rest:
        return None, None
    before, separator, last = rest.rpartition(":")
    # A split's name wins over a folder of that name, which can be written ./train.
    if last in splits:
        return (before or None), last
    if url_of(rest) is not None:
        return rest, None
    if separator and not os.path.isdir(expanded(rest)):
        raise InputError(f"data {argument!r}: {last!r} is no split of {where}{did_you_mean(last, splits)}")
    if not os.path.isdir(expanded(rest)):
        raise InputError(
            f"data {argument!r}: {rest!r} is neither an existing folder nor a split of {where}"
            f"{did_you_mean(rest, splits)}{_source(dataset)}"
        )
    return rest, None


def _source(dataset: Dataset) -> str:
    """For a message that ends: where a public data set's files are from, and what they are to look like."""
    homepage = dataset.spec.homepage
    return f"; get it from {homepage} as {dataset.expected}" if homepage else ""


@dataclass(frozen=True)
class _City:
    """What the argument of a built-in city says."""

    style: str
    size: tuple[int, int]
    count: int
    val: int
    seed: int
    split: str | None


def _city(argument: str, rest: str) -> _City:
    settings, _, split = rest.partition(":")
    style, *assignments = settings.split(",")
    if style not in _styles():
        raise InputError(
            f"data {argument!r}: {style!r} is no style of the city{did_you_mean(style, _styles())}"
        )
    if split:
        _check_city_split(argument, split)
    size, numbers = CITY_SIZE, {"count": CITY_COUNT, "val": CITY_VAL, "seed": 0}
    for assignment in assignments:
        key, _, value = assignment.partition("=")
        if key == "size":
            match = _SIZE.fullmatch(value)
            if match is None or not all(1 <= int(side) <= _LARGEST_SIDE for side in match.groups()):
                raise InputError(
                    f"data {argument!r}: size={shown(value)} is no size of 1 to {_LARGEST_SIDE} px each way; "
                    "write it as size=480x360"
                )
            size = (int(match[1]), int(match[2]))
        elif key in numbers:
            least = int(key == "count")
            if not value.isdecimal() or len(value) > 9 or int(value) < least:
                raise InputError(
                    f"data {argument!r}: {key}={shown(value)} must be a whole number up to 999999999"
                )
            numbers[key] = int(value)
        else:
            raise InputError(
                f"data {argument!r}: unknown setting {key!r}{did_you_mean(key, ['size', *numbers])}"
            )
    return _City(style, size, **numbers, split=split or None)


def _check_city_split(argument: str, split: str) -> None:
    if split not in ("train", "val"):
        raise InputError(f"data {argument!r}: {split!r} is no split of the city; use train or val")


def _locate_city(argument: str, rest: str) -> tuple[Dataset, str | None]:
    asked = _city(argument, rest)
    path = city.cached_dataset(
        asked.style,
        count=asked.count,
        val=asked.val,
        size=asked.size,
        seed=asked.seed,
        progress=LISTENER.get(),  # rendering takes minutes, once
    )
    return load_dataset(path), asked.split


def _styles() -> list[str]:
    return [style.removeprefix("city:") for style in city.STYLES]


def _catalog_files() -> dict[str, Path]:
    # The package is always installed as plain files (its YAML is package data), so a Path is enough.
    folder = Path(str(resources.files("segshift.data").joinpath("catalog")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def is_data_set(argument: str) -> bool:
    """Whether an argument that may also be a file or folder of images means a data set."""
    path = Path(argument)
    if path.exists():
        return path.suffix.lower() in (".yaml", ".yml")
    head = argument.partition(":")[0]
    return head == "city" or head.endswith((".yaml", ".yml")) or head in _catalog_files()


def classes_of(argument: str) -> ClassSet:
    """The classes of a dataset argument, of which neither folder nor images need be there.

    Raises:
        InputError: no name of `segshift data list`, or whatever an own YAML gets wrong.
    """
    own = _YAML.fullmatch(argument)
    named = _NAME.match(argument) if own is None else own
    return describe(named["path"] if named else argument).classes


def agree(source: Split, target: Split, common: str | list[str] | None) -> ClassSet:
    """The classes that training uses for two splits; see `segshift.data.labels.agreed_classes`.

    Raises:
        InputError: different classes without `common`, or a common class that one of the two lacks.
    """
    try:
        return agreed_classes(source.classes, target.classes, common)
    except InputError as error:
        raise InputError(f"{source.title} and {target.title}: {error}") from None
