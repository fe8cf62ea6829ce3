"""Which of a data set's images take part (`subset:`), and how often each is drawn (`sampling:`)."""

from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from segshift.config import Strict
from segshift.data.list_files import invisible, read_lines
from segshift.data.spec import Split
from segshift.errors import InputError
from segshift.files import expanded
from segshift.plain import counted
from segshift.ranges import Count, Seed


class SubsetConfig(Strict):
    """A part of a split; exactly one of `first`, `every`, `list` and `fraction`.

    Attributes:
        first: so many images from the beginning, in the split's order.
        every: each so many-th image, from the first on, in the split's order: frames of a video, thinned.
        list: a text file with one stem per line, relative to the working folder; `#` begins a comment line.
        fraction: this random share of the images, at least one. A larger fraction of the same seed holds
            every image of a smaller one.
        seed: of `fraction`.
    """

    first: Count | None = None
    every: Count | None = None
    list: str | None = None
    fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Seed = 0

    @model_validator(mode="after")
    def _one_choice(self) -> Self:
        if sum(choice is not None for choice in (self.first, self.every, self.list, self.fraction)) != 1:
            raise ValueError("give exactly one of first, every, list and fraction")
        if self.seed and self.fraction is None:
            raise ValueError("seed belongs to fraction; the others are not random")
        return self


class SamplingConfig(Strict):
    """How often each image of a labelled stream is drawn.

    Attributes:
        kind: uniform: every image once per epoch. rare_class: draw a class, the rarer the likelier, then an
            image that holds it (DAFormer; Hoyer et al., CVPR 2022, section 3.3). class_balanced: draw a
            class, the less it has been drawn lately the likelier, then the next image of its list (the public
            code of FADA; Wang et al., ECCV 2020).
        temperature: T of rare_class, P(c) ~ exp((1 - f_c) / T), with f_c in [0, 1] the share of class c among
            the labelled pixels; the smaller, the more the rarest classes are preferred.
        min_pixels: an image holds a class if its label file has so many pixels of it; null is 3000 for
            rare_class, as published for labels of 1914x1052 px, and 1 for class_balanced.
        crop_tries: of rare_class: how often the crop's place is drawn at most, until the crop shows the class
            that the image was drawn for; 10 in DAFormer's code, which scales at random anew as well.
        min_crop_share: a crop shows the class with so many times `min_pixels` pixels of it, as it is trained
            on, after resizing.
    """

    kind: Literal["uniform", "rare_class", "class_balanced"] = "uniform"
    temperature: float = Field(0.01, ge=1e-6, le=1e6)
    min_pixels: Count | None = None
    crop_tries: int = Field(1, ge=1, le=1000)
    min_crop_share: float = Field(0.5, ge=0, le=1000)

    @model_validator(mode="after")
    def _crops_of_a_class(self) -> Self:
        if self.crop_tries > 1 and self.kind != "rare_class":
            raise ValueError("crop_tries belongs to kind: rare_class, which draws a class to look for")
        return self

    @property
    def crop_pixels(self) -> int:
        """The pixels of its class with which a crop shows it."""
        return ceil(self.min_crop_share * self.needed_pixels)

    @property
    def needed_pixels(self) -> int:
        """`min_pixels`, or the default of the kind."""
        if self.min_pixels is not None:
            return self.min_pixels
        return 3000 if self.kind == "rare_class" else 1


def evenly(count: int, limit: int | None) -> list[int]:
    """At most `limit` places among `count`, spread evenly, in order; None: all."""
    some = count if limit is None else min(count, limit)
    return [index * count // some for index in range(some)]


def take_subset(split: Split, subset: SubsetConfig | None) -> Split:
    """The split with the chosen samples only, in its own order; all of them without a `subset`.

    Raises:
        InputError: a list that cannot be read, is empty, or names a stem that the split does not have.
    """
    if subset is None:
        return split
    count = len(split.samples)
    if subset.first is not None:
        if subset.first > count:
            raise InputError(
                f"{split.title}: subset.first = {subset.first} of {counted(count, 'image')}; lower it"
            )
        return _with(split, list(range(subset.first)), before="the first ")
    if subset.every is not None:
        return _with(split, list(range(0, count, subset.every)), after=f", one in {subset.every}")
    if subset.fraction is not None:
        from segshift.data.sampler import epoch_order  # needs PyTorch, which checking a recipe does not

        order = epoch_order(count, subset.seed, 0)[: max(1, round(subset.fraction * count))]
        return _with(split, np.sort(order).tolist(), after=f", drawn with seed {subset.seed}")
    assert subset.list is not None
    return _with(split, _listed(split, expanded(subset.list)), after=f", those in {subset.list}")


def _with(split: Split, indices: list[int], before: str = "", after: str = "") -> Split:
    """The split with some samples, which say how many of how many they are between two pieces of text."""
    taken = f"{before}{len(indices)} of {len(split.samples)} images{after}"
    return replace(split, samples=tuple(split.samples[index] for index in indices), taken=taken)


def _listed(split: Split, path: Path) -> list[int]:
    try:
        stems = dict.fromkeys(read_lines(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: the list of the subset of {split.title} cannot be read ({error}); correct `subset.list`"
        ) from None
    if not stems:
        raise InputError(f"{path}: the subset's list is empty; write one stem of {split.title} per line")
    position = {sample.stem: index for index, sample in enumerate(split.samples)}
    for stem in stems:
        if stem not in position:
            raise InputError(
                f"{path}: {stem!r}{invisible(stem)} is no image of {split.title}, whose stems are like "
                f"{split.samples[0].stem!r}; correct the list"
            )
    return sorted(position[stem] for stem in stems)
