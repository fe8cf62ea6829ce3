"""`DatasetSpec`: the small YAML that describes a data set, and the splits that come of it."""

import posixpath
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal, Self

from pydantic import Field, model_validator

from segshift.config import Strict, did_you_mean, parse
from segshift.data.decoder import LabelDecoder, LabelRule, build_decoder
from segshift.data.finder import Sample, find_samples, is_there
from segshift.data.labels import ClassSet, Color, class_set
from segshift.data.list_files import invisible
from segshift.data.split_patterns import SplitSpec, check_patterns, may_find
from segshift.documents import read_yaml
from segshift.errors import InputError
from segshift.files import expanded
from segshift.folders import fetched_file, mirror_folder, mirrored, url_of


class DatasetSpec(Strict):
    """A data set: the YAML that a user writes, and that the catalogue is made of.

    `description`, `homepage` (where to get the files), `license`, `citation` and `layout` (the folder tree
    in words and names) are for people. `folder` is the folder below $SEGSHIFT_DATA that holds the files of a
    catalogue entry; its name by default. `upright` turns images as their EXIF orientation says, as photos are
    seen; labels are drawn on the pixels as stored, so that only a data set without any may say it.
    """

    name: str = Field(min_length=1)
    description: str = ""
    homepage: str = ""
    license: str = ""
    citation: str = ""
    layout: str = ""
    folder: str | None = None
    root: str | None = None
    splits: dict[str, SplitSpec] = Field(min_length=1)
    classes: str | tuple[str, ...]
    labels: LabelRule = LabelRule()
    palette: str | tuple[Color, ...] | None = None
    upright: bool = False

    @model_validator(mode="after")
    def _labels_as_stored(self) -> Self:
        if self.upright and any(rule.labels is not None for rule in self.splits.values()):
            raise ValueError(
                "upright: true is for data sets without labels: those are drawn on stored pixels"
            )
        return self


LabelUse = Literal["needed", "optional", "unused"]
"""What a reader of a split wants with its labels; see `Dataset.split`."""


@dataclass(frozen=True)
class Split:
    """One split of a data set, its files found.

    Of a part of it, `taken` says which in words, such as `the first 500 of 2000 images`.
    """

    dataset: str
    name: str
    classes: ClassSet
    samples: tuple[Sample, ...]
    decoder: LabelDecoder
    taken: str = ""

    @property
    def labelled(self) -> bool:
        """Whether every image has a label."""
        return all(sample.label is not None for sample in self.samples)

    @property
    def title(self) -> str:
        """`dataset:split`, for messages and tables."""
        return f"{self.dataset}:{self.name}"


@dataclass(frozen=True)
class Found:
    """A split of the complete samples, beside those that lack their image or their label file."""

    split: Split
    without_image: tuple[Sample, ...]
    without_label: tuple[Sample, ...]

    def without_labels(self) -> "Found":
        """All the images as an unlabelled split, whether their labels exist or not."""
        samples = sorted(
            {*self.split.samples, *self.without_label} - {*self.without_image}, key=lambda one: one.stem
        )
        bare = tuple(replace(one, label=None) for one in samples)
        return replace(self, split=replace(self.split, samples=bare), without_label=())


