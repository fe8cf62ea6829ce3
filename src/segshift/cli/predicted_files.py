"""What `segshift predict` is given: images, videos, folders of them, or data sets."""

from collections.abc import Callable
from pathlib import Path

from segshift.data.photos import Photos, find_photos
from segshift.data.resolve import is_data_set, locate
from segshift.data.survey import survey_images
from segshift.data.walk import is_video_name
from segshift.engine.video import check_video
from segshift.errors import InputError
from segshift.plain import counted

Hear = Callable[[str], None]


def split_arguments(arguments: list[str]) -> tuple[list[str], list[Path]]:
    """Data sets, and photos. Raises InputError for both together."""
    sets = [one for one in arguments if is_data_set(one)]
    photos = [Path(one) for one in arguments if one not in sets]
    if sets and photos:
        raise InputError(
            f"predict: {sets[0]} is a data set, {photos[0]} is not, and EXIF orientations are applied to "
            "photos alone; predict them into two --out folders"
        )
    return sets, photos


def files_of_data_sets(arguments: list[str], skip_bad: bool, out: Path, hear: Hear) -> dict[str, Path]:
    """The images of splits by their stems, checked as `usable_files` does."""

    named: dict[str, Path] = {}
    for argument in arguments:
        dataset, chosen = locate(argument)
        only = next(iter(dataset.spec.splits)) if len(dataset.spec.splits) == 1 else "val"
        for sample in dataset.split(chosen or only, labels="unused").samples:
            if sample.stem in named:
                raise InputError(
                    f"{sample.image} and {named[sample.stem]} would both be written as {sample.stem}; "
                    "predict them into two --out folders"
                )
            named[sample.stem] = sample.image
    folders = {image.parent for image in named.values()}
    if out.resolve() in {folder.resolve() for folder in folders}:
        raise InputError(
            f"{out}: holds images of the data set, to which results would be added; choose another --out"
        )
    return usable_files(Photos(named), skip_bad, out, hear)


def usable_files(images: list[Path] | Photos, skip_bad: bool, out: Path, hear: Hear) -> dict[str, Path]:
    """Images and videos by the names of their results; all are looked at before the first is predicted.

    Args:
        images: files and folders, or what was found already.
        skip_bad: leave out what cannot be read.
        out: the folder of the results.
        hear: is told in sentences what is left out, converted or turned.

    Raises:
        InputError: as `find_photos`, or an image that cannot be read, unless those are to be skipped.
    """

    photos = images if isinstance(images, Photos) else find_photos(images, out, videos=True)
    for note in photos.notes:
        hear(note)
    pictures = {name: path for name, path in photos.named.items() if not is_video_name(path.name)}
    looked = survey_images(pictures.values())
    if looked.errors and not skip_bad:
        more = f", and {counted(len(looked.errors) - 1, 'more image')}" if len(looked.errors) > 1 else ""
        raise InputError(f"{looked.errors[0]}{more} (or leave such images out: --skip-bad)")
    for line in looked.errors:
        hear(f"left out: {line}")
    if looked.conversions:
        hear(looked.conversions)
    if looked.turned and not isinstance(images, Photos):
        turned = counted(looked.turned, "image is", "images are")
        hear(f"{turned} turned upright, as the EXIF orientation says")
    bad = {name for name, one in zip(pictures, looked.facts, strict=True) if one.error}
    for name, path in photos.named.items():
        if name not in pictures:
            try:
                check_video(path)
            except InputError as error:
                if not skip_bad:
                    raise
                bad.add(name)
                hear(f"left out: {error}")
    return {name: path for name, path in photos.named.items() if name not in bad}
