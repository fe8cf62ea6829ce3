"""The images that a network is adapted to: photos as they lie on a disk, or a data set."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from PIL import Image

from segshift.data.photo_dataset import write_photo_dataset
from segshift.data.photos import photo_files
from segshift.data.resolve import absolute_argument, is_data_set, locate
from segshift.data.survey import Facts, survey, survey_images
from segshift.engine.torch_data import write_dataset
from segshift.errors import InputError
from segshift.evaluation.items import LabelledItems
from segshift.files import expanded
from segshift.models.inference import WHOLE_PIXELS
from segshift.models.prediction import OneImage
from segshift.models.segmenter import Segmenter
from segshift.plain import counted
from segshift.progress import Progress
from segshift.sizes import WidthHeight

Images = str | Path | Sequence[str | Path] | Sequence[OneImage] | LabelledItems

SMALLEST_PX = 32
"""Photos with a shorter side say nothing to a network that halves its features five times."""
LARGEST_CROP_PX = 512


@dataclass(frozen=True)
class TargetImages:
    """What a run without source images trains on.

    Attributes:
        dataset: a dataset argument.
        sizes: how many images there are of each (width, height).
    """

    dataset: str
    sizes: Counter[WidthHeight]

    @property
    def one_size(self) -> bool:
        """Whether all images are equally large."""
        return len(self.sizes) == 1

    def crop(self, size: WidthHeight | None) -> WidthHeight:
        """(width, height) of crops that need no padding in any image.

        Args:
            size: at which the network sees the images; None is each one's own.

        Raises:
            InputError: images at their own size that are too large to be seen whole.
        """
        if size is None:
            width, height = max(self.sizes, key=lambda one: one[0] * one[1])
            if width * height > WHOLE_PIXELS:
                share = (WHOLE_PIXELS / 8 / (width * height)) ** 0.5
                raise InputError(
                    f"adapt: the network has no input size and would see {width}x{height} px at once; "
                    f"give --size, such as {round(width * share)}x{round(height * share)}"
                )
        widths, heights = zip(*([size] if size else self.sizes), strict=True)
        return WidthHeight((min(LARGEST_CROP_PX, *widths), min(LARGEST_CROP_PX, *heights)))


def target_images(
    images: Images,
    folder: Path,
    start: Segmenter,
    skip_bad: bool,
    progress: Progress,
) -> TargetImages:
    """The images of a data set, or photos, which are written down as one in `folder`.

    Args:
        images: see `adapt`.
        folder: of the run.
        start: the network, whose classes the photos' data set gets.
        skip_bad: leave out what cannot be used.
        progress: who hears what is passed over.

    Raises:
        InputError: as `photo_files` and `write_photo_dataset`, no image, or one that cannot be used.
    """
    listed = _listed(images)
    if listed is None:
        pictures = [images] if _is_one_picture(images) else images
        data = cast(LabelledItems, pictures)
        written = write_dataset(data, folder / "images", start.classes, labelled=False)
        return _of_data_set(f"{written}:train")
    sets = [str(one) for one in listed if is_data_set(str(one))]
    if sets and len(listed) > 1:
        raise InputError(f"adapt: {sets[0]} is a data set; give it alone, or photos and folders of photos")
    if sets:
        return _of_data_set(sets[0])
    paths, notes = photo_files([expanded(one) for one in listed], folder)
    for note in notes:
        progress.say(note)
    looked = survey_images(paths)
    usable = _usable(dict(zip(paths, looked.facts, strict=True)), skip_bad, progress)
    if looked.conversions:
        progress.say(looked.conversions)
    if len(usable) == 1:
        progress.say("one photo: the network adapts to what this one shows, and its scores say little")
    sizes = Counter(_upright(fact) for fact in usable.values())
    return TargetImages(str(write_photo_dataset(folder, usable, start.classes)), sizes)


def _listed(images: Images) -> list[str | Path] | None:
    """The paths and data sets that are meant; None where the images themselves are given."""
    if isinstance(images, str | Path):
        return [images]
    if not isinstance(images, Sequence) or not all(isinstance(one, str | Path) for one in images):
        return None
    return list(cast(Sequence[str | Path], images))


def _is_one_picture(images: Images) -> bool:
    return isinstance(images, Image.Image) or getattr(images, "ndim", 4) == 3


def _of_data_set(argument: str) -> TargetImages:
    """Of a split that is not named, `train` is taken, or the only one that there is."""
    dataset, named = locate(argument)
    splits = list(dataset.spec.splits)
    split = named or (splits[0] if len(splits) == 1 else "train")
    looked = survey(dataset.split(split, labels="unused").samples, None)
    argument = absolute_argument(argument)
    sizes = Counter(_upright(fact) for fact in looked.facts if fact.size is not None)
    return TargetImages(argument if named else f"{argument}:{split}", sizes)


def _usable(facts: dict[Path, Facts], skip_bad: bool, progress: Progress) -> dict[Path, Facts]:
    """The photos without problems. Raises InputError for others unless they are to be skipped."""
    problems = {path: problem for path, fact in facts.items() if (problem := _problem(path, fact))}
    listed = list(problems.values())
    if listed and not skip_bad:
        more = f", and {counted(len(listed) - 1, 'more image')}" if len(listed) > 1 else ""
        raise InputError(f"{listed[0]}{more} (or leave such images out: --skip-bad)")
    if len(listed) == len(facts):
        first = f", first {listed[0]}" if listed else "; give a folder of photos"
        raise InputError(f"adapt: no image can be used{first}")
    for problem in listed:
        progress.say(f"left out: {problem}")
    return {path: fact for path, fact in facts.items() if path not in problems}


def _problem(path: Path, fact: Facts) -> str:
    if fact.error or fact.size is None or min(fact.size) >= SMALLEST_PX:
        return fact.error
    width, height = fact.size
    return f"{path}: {width}x{height} px are too few to adapt to; give at least {SMALLEST_PX} each way"


def _upright(fact: Facts) -> WidthHeight:
    assert fact.size is not None  # the image can be read
    return WidthHeight(fact.size if fact.orientation < 5 else fact.size[::-1])