@dataclass(frozen=True)
class Dataset:
    """A checked spec with the folder of its files; `where` is its YAML for messages, `folder` the YAML's.

    Files in object storage have their `url`, and `root` is where their copies are.
    """

    spec: DatasetSpec
    root: Path
    where: str
    folder: Path
    url: str | None = None

    @cached_property
    def classes(self) -> ClassSet:
        """The spec's classes with their colors. Raises InputError as `class_set` does."""
        try:
            return class_set(self.spec.classes, name=self.spec.name, palette=self.spec.palette)
        except InputError as error:
            raise InputError(f"{self.where}: {error}") from None

    @cached_property
    def decoder(self) -> LabelDecoder:
        """The spec's label rule, ready to use. Raises InputError for a map that does not fit the classes."""
        return build_decoder(self.spec.labels, self.classes, self.where)

    @property
    def expected(self) -> str:
        """Where the first labelled split's files are, for messages: `images/*.png with labels/{stem}.png`."""
        splits = self.spec.splits.values()
        rule = next((one for one in splits if one.labels is not None), next(iter(splits)))
        listed = f"{rule.list} and " if rule.list is not None else ""
        return listed + rule.shown + (f" with {rule.labels}" if rule.labels is not None else "")

    def rule(self, name: str) -> SplitSpec:
        """How the files of a split are found. Raises InputError for one that is not there."""
        if name not in self.spec.splits:
            raise InputError(f"{self.where}: no split {name!r}{did_you_mean(name, list(self.spec.splits))}")
        return self.spec.splits[name]

    def find(self, name: str) -> Found:
        """The files of a split, complete or not.

        Those in object storage are copied into the cache first.

        Raises:
            InputError: no such split or root, a glob without match, an unreadable or empty list, or two
                images with one stem; storage that cannot be read.
        """
        rule = self.rule(name)
        if self.url is not None:
            mirrored(self.url, may_find(rule))
        if not self.root.is_dir():
            raise InputError(
                f"{self.where}: root {self.root} is no folder; correct `root:` or give the folder as "
                f"{self.where}:PATH"
            )
        try:
            samples = find_samples(rule, name, self.root, self.where, self.folder)
            if self.spec.upright:
                samples = tuple(replace(one, upright=True) for one in samples)
        except InputError as error:
            # An entry that describes its tree has more to say than the one pattern.
            more = f" (expected: {self.expected}; more: segshift data show {self.where})"
            raise InputError(f"{error}{more if self.spec.layout else ''}") from None
        # A glob finds only images that exist; the entries of a list may not.
        without_image = [one for one in samples if not is_there(one.image)] if rule.list is not None else []
        without_label = [one for one in samples if one.label is not None and not is_there(one.label)]
        left_out = {*without_image, *without_label}
        complete = tuple(one for one in samples if one not in left_out)
        split = Split(self.spec.name, name, self.classes, complete, self.decoder)
        return Found(split, tuple(without_image), tuple(without_label))

    def split(self, name: str, *, labels: LabelUse = "needed") -> Split:
        """A split with all its files.

        Args:
            name: the split.
            labels: "needed" wants a file for every image whose split names labels; "optional" also takes a
                split none of whose label files exists, as an unlabelled one; "unused" is for a domain whose
                labels are never opened, so that any of them may be missing.

        Raises:
            InputError: as `find` does, and for a listed image or a label that is missing.
        """
        found = self.find(name)
        accepted = labels == "unused" or (labels == "optional" and not found.split.samples)
        if found.without_label and accepted:
            found = found.without_labels()
        total = len({*found.split.samples, *found.without_image, *found.without_label})
        if found.without_image:
            absent = found.without_image[0]
            raise InputError(
                f"{self.where}: {len(found.without_image)} of {total} listed images of split {name!r} are "
                f"missing, first {absent.image}{invisible(absent.stem)}; correct the list, "
                f"`splits.{name}.images` or the root"
            )
        if found.without_label:
            first = found.without_label[0]
            raise InputError(
                f"{self.where}: {len(found.without_label)} of {total} images of split {name!r} have no "
                f"label, first {first.image} (expected {first.label}); add the labels, correct "
                f"`splits.{name}.labels`, or leave it out for an unlabelled split"
            )
        return found.split


def load_dataset(path: str | Path, root: str | Path | None = None, *, where: str | None = None) -> Dataset:
    """The data set of a YAML file.

    Args:
        path: the YAML; a URL (`s3://...`) is copied into the cache.
        root: the folder of the files, relative to the working folder, or a URL; overrules the YAML's `root`,
            which is relative to the YAML file and defaults to its folder.
        where: how messages call the YAML; its path by default.

    Raises:
        InputError: an unreadable YAML, an unknown key or value, a class or placeholder that does not exist.
    """
    where = where or str(path)
    home = url_of(path)
    file = expanded(path) if home is None else fetched_file(home)
    spec = parse(DatasetSpec, read_yaml(file), where=where)
    for name, rule in spec.splits.items():
        check_patterns(rule, name, where)
    url = _root_url(home, spec.root if root is None else str(root), given=root is not None)
    if url is not None:
        folder = mirror_folder(url)
    else:
        folder = expanded(root) if root is not None else file.parent / expanded(spec.root or ".")
    dataset = Dataset(spec, folder, where, file.parent, url)
    _ = dataset.decoder  # a wrong class name should not wait for the first label
    return dataset


def _root_url(home: str | None, root: str | None, *, given: bool) -> str | None:
    """Where a data set's files are, if in object storage: by its root, or beside a YAML that is there."""
    own = None if root is None else url_of(root)
    if own is not None or home is None or given:
        return own
    if root is not None and PurePosixPath(root).is_absolute():
        return None
    scheme, _, place = home.partition("://")
    return f"{scheme}://{posixpath.normpath(posixpath.join(posixpath.dirname(place), root or '.'))}"
