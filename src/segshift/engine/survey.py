"""A look at every file of a run before its first step, so that no bad one is met after hours."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from segshift.data.augmentation import Augmentation
from segshift.data.spec import Split
from segshift.data.survey import Survey, survey
from segshift.engine.datasets import Domains
from segshift.engine.recipe import Recipe
from segshift.errors import InputError
from segshift.plain import counted

_SHAPES_DIFFER = 0.03
"""Relative difference of two proportions (width / height) from which it is said: 16:9 and 1.75 look alike."""


def look_at_files(recipe: Recipe, domains: Domains, say: Callable[[str], None]) -> Domains:
    """The domains, all of whose files can be used; what is converted or left out is said in one line each.

    Headers are read, and cached until a file changes. With `training.skip_bad` every file is read in full,
    and samples that cannot be used are left out.

    Raises:
        InputError: a file that cannot be used, unless `training.skip_bad`; a split of nothing else.
    """
    checked: dict[int, Split] = {}
    for key, split, with_labels in _splits(domains):
        if id(split) not in checked:
            augmentation = _augmentation(recipe, key)
            checked[id(split)] = _usable(split, key, with_labels, recipe.training.skip_bad, augmentation, say)

    def usable(split: Split) -> Split:
        return checked[id(split)]

    return replace(
        domains,
        source=None if domains.source is None else usable(domains.source),
        target=None if domains.target is None else usable(domains.target),
        evaluation=None if domains.evaluation is None else usable(domains.evaluation),
        also={key: tuple(map(usable, splits)) for key, splits in domains.also.items()},
        labelled={key: usable(split) for key, split in domains.labelled.items()},
    )


def _splits(domains: Domains) -> Iterator[tuple[str, Split, bool]]:
    """(key, split, whether its labels are read) of everything that a run reads."""
    streams: Mapping[str, Split | None] = {
        "source": domains.source,
        "target": domains.target,
        **domains.labelled,
        "evaluation": domains.evaluation,
    }
    for key, split in streams.items():
        if split is not None:
            yield key, split, key != "target"
        for further in domains.also.get(key, ()):
            yield key, further, key != "target"


def _augmentation(recipe: Recipe, key: str) -> Augmentation | None:
    streams = {"source": recipe.source, "target": recipe.target, **recipe.labelled_streams}
    return streams[key].augmentation if key in streams else None


def _usable(
    split: Split,
    key: str,
    with_labels: bool,
    skip_bad: bool,
    augmentation: Augmentation | None,
    say: Callable[[str], None],
) -> Split:
    looked = survey(split.samples, split.decoder if with_labels else None, decode=skip_bad)
    title = f"{key} {split.title}"
    if looked.errors and not skip_bad:
        more = f", and {counted(len(looked.errors) - 1, 'more sample')}" if len(looked.errors) > 1 else ""
        raise InputError(
            f"{looked.errors[0]}{more}; `segshift data check` lists all (or leave such samples of {title} "
            f"out: --skip-bad)"
        )
    if looked.conversions:
        say(f"{title}: {looked.conversions}")
    if looked.turned and split.samples[0].upright:
        turned = counted(looked.turned, "image is", "images are")
        say(f"{title}: {turned} turned upright, as the EXIF orientation says")
    elif looked.turned:
        turned = counted(looked.turned, "image carries", "images carry")
        say(f"{title}: {turned} an EXIF orientation, which is not applied: pixels are used as stored")
    shapes = stretched(looked, augmentation)
    if shapes:
        say(f"{title}: {shapes}")
    if not looked.errors:
        return split
    kept = tuple(sample for sample, one in zip(split.samples, looked.facts, strict=True) if not one.error)
    if not kept:
        raise InputError(f"{title}: no sample can be used, first {looked.errors[0]}")
    bad = counted(len(looked.errors), "sample is", "samples are")
    say(f"{title}: {bad} left out, first {looked.errors[0]}")
    taken = f"{len(kept)} of {len(split.samples)} images, bad ones left out"
    return replace(split, samples=kept, taken=f"{split.taken}; {taken}" if split.taken else taken)


def stretched(looked: Survey, augmentation: Augmentation | None) -> str:
    """What to say of images that `resize` gives other proportions, or nothing."""
    if augmentation is None or augmentation.resize is None or augmentation.fit != "stretch":
        return ""
    width, height = augmentation.resize
    other = {
        size: count
        for size, count in looked.sizes.most_common()
        if abs(size[0] / size[1] / (width / height) - 1) > _SHAPES_DIFFER
    }
    if not other:
        return ""
    listed = ", ".join(f"{count} of {size[0]}x{size[1]}" for size, count in list(other.items())[:3])
    return (
        f"{sum(other.values())} of {len(looked.facts)} images ({listed}) are stretched to {width}x{height}, "
        f"which changes their proportions; `augmentation.fit: cover` or `pad` keeps them"
    )
